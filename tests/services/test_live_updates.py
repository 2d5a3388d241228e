"""Live updates: nothing is missed without a reset, nothing comes twice, and nothing piles up."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from redis.asyncio import Redis

from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.services import live_updates
from soulcaster.services.live_updates import LiveUpdate, LiveUpdates, Subscriber
from tests.conftest import RedisServer
from tests.support.make import item

SOON = 20


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_updates, "POLL_SECONDS", 0.01)


@pytest.fixture
async def read_model(redis_server: RedisServer) -> AsyncIterator[RedisReadModel]:
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()
    model = RedisReadModel(RedisAccess(redis_server.url), notices=True)
    yield model
    await model.close()


async def put(read_model: RedisReadModel, n: int) -> None:
    await read_model.writer.put_items("p1", [item(n)])


async def drained(subscriber: Subscriber) -> list[LiveUpdate]:
    found = []
    while (update := await subscriber.next(0.0)) is not None:
        found.append(update)
    return found


async def test_a_slow_follower_is_told_to_begin_anew_and_holds_no_more() -> None:
    subscriber = Subscriber("p1", "me")
    for n in range(1, live_updates.MAX_QUEUED + 1):
        subscriber.put(LiveUpdate("changed", "{}", f"{n}-0"))
    subscriber.put(LiveUpdate("comment", "nobody needs this"))
    subscriber.put(LiveUpdate("changed", "{}", "1000-0"))
    subscriber.put(LiveUpdate("changed", "{}", "1001-0"))
    assert await drained(subscriber) == [LiveUpdate("reset", "{}", "1000-0"), LiveUpdate("changed", "{}", "1001-0")]


async def test_what_waits_for_a_follower_is_bounded_in_bytes() -> None:
    subscriber = Subscriber("p1", "me")
    large = "x" * (live_updates.MAX_QUEUED_BYTES // 2)
    for n in range(1, 5):
        subscriber.put(LiveUpdate("changed", large, f"{n}-0"))
    assert [update.event for update in await drained(subscriber)] == ["reset", "changed"]
    subscriber.put(LiveUpdate("changed", large, "5-0"))
    assert await drained(subscriber) == [LiveUpdate("changed", large, "5-0")]


async def test_a_follower_that_ends_is_given_what_waits() -> None:
    subscriber = Subscriber("p1", "me")
    subscriber.put(LiveUpdate("changed", "{}", "1-0"))
    subscriber.end()
    until = asyncio.get_running_loop().time() + SOON
    assert await subscriber.next(until) == LiveUpdate("changed", "{}", "1-0")
    assert await subscriber.next(until) is None


@pytest.mark.parametrize("away", [False, True])
async def test_what_was_trimmed_before_it_was_read_is_a_reset(
    read_model: RedisReadModel, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    """The reader was held up, or could not reach Redis, and more came than is kept."""
    monkeypatch.setattr("soulcaster.adapters.redis.notices.NOTICES_KEPT", 10)
    monkeypatch.setattr(live_updates, "MAX_NOTICES", 1000 if away else 20)
    monkeypatch.setattr(live_updates, "MAX_QUEUED", 1000)
    here = LiveUpdates(read_model.notices)
    await put(read_model, 0)
    monkeypatch.setattr(here, "read_while_subscribed", asyncio.Event().wait)  # this test calls pass_on itself
    subscriber = await here.subscribe("p1", "me", None)
    for n in range(400):
        await put(read_model, n)
    more = True
    while more:
        more = await here.pass_on(check_for_gaps=away)
    newest = (await read_model.notices.span("p1"))[1]
    assert [(update.event, update.id) for update in await drained(subscriber)][1:] == [("reset", newest)]
    await put(read_model, 1)
    assert not await here.pass_on(check_for_gaps=away)
    assert [update.event for update in await drained(subscriber)] == ["changed"]
    await here.close()


async def test_what_was_read_for_those_who_have_left_is_not_told_who_came_since(
    read_model: RedisReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = LiveUpdates(read_model.notices)
    monkeypatch.setattr(here, "read_while_subscribed", asyncio.Event().wait)
    first = await here.subscribe("p1", "me", None)
    await put(read_model, 1)
    notices, read, go_on = read_model.notices.after, asyncio.Event(), asyncio.Event()

    async def slow(after: Mapping[str, str], *, limit: int) -> Any:
        found = await notices(after, limit=limit)
        read.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(read_model.notices, "after", slow)
    reading = asyncio.create_task(here.pass_on(check_for_gaps=False))
    await read.wait()
    here.unsubscribe(first)
    second = await here.subscribe("p1", "me", None)
    go_on.set()
    await reading
    assert [update.event for update in await drained(second)] == ["open"]
    await here.close()


async def test_nothing_is_missed_or_told_twice_by_who_comes_amid_changes(
    redis_server: RedisServer, read_model: RedisReadModel
) -> None:
    here = LiveUpdates(read_model.notices)
    first = await here.subscribe("p1", "me", None)
    writing = asyncio.create_task(_write(redis_server.url, 60))
    late: list[Subscriber] = []
    for _ in range(5):
        await asyncio.sleep(0.01)
        late.append(await here.subscribe("p1", "me", None))
        oldest, newest = await read_model.notices.span("p1")
        late.append(await here.subscribe("p1", "me", oldest))
    await writing
    newest = (await read_model.notices.span("p1"))[1]
    async with asyncio.timeout(SOON):
        while here.position("p1") != newest:
            await asyncio.sleep(0.01)
    ids = [update.id for update in await drained(first) if update.event == "changed"]
    assert len(ids) == 60
    for subscriber in late:
        opened, *updates = await drained(subscriber)
        after = [one.id for one in updates if one.event == "changed"]
        assert after == [i for i in ids if _place(i) > _place(opened.id)]
    await here.close()


async def _write(redis_url: str, count: int) -> None:
    model = RedisReadModel(RedisAccess(redis_url), notices=True)
    for n in range(count):
        await model.writer.put_items("p1", [item(str(n))])
    await model.close()


def _place(notice_id: str | None) -> tuple[int, ...]:
    assert notice_id is not None
    return tuple(map(int, notice_id.split("-")))


async def test_closing_ends_although_a_read_swallows_its_cancellation(
    read_model: RedisReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = LiveUpdates(read_model.notices)
    reading = asyncio.Event()

    async def swallows(after: Mapping[str, str], *, limit: int) -> Any:
        reading.set()
        try:
            await asyncio.sleep(SOON)
        except asyncio.CancelledError:
            return {}

    monkeypatch.setattr(read_model.notices, "after", swallows)
    subscriber = await here.subscribe("p1", "me", None)
    await reading.wait()
    async with asyncio.timeout(SOON / 2):
        await here.close()
    assert [update.event for update in await drained(subscriber)] == ["open"]
