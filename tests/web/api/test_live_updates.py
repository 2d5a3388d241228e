"""Server-Sent Events: what changed, once it can be read; nothing missed without being told, nothing heaped up."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession, web
from aiohttp.test_utils import TestClient, TestServer
from redis.asyncio import Redis

from soulcaster.services import live_updates
from soulcaster.web.api.live_updates import handlers as events
from soulcaster.web.api.live_updates.models import NoticeOut
from soulcaster.web.dependencies import DEPENDENCIES
from tests.support.answers import problem
from tests.support.web import Client, World, item

HERE = {"project_id": "p1"}
SOON = 20


@dataclass
class Event:
    event: str
    id: str | None
    data: Any


class Stream:
    """A stream as a browser reads it."""

    def __init__(self, answer: ClientResponse) -> None:
        self.answer = answer

    async def block(self) -> list[str]:
        """The lines of the next event or comment; none at the end."""
        lines: list[str] = []
        while True:
            line = (await asyncio.wait_for(self.answer.content.readline(), SOON)).decode()
            if line in {"\r\n", ""}:
                return lines
            lines.append(line.removesuffix("\r\n"))

    async def comment(self) -> str:
        [line] = await self.block()
        assert line.startswith(": ")
        return line[2:]

    async def next(self) -> Event:
        """The next event; comments are passed over."""
        while (lines := await self.block()) and lines[0].startswith(":"):
            pass
        fields = dict(line.split(": ", 1) for line in lines)
        return Event(fields["event"], fields.get("id"), json.loads(fields["data"]))

    async def ended(self) -> bool:
        return await self.block() == []


@asynccontextmanager
async def following(client: Client, **headers: str) -> AsyncIterator[Stream]:
    async with client.get("/events", params=HERE, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        yield Stream(answer)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_updates, "POLL_SECONDS", 0.01)


async def put(world: World, n: int, project: str = "p1") -> None:
    await world.read_model.writer.put_items(project, [item(str(n), project)])


async def test_what_changes_is_told_once_it_can_be_read(world: World, client: Client) -> None:
    async with following(client) as stream:
        assert stream.answer.content_type == "text/event-stream"
        assert stream.answer.headers["Cache-Control"] == "no-cache"
        assert stream.answer.headers["X-Accel-Buffering"] == "no"
        opened = await stream.next()
        assert (opened.event, opened.id, opened.data) == ("open", "0-0", {})
        await world.fill()
        await world.job("j1", "pending")
        await put(world, 1, "p2")  # not for us
        got = [await stream.next() for _ in range(3)]
        assert [event.event for event in got] == ["changed"] * 3
        notices = [NoticeOut.model_validate(event.data) for event in got]
        assert (notices[0].items, notices[1].clusters) == (3, ["c1"])
        assert [(job.id, job.cluster_id, job.status) for job in notices[2].jobs] == [("j1", "c1", "pending")]
        assert len({event.id for event in got}) == 3
        assert "My card is late" not in str(got)
        await put(world, 2)
        assert (await stream.next()).data["items"] == 1


async def test_who_comes_back_goes_on(world: World, client: Client) -> None:
    for n in range(3):
        await put(world, n)
    async with following(client) as stream:
        opened = await stream.next()
    for n in range(3):
        await put(world, n)
    async with following(client, **{"Last-Event-ID": str(opened.id)}) as stream:
        again = await stream.next()
        assert (again.event, again.id) == ("open", opened.id)
        missed = [await stream.next() for _ in range(3)]
        assert [event.event for event in missed] == ["changed"] * 3
        await put(world, 9)
        assert (await stream.next()).event == "changed"
    async with following(client, **{"Last-Event-ID": str(missed[1].id)}) as stream:
        assert (await stream.next()).id == missed[1].id
        assert (await stream.next()).id == missed[2].id


@pytest.mark.parametrize("last", ["1-0", "9999999999999-0", "x", "", "é", "1", "1-0-0", "-"])
async def test_who_comes_back_from_nowhere_begins_anew(world: World, client: Client, last: str) -> None:
    await put(world, 1)
    async with following(client, **{"Last-Event-ID": last}) as stream:
        opened, reset = await stream.next(), await stream.next()
        assert (opened.event, reset.event, reset.data) == ("open", "reset", {})
        assert opened.id == reset.id == (await world.read_model.notices.span("p1"))[1]
        await put(world, 2)
        assert (await stream.next()).event == "changed"


async def test_after_redis_was_emptied_one_begins_anew(world: World, client: Client) -> None:
    await put(world, 1)
    last = (await world.read_model.notices.span("p1"))[1]
    async with Redis.from_url(world.redis.url) as redis:
        await redis.flushall()
    async with following(client, **{"Last-Event-ID": last}) as stream:
        assert [(await stream.next()).event for _ in range(2)] == ["open", "reset"]


async def test_who_comes_back_after_too_much_begins_anew(world: World, client: Client) -> None:
    await put(world, 0)
    last = (await world.read_model.notices.span("p1"))[1]
    for n in range(live_updates.MAX_QUEUED):
        await put(world, n)
    async with following(client, **{"Last-Event-ID": last}) as stream:
        assert [(await stream.next()).event for _ in range(2)] == ["open", "reset"]


async def test_all_who_follow_are_told_by_one_reader(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[set[str]] = []
    notices = world.read_model.notices.after

    async def counted(after: Mapping[str, str], *, limit: int) -> Any:
        asked.append(set(after))
        return await notices(after, limit=limit)

    monkeypatch.setattr(world.read_model.notices, "after", counted)
    here = client.app[DEPENDENCIES].live_updates
    assert not here.reading
    async with (
        following(client) as one,
        following(client) as two,
        client.get("/events", params={"project_id": "p2"}) as other,
    ):
        elsewhere = Stream(other)
        for stream in (one, two, elsewhere):
            assert (await stream.next()).event == "open"
        asked.clear()
        await put(world, 1)
        await put(world, 2, "p2")
        for stream in (one, two, elsewhere):
            assert (await stream.next()).data["items"] == 1
        assert {frozenset(projects) for projects in asked} == {frozenset({"p1", "p2"})}
    assert here.reading
    # Nobody is left: with its next ping each stream sees that, here by the end of its connection.
    for subscriber in here.subscribers():
        subscriber.end()
    async with asyncio.timeout(SOON):
        while here.reading:
            await asyncio.sleep(0.01)
    asked.clear()
    await asyncio.sleep(0)
    assert asked == []
    async with following(client) as stream:  # and it begins again
        await stream.next()
        await put(world, 3)
        assert (await stream.next()).event == "changed"


async def test_a_heartbeat_is_a_comment(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PING_SECONDS", 0.01)
    async with following(client) as stream:
        await stream.next()
        assert [await stream.comment() for _ in range(2)] == ["ping", "ping"]


async def test_who_is_gone_is_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a server as we run it: aiohttp's test server would cancel the handler by itself."""
    monkeypatch.setattr(events, "PING_SECONDS", 0.01)
    app = world.app()
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        here = app[DEPENDENCIES].live_updates
        async with ClientSession(address) as session:
            answer = await session.get("/events", params=HERE)
            assert (await Stream(answer).next()).event == "open"
            assert here.subscriptions("local owner") == 1
            answer.close()
            async with asyncio.timeout(SOON):
                while here.subscriptions("local owner") or list(here.subscribers()) or here.position("p1"):
                    await asyncio.sleep(0.01)
    finally:
        await runner.cleanup()


async def test_a_stream_ends_after_its_time(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STREAM_SECONDS", 0.05)
    async with following(client) as stream:
        await stream.next()
        assert await stream.ended()


async def test_a_stream_is_longer_than_a_request_may_take(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soulcaster.web.problems.REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(events, "PING_SECONDS", 0.1)
    async with following(client) as stream:
        await stream.next()
        for _ in range(4):
            await stream.comment()
        await put(world, 1)
        assert (await stream.next()).event == "changed"


async def test_a_server_that_stops_ends_its_streams(world: World) -> None:
    async with TestClient(TestServer(world.app())) as client, following(client) as stream:
        await stream.next()
        async with asyncio.timeout(SOON):
            await client.server.close()
        assert await stream.ended()


async def test_redis_away_and_back(fragile: World, fragile_client: Client) -> None:
    async with following(fragile_client) as stream:
        await stream.next()
        fragile.redis.kill()
        assert await stream.comment() == "Redis does not answer; this goes on when it does"
        await problem(await fragile_client.get("/events", params=HERE), 503)
        fragile.redis.start()
        assert await stream.comment() == "Redis answers again"
        await put(fragile, 1)
        assert (await stream.next()).event == "changed"


async def test_one_key_may_follow_so_often(guarded: Client, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_updates, "MAX_SUBSCRIPTIONS", 2)
    mine, other = await world.key("read"), await world.key("read")
    async with guarded.get("/events", headers=mine) as one, guarded.get("/events", headers=mine):
        refused = await guarded.get("/events", headers=mine)
        await problem(refused, 429)
        assert int(refused.headers["Retry-After"]) > 0
        async with guarded.get("/events", headers=other) as others:
            assert others.status == 200
        assert (await guarded.get("/stats", headers=mine)).status == 200
        assert (await Stream(one).next()).event == "open"


async def test_a_page_of_another_origin_may_read_where_it_is_named(world: World) -> None:
    async with TestClient(TestServer(world.app(cors_origins=("https://app.example.com",)))) as client:
        async with following(client, Origin="https://app.example.com") as stream:
            assert stream.answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
        async with following(client, Origin="https://evil.example") as stream:
            assert "Access-Control-Allow-Origin" not in stream.answer.headers


async def test_there_is_nothing_to_head(client: Client) -> None:
    assert (await client.head("/events", params=HERE)).status == 405
