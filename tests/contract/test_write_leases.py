"""Leases: one process at a time writes the read model of a partition."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from soulcaster.adapters.redis import write_leases
from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.adapters.redis.write_leases import (
    LEASE_SECONDS,
    NEXT_SECONDS,
    RENEWED_SECONDS,
    TRIED_SECONDS,
    WriteLeases,
)
from soulcaster.errors import WriteLeaseLost, WriteLeaseTaken
from soulcaster.ports.messaging import Record
from soulcaster.services.projection import Projection
from soulcaster.wire.cluster_events import ClusterEvents
from tests.conftest import RedisServer
from tests.contract.test_cluster_events import changed, put
from tests.support.agents import record

ITEMS = 12


def moved(project_id: str, cluster_id: str) -> Record:
    """All items are in this cluster now."""
    events = (*(put(n, cluster_id) for n in range(ITEMS)), changed(cluster_id, ITEMS))
    return record("cluster.events", ClusterEvents(project_id=project_id, events=events).to_bytes())


async def size(model: RedisReadModel, project_id: str, cluster_id: str) -> int:
    """How many items Redis lists under a cluster."""
    async with model.writer._commands() as redis:
        pipe = redis.pipeline()
        members = pipe.zcard(f"cluster:items:{project_id}:{cluster_id}")
        await pipe.execute()
    return members.value


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def connection(redis_url: str, read_model: RedisReadModel) -> AsyncIterator[RedisConnection]:
    connection = RedisConnection(RedisAccess(redis_url))
    yield connection
    await connection.close()


async def test_a_partition_has_one_writer_and_others_have_theirs(connection: RedisConnection) -> None:
    one, other = WriteLeases(connection), WriteLeases(connection)
    entered: list[str] = []

    async def enter() -> None:
        async with other.held({2, 3}):
            entered.append("other")

    async with one.held({1, 2}):
        async with other.held({3, 4}):
            pass
        waiting = asyncio.create_task(enter())
        await asyncio.sleep(0.3)
        entered.append("one ends")
    await waiting
    assert entered == ["one ends", "other"]


async def test_two_that_want_the_same_partitions_do_not_wait_for_each_other(connection: RedisConnection) -> None:
    async def enter(leases: WriteLeases, partitions: tuple[int, ...]) -> None:
        for _ in range(10):
            async with leases.held(partitions):
                await asyncio.sleep(0)

    async with asyncio.timeout(20):
        await asyncio.gather(*(enter(WriteLeases(connection), order) for order in ((1, 2, 3), (3, 2, 1), (2, 3, 1))))


async def test_a_lease_that_is_held_for_long_is_refused_to_others(connection: RedisConnection) -> None:
    clock = Clock()
    other = WriteLeases(connection, clock)
    async with WriteLeases(connection).held({1}):
        waiting = asyncio.create_task(other.held({1}).__aenter__())
        await asyncio.sleep(0.2)
        assert not waiting.done()
        clock.now += LEASE_SECONDS
        with pytest.raises(WriteLeaseTaken, match="writing:1"):
            await waiting


async def test_a_lease_that_ran_out_is_lost_for_good(connection: RedisConnection) -> None:
    clock = Clock()
    leases = WriteLeases(connection, clock)
    leases.fence()()  # nobody asked for a lease
    async with leases.held({1}):
        fence = leases.fence()
        clock.now += LEASE_SECONDS / 2
        fence()
        clock.now += LEASE_SECONDS / 2
        with pytest.raises(WriteLeaseLost):
            fence()
    async with leases.held({1}):
        leases.fence()()
        with pytest.raises(WriteLeaseLost):
            fence()  # of a write that began with the lost one


async def test_a_write_that_takes_long_keeps_its_lease(connection: RedisConnection) -> None:
    clock = Clock()
    leases = WriteLeases(connection, clock)
    async with leases.held({1}):
        clock.now += LEASE_SECONDS - 0.1
        await asyncio.sleep(RENEWED_SECONDS + 0.5)
        clock.now += LEASE_SECONDS - 0.1
        leases.fence()()


async def test_a_lease_ends_though_it_is_being_renewed(
    connection: RedisConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds it waits for the end of the renewal, whichever step of it is under way."""
    monkeypatch.setattr(write_leases, "RENEWED_SECONDS", 0)
    leases = WriteLeases(connection)
    async with asyncio.timeout(20):
        for turns in range(60):
            async with leases.held({1}):
                for _ in range(turns):
                    await asyncio.sleep(0)


async def test_a_lease_that_ran_out_while_it_was_renewed_is_lost(connection: RedisConnection) -> None:
    """Another process may have had it in between, and given it back."""
    clock = Clock()
    leases = WriteLeases(connection, clock)
    async with leases.held({1}):
        lease = leases._held.get()
        assert lease is not None
        kept = lease._kept

        async def slow() -> float:
            clock.now += LEASE_SECONDS
            return await kept()

        lease._kept = slow  # type: ignore[method-assign]
        await asyncio.sleep(RENEWED_SECONDS + 0.5)
        with pytest.raises(WriteLeaseLost):
            leases.fence()()


@pytest.mark.parametrize("change", ["gone", "taken"])
async def test_a_lease_that_redis_does_not_know_any_more_is_lost(
    connection: RedisConnection, redis_server: RedisServer, change: str
) -> None:
    """Redis was emptied, or a replica that fell behind has taken over; another process may have had it since."""
    leases = WriteLeases(connection)
    async with Redis.from_url(redis_server.url) as redis, leases.held({1, 2}):
        await (redis.delete("writing:2") if change == "gone" else redis.set("writing:2", "another"))
        await asyncio.sleep(RENEWED_SECONDS + 0.5)
        with pytest.raises(WriteLeaseLost):
            leases.fence()()
    async with Redis.from_url(redis_server.url, decode_responses=True) as redis:
        assert await redis.keys("writing:*") == ([] if change == "gone" else ["writing:2"])


async def test_two_that_write_batch_after_batch_take_turns(connection: RedisConnection) -> None:
    """As a worker and a rebuild do: neither takes the lease again at once while the other waits for it."""
    turns: list[str] = []

    async def write(name: str) -> None:
        leases = WriteLeases(connection)
        for _ in range(5):
            async with leases.held({0, 1, 2}):
                turns.append(name)
                await asyncio.sleep(4 * TRIED_SECONDS)  # the other one has tried meanwhile

    async with asyncio.timeout(60):
        await asyncio.gather(write("worker"), write("rebuild"))
    assert turns == turns[:2] * 5


async def test_who_waits_and_dies_holds_up_nobody(connection: RedisConnection, redis_server: RedisServer) -> None:
    async with Redis.from_url(redis_server.url) as redis:
        async with WriteLeases(connection).held({1}):
            waiting = asyncio.create_task(WriteLeases(connection).held({0, 1}).__aenter__())
            async with asyncio.timeout(10):
                while not await redis.exists("writing:1:next"):
                    await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.wait([waiting])
        for key, most in (("writing:0", LEASE_SECONDS), ("writing:1:next", NEXT_SECONDS)):
            assert 0 < await redis.pttl(key) <= 1000 * most


async def test_what_seems_to_hold_for_longer_than_any_lease_gets_its_time_again(
    connection: RedisConnection, redis_server: RedisServer
) -> None:
    """The clock of Redis was set back by an hour after somebody died."""
    clock, hour = Clock(), 3_600_000
    async with Redis.from_url(redis_server.url) as redis:
        await redis.set("writing:1", "dead", px=hour)
        await redis.set("writing:2:next", "dead", px=hour)
        for partition in (1, 2):
            waiting = asyncio.create_task(WriteLeases(connection, clock).held({partition}).__aenter__())
            await asyncio.sleep(0.2)
            clock.now += LEASE_SECONDS
            with pytest.raises(WriteLeaseTaken):
                await waiting
        assert 0 < await redis.pttl("writing:1") <= 1000 * LEASE_SECONDS
        assert 0 < await redis.pttl("writing:2:next") <= 1000 * NEXT_SECONDS


async def test_a_writer_that_stood_still_writes_nothing_more(redis_url: str, read_model: RedisReadModel) -> None:
    """Its partition has another writer by then; what it had begun is done again once that one is through."""
    other = RedisReadModel(RedisAccess(redis_url))
    try:
        async with read_model.writer.writing({0}):
            lease = read_model.writer._leases._held.get()
            assert lease is not None
            lease._until = 0.0  # as if the process had been suspended
            with pytest.raises(WriteLeaseLost):
                await read_model.writer.apply("p1", [put(1, "c0"), changed("c0", 1)])
        await other.writer.apply("p1", [put(1, "c1"), changed("c1", 1)])
        assert [c.id for c in (await other.clusters.list("p1", limit=9, offset=0)).items] == ["c1"]
    finally:
        await other.close()


async def test_a_rebuild_ahead_of_a_worker_leaves_each_item_in_one_cluster(
    redis_url: str, read_model: RedisReadModel
) -> None:
    """The worker is one move behind, and both write at the same time; then the worker catches up."""
    other = RedisReadModel(RedisAccess(redis_url))
    worker, rebuild = Projection(read_model.writer), Projection(other.writer)
    try:
        for project_id in (f"p{n}" for n in range(12)):
            await worker.apply([moved(project_id, "a")])
            await asyncio.gather(worker.apply([moved(project_id, "b")]), rebuild.apply([moved(project_id, "c")]))
            await worker.apply([moved(project_id, "c")])
            assert [await size(other, project_id, cluster_id) for cluster_id in "abc"] == [0, 0, ITEMS]
    finally:
        await other.close()
