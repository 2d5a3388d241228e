"""A rebuild of the read model from a replay of its topics."""

from collections.abc import AsyncIterator, Sequence

from redis.asyncio import Redis

from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.adapters.redis.writer import RedisReadModelWriter
from soulcaster.ports.messaging import Record
from soulcaster.ports.projects import Project
from soulcaster.ports.replay import ReportProgress
from soulcaster.services.rebuild import REPLAYED_TOPICS, rebuild
from soulcaster.wire.control import ProjectDefined
from soulcaster.wire.feedback import ItemsEnvelope
from tests.conftest import RedisServer
from tests.support.agents import record
from tests.support.make import NOW, item


class Batches:
    """A replay of these batches."""

    def __init__(self, *batches: Sequence[Record]) -> None:
        self._batches = batches

    @property
    def partitions(self) -> set[int]:
        return {record.partition for batch in self._batches for record in batch}

    async def batches(self, report: ReportProgress) -> AsyncIterator[Sequence[Record]]:
        total = sum(map(len, self._batches))
        done = 0
        for batch in self._batches:
            report(done, total)
            yield batch
            done += len(batch)
        report(done, total)


def items(*external_ids: str) -> Record:
    return record(
        "feedback.items", ItemsEnvelope(project_id="p1", items=tuple(map(item, external_ids)), deleted=()).to_bytes()
    )


def test_it_replays_all_that_the_agent_reads() -> None:
    assert {"feedback.items", "cluster.events", "job.events", "job.logs", "job.documents", "control"} == REPLAYED_TOPICS


async def test_what_was_there_is_gone_and_what_cannot_be_applied_is_left_out(redis_server: RedisServer) -> None:
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()
    model = RedisReadModel(RedisAccess(redis_server.url))
    try:
        await model.writer.put_project(Project("old", "Old", NOW))
        defined = ProjectDefined(id="p1", name="Demo", created_at=NOW)
        batches = ([items("1"), record("control", b"{}"), items("2", "3")], [record("control", defined.to_bytes())])
        reports: list[tuple[int, int]] = []
        read = await rebuild(Batches(*batches), model.writer, lambda done, total: reports.append((done, total)))
        assert (read, reports) == (4, [(0, 4), (3, 4), (4, 4)])
        assert await model.projects.list() == (Project("p1", "Demo", NOW),)
        found = await model.feedback.list("p1", limit=9, offset=0)
        assert {view.item.external_id for view in found.items} == {"1", "2", "3"}
    finally:
        await model.close()


class Stopped(RedisReadModelWriter):
    """A writer that is stopped for a while the first time that it empties the read model."""

    stopped = False

    async def clear(self) -> None:
        if not self.stopped:
            self.stopped = True
            lease = self._leases._held.get()
            assert lease is not None
            lease._until = 0.0  # as if the process had been suspended
        await super().clear()


async def test_a_rebuild_that_stood_still_empties_the_read_model_again(redis_server: RedisServer) -> None:
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()
    connection = RedisConnection(RedisAccess(redis_server.url))
    writer = Stopped(connection, notices=False)
    try:
        await writer.put_project(Project("old", "Old", NOW))
        assert await rebuild(Batches([items("1")]), writer, lambda done, total: None) == 1
        assert writer.stopped
        async with Redis.from_url(redis_server.url, decode_responses=True) as redis:
            assert not await redis.exists("project:old")
            assert await redis.zcard("feedback:created:p1") == 1
    finally:
        await connection.close()
