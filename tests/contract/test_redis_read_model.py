"""A Redis that is unavailable, full, read-only, or goes away in the middle of a write."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from yarl import URL

from soulcaster.adapters.redis import connection as redis_connection
from soulcaster.adapters.redis.client import MAX_CONNECTIONS, RedisAccess
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.events import ClusterChanged, ClusterEvent, ItemAssigned, ItemRemoved
from soulcaster.domain.fixes.document import Document
from soulcaster.domain.fixes.job_log import LogChunk
from soulcaster.domain.source_state import SourceReport
from soulcaster.domain.webhook_secrets import WebhookSecret
from soulcaster.errors import RedisUnavailable
from soulcaster.ports.clusters import ClusterOrder
from soulcaster.ports.projects import Project
from soulcaster.wire.project_config import StoredConfig
from tests.conftest import RedisServer
from tests.support.make import NOW, item, step
from tests.support.upstash import Upstash

CHANGED = ClusterChanged("c1", "Title", "Summary", 1, ("manual",), NOW, NOW)
ASSIGNED = ItemAssigned(item(1).id, NOW, "c1", change="opened", score=-1.0, threshold=0.75)
WRITES: dict[str, Any] = {
    "writer.put_items": ("p1", [item(1, body="OOM MISCONF READONLY")]),
    "writer.apply": ("p1", [ASSIGNED, CHANGED]),
    "writer.delete_items": ("p1", [item(2).id]),
    "writer.put_job_steps": ([step(0, "pending", log="OOM")],),
    "writer.put_job_logs": (
        "p1",
        [LogChunk("j1", 1, NOW, "OOM\n", 1)],
    ),
    "writer.put_documents": ([Document("b1", "p1", "c1", "brief", "OOM", NOW)],),
    "writer.put_project": (Project("p1", "Demo", NOW),),
    "writer.put_project_config": ("p1", StoredConfig(1)),
    "project_config.claim": ("p1", 2),
    "writer.put_webhook_secret": (WebhookSecret("w1", "p1", "sentry", "sealed", "last", NOW, "me"),),
    "writer.put_source_report": ("p1", "reddit", SourceReport({}, "ok", NOW)),
    "writer.put_source_kick": ("p1", "reddit", NOW),
}
READS: dict[str, dict[str, Any]] = {
    "ping": {},
    "projects.list": {},
    "projects.find": {"id_or_name": "p1"},
    "feedback.list": {"project_id": "p1", "limit": 1, "offset": 0},
    "feedback.get": {"project_id": "p1", "item_id": "i"},
    "clusters.list": {"project_id": "p1", "limit": 1, "offset": 0},
    "clusters.get": {"project_id": "p1", "cluster_id": "c"},
    "projects.stats": {"project_id": "p1"},
    "jobs.list": {"project_id": "p1", "limit": 1, "offset": 0},
    "clusters.history": {"project_id": "p1", "cluster_id": "c"},
    "commands.get": {"project_id": "p1", "command_id": "k"},
    "clustering.proposals": {"project_id": "p1"},
    "clustering.status": {"project_id": "p1"},
    "jobs.get": {"job_id": "j"},
    "jobs.logs": {"job_id": "j"},
    "job_logs.read": {"job_id": "j", "first": 0, "limit_bytes": 1},
    "job_logs.steps": {"job_id": "j"},
    "job_logs.heartbeat": {"job_id": "j"},
    "documents.get": {"project_id": "p1", "document_id": "b1"},
    "documents.newest_plan": {"project_id": "p1", "cluster_id": "c"},
    "project_config.get": {"project_id": "p1"},
    "clustering.config": {"project_id": "p1"},
    "webhook_secrets.list": {"project_id": "p1"},
    "sources.list": {"project_id": "p1"},
    "notices.after": {"positions": {"p1": "0-0"}, "limit": 1},
    "notices.span": {"project_id": "p1"},
}


@pytest.fixture(params=["redis", "upstash"])
def url(request: pytest.FixtureRequest, redis_to_break: RedisServer) -> Iterator[str]:
    """A Redis of this test alone, over each protocol."""
    if request.param == "redis":
        yield redis_to_break.url
    else:
        with Upstash(redis_to_break.port) as server:
            yield server.url


@pytest.fixture
async def model(url: str) -> AsyncIterator[RedisReadModel]:
    model = RedisReadModel(RedisAccess(url), notices=True)
    yield model
    await model.close()


async def every_write_is_unavailable(model: RedisReadModel) -> None:
    for name, arguments in WRITES.items():
        with pytest.raises(RedisUnavailable):
            await attrgetter(name)(model)(*arguments)
    with pytest.raises(RedisUnavailable):
        async with model.writer.writing({1}):
            pass


async def every_write_works(model: RedisReadModel) -> None:
    for name, arguments in WRITES.items():
        await attrgetter(name)(model)(*arguments)
    async with model.writer.writing({1}):
        pass


async def test_a_killed_server(redis_to_break: RedisServer, url: str, model: RedisReadModel) -> None:
    await every_write_works(model)
    redis_to_break.kill()
    await every_write_is_unavailable(model)
    for name, arguments in READS.items():
        with pytest.raises(RedisUnavailable, match=str(URL(url).port)):
            await attrgetter(name)(model)(**arguments)


async def test_a_server_that_hangs(redis_to_break: RedisServer, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_connection, "TIMEOUT_SECONDS", 1)
    quick = RedisReadModel(RedisAccess(url))
    try:
        await quick.ping()
        redis_to_break.freeze()
        with pytest.raises(RedisUnavailable):
            await quick.ping()
        with pytest.raises(RedisUnavailable):
            await quick.writer.put_items("p1", [item(1)])
    finally:
        await quick.close()


async def test_a_server_that_is_full(redis_to_break: RedisServer, model: RedisReadModel) -> None:
    async with Redis.from_url(redis_to_break.url) as redis:
        await redis.config_set("maxmemory", 1)
        await every_write_is_unavailable(model)
        await redis.config_set("maxmemory", 0)
        await every_write_works(model)


async def test_a_server_that_is_a_replica(redis_to_break: RedisServer, model: RedisReadModel) -> None:
    async with Redis.from_url(redis_to_break.url) as redis:
        await redis.replicaof("127.0.0.1", "1")
        await every_write_is_unavailable(model)
        await redis.replicaof("NO", "ONE")
        await every_write_works(model)


async def test_a_server_whose_disk_fails(redis_to_break: RedisServer, model: RedisReadModel, tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    async with Redis.from_url(redis_to_break.url, decode_responses=True) as redis:
        await redis.config_set("dir", str(folder))
        await redis.config_set("save", "3600 1")
        shutil.rmtree(folder)
        await redis.bgsave()
        async with asyncio.timeout(60):
            while (await redis.info("persistence"))["rdb_last_bgsave_status"] != "err":
                await asyncio.sleep(0.02)
        await every_write_is_unavailable(model)
        await redis.config_set("save", "")
        await every_write_works(model)


async def test_what_is_wrong_with_the_data_is_no_outage(redis_to_break: RedisServer, model: RedisReadModel) -> None:
    """An agent would otherwise wait for ever; the item's text makes no difference."""
    async with Redis.from_url(redis_to_break.url) as redis:
        await redis.set("feedback:created:p1", "not a sorted set")
    with pytest.raises(Exception, match="WRONGTYPE") as raised:
        await model.writer.put_items("p1", [item(1, title="OOM caused error: MISCONF", body="MISCONF OOM BUSY")])
    assert not isinstance(raised.value, RedisUnavailable)


async def test_a_password_is_not_told() -> None:
    model = RedisReadModel(RedisAccess("redis://user:secret@127.0.0.1:1/0"))
    with pytest.raises(RedisUnavailable) as raised:
        await model.ping()
    assert "secret" not in str(raised.value)
    assert "127.0.0.1" in str(raised.value)
    await model.close()


MOVE_COMMANDS = 40
"""Commands of the move below; with fewer it is not complete."""


@pytest.mark.parametrize("commands", range(MOVE_COMMANDS + 2))
async def test_cut_off_anywhere_and_done_again_is_as_done_once(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, commands: int
) -> None:
    """A move empties a cluster. Redis goes away after some of its commands, and the move is tried again."""
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()
    monkeypatch.setattr(redis_connection, "TIMEOUT_SECONDS", 1)
    model = RedisReadModel(RedisAccess(redis_server.url))
    await model.writer.put_items("p1", [item(1), item(2, minutes=1)])
    await model.writer.apply("p1", [ASSIGNED, CHANGED])
    later = item(2, minutes=1)
    move: list[ClusterEvent] = [
        ItemAssigned(item(1).id, NOW, "c2", change="joined", score=0.9, threshold=0.5),
        ItemAssigned(later.id, later.created_at, "c2", change="joined", score=0.9, threshold=0.5),
        ClusterChanged("c2", "Title", "Summary", 2, ("manual",), NOW, NOW + timedelta(hours=1)),
    ]
    async with Cut(redis_server.port, commands) as cut:
        through = RedisReadModel(RedisAccess(f"redis://127.0.0.1:{cut.port}/0"))
        try:
            await through.writer.apply("p1", move)
        except RedisUnavailable:
            assert cut.passed == commands
        else:
            assert cut.passed == MOVE_COMMANDS <= commands
        await through.close()
    await model.writer.apply("p1", move)
    clusters = await model.clusters.list("p1", limit=10, offset=0)
    assert [(c.id, c.size) for c in clusters.items] == [("c2", 2)]
    assert await model.clusters.get("p1", "c1") is None
    assert (await model.feedback.list("p1", cluster_id="c1", limit=10, offset=0)).total == 0
    found = await model.feedback.list("p1", cluster_id="c2", limit=10, offset=0)
    assert [(v.item.external_id, v.cluster_id) for v in found.items] == [("2", "c2"), ("1", "c2")]
    assert (await model.projects.stats("p1")).unclustered == 0
    orders: tuple[ClusterOrder, ...] = ("largest", "newest", "updated")
    for order in orders:
        for narrow in ({}, {"status": "new"}, {"source": "manual"}, {"status": "new", "source": "manual"}):
            listed = await model.clusters.list("p1", **narrow, order=order, limit=10, offset=0)  # type: ignore[arg-type]
            assert ([c.id for c in listed.items], listed.total) == (["c2"], 1)
    await model.close()


class Cut:
    """A proxy of Redis that passes a number of commands, one by one, and then closes."""

    def __init__(self, port: int, commands: int) -> None:
        self._target = port
        self._commands = commands
        self.passed = 0
        self.port = 0

    async def __aenter__(self) -> "Cut":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()

    async def _serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        server, commands = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            while self.passed < self._commands:
                command = await self._command(client)
                if b"CLIENT" not in command and b"HELLO" not in command:  # how redis-py introduces itself
                    self.passed += 1
                commands.write(command)
                answers.write(await self._answer(server))
                await answers.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            answers.close()
            commands.close()

    async def _command(self, of: asyncio.StreamReader) -> bytes:
        head = await of.readuntil(b"\r\n")
        parts = [head]
        for _ in range(int(head[1:])):
            size = await of.readuntil(b"\r\n")
            parts += [size, await of.readexactly(int(size[1:]) + 2)]
        return b"".join(parts)

    async def _answer(self, of: asyncio.StreamReader) -> bytes:
        head = await of.readuntil(b"\r\n")
        if head[:1] == b"$" and int(head[1:]) >= 0:
            return head + await of.readexactly(int(head[1:]) + 2)
        if head[:1] in {b"*", b"~", b">", b"%"}:
            parts = max(0, int(head[1:])) * (2 if head[:1] == b"%" else 1)
            return head + b"".join([await self._answer(of) for _ in range(parts)])
        return head


async def test_more_calls_at_once_than_there_are_connections_wait_for_one(model: RedisReadModel) -> None:
    count = 4 * MAX_CONNECTIONS
    assert await asyncio.gather(*(model.api_keys.get("k") for _ in range(count))) == [None] * count


async def test_nothing_is_left_of_what_was_deleted(redis_server: RedisServer) -> None:
    model = RedisReadModel(RedisAccess(redis_server.url))
    try:
        async with Redis.from_url(redis_server.url, decode_responses=True) as redis:
            await redis.flushall()
            await model.writer.put_items("p1", [item(1)])
            await model.writer.apply("p1", [ASSIGNED, replace(CHANGED, triage="muted")])
            await model.writer.delete_items("p1", [item(1).id])
            await model.writer.apply("p1", [ItemRemoved(item(1).id, "c1", NOW)])
            assert set(await redis.keys("*")) == {"deleted:p1", "feedback:bytes:p1", "feedback:received:p1", "projects"}
    finally:
        await model.close()
