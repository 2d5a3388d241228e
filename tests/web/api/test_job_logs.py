"""The logs of jobs over HTTP: written, read in parts, followed, and read from the archive."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.adapters.redis import job_log_writer
from soulcaster.domain.fixes.fix import Fix
from soulcaster.domain.fixes.job_log import LogChunk
from soulcaster.domain.lifecycle import JobStep
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.job_logs import CHUNK_BYTES, Heartbeat
from soulcaster.services import job_log_reading
from soulcaster.services.log_archive import archive_key
from soulcaster.web.api.job_logs import handlers, stream
from soulcaster.web.api.job_logs.models import JobLogAppendedOut, JobLogEventOut, JobLogsOut
from soulcaster.web.dependencies import DEPENDENCIES
from soulcaster.wire.job_logs import JobLog
from tests.support.answers import problem
from tests.support.archive import MemoryArchive
from tests.support.make import NOW
from tests.support.web import JOB_TOKENS, Client, World

HERE = {"project_id": "p1"}
SOON = 20
TOKEN = "ghp_" + "Ab1" * 14


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_log_reading, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(job_log_reading, "QUIET_SECONDS", 0.05)


async def put(world: World, *chunks: tuple[int, str], job: str = "j1", token: int | None = None) -> None:
    """Write chunks (offset, text) of a log, each at the second of its offset."""
    logs = [LogChunk(job, token, NOW + timedelta(seconds=offset), text, offset) for offset, text in chunks]
    await world.read_model.writer.put_job_logs("p1", logs)


async def archived_at(world: World, url: str) -> None:
    """Report, after the end of the job, where its log is."""
    await world.read_model.writer.put_job_steps(
        [JobStep("archive", "j1", "p1", "c1", 9, "succeeded", NOW, archive_url=url)]
    )


async def read(client: Client, **query: str) -> dict[str, Any]:
    answer = await client.get("/jobs/j1/logs", params=HERE | query)
    assert answer.status == 200, await answer.text()
    body: dict[str, Any] = await answer.json()
    JobLogsOut.model_validate(body)
    return body


# ---- written ---------------------------------------------------------------------------------------------------------


async def test_lines_are_published_redacted_and_can_be_read(world: World, client: Client) -> None:
    await world.job("j1", "pending", "running")
    answer = await client.post("/jobs/j1/logs", params=HERE, json={"text": f"cloning with {TOKEN}\nhalf a line"})
    assert answer.status == 202
    said = JobLogAppendedOut.model_validate(await answer.json())
    assert (said.job_id, said.project_id, said.job_status) == ("j1", "p1", "running")
    [message] = world.publisher.sent
    assert (message.topic, message.key) == ("job.logs", b"p1")
    log = JobLog.model_validate_json(message.value)
    assert (log.job_id, log.token, log.at, log.text) == ("j1", None, NOW, "cloning with [secret]\nhalf a line\n")
    assert log.text in (await read(client))["chunks"]


async def test_lines_may_be_plain_text(world: World, client: Client) -> None:
    await world.job("j1", "running")
    plain = {"Content-Type": "text/plain; charset=utf-8"}
    answer = await client.post("/jobs/j1/logs", params=HERE, data="für alle\n".encode(), headers=plain)
    assert answer.status == 202
    [message] = world.publisher.sent
    assert JobLog.model_validate_json(message.value).text == "für alle\n"


async def test_nothing_written_is_a_heartbeat(world: World, client: Client) -> None:
    await world.job("j1", "running")
    assert (await client.post("/jobs/j1/logs", params=HERE, json={})).status == 202
    [message] = world.publisher.sent
    assert JobLog.model_validate_json(message.value).text == ""
    assert (await read(client))["chunks"] == ["line 0\n"]


async def test_a_private_key_over_several_requests_is_hidden(world: World, client: Client) -> None:
    await world.job("j1", "running")
    for text in ("a\n-----BEGIN PRIVATE KEY-----\n", f"{'Ab1' * 20}\n", "-----END PRIVATE KEY-----\nb\n"):
        assert (await client.post("/jobs/j1/logs", params=HERE, json={"text": text})).status == 202
    assert "".join((await read(client))["chunks"]).split() == ["line", "0", "a", "[secret]", "b"]


async def test_secrets_of_this_server_are_hidden(world: World) -> None:
    await world.job("j1", "running")
    async with TestClient(TestServer(world.app(secrets=["correct horse battery"]))) as client:
        said = {"text": "correct horse battery", "logs": "it is correct horse battery", "error": TOKEN}
        assert (await client.post("/jobs/j1/logs", params=HERE, json=said)).status == 202
        assert (await client.patch("/jobs/j1", params=HERE, json=said)).status == 202
    assert [TOKEN.encode() in m.value or b"horse" in m.value for m in world.publisher.sent] == [False, False]
    assert await world.read_model.jobs.logs("j1") == ("line 0", "it is [secret]")


async def test_who_may_write_and_what(guarded: Client, world: World) -> None:
    await world.job("j1", "running")
    await problem(
        await guarded.post("/jobs/j1/logs", json={"text": "x"}, headers=await world.key("read", "write")), 403
    )
    launch = await world.key("launch")
    await problem(await guarded.post("/jobs/nowhere/logs", json={"text": "x"}, headers=launch), 404)
    await problem(await guarded.post("/jobs/j1/logs", json={"text": 7}, headers=launch), 422)
    await problem(await guarded.post("/jobs/j1/logs", data=b"x", headers=launch | {"Content-Type": "text/html"}), 415)
    await problem(await guarded.post("/jobs/j1/logs", json={"text": "x" * 300_000}, headers=launch), 413)
    assert {message.topic for message in world.publisher.sent} == {"control"}, "the keys alone"
    world.publisher.fail = KafkaUnavailable()
    await problem(await guarded.post("/jobs/j1/logs", json={"text": "x"}, headers=launch), 503)


async def test_the_program_of_a_job_writes_with_its_job_token(guarded: Client, world: World) -> None:
    fix = Fix("j1", "c1", "Late card", "kim", NOW)
    await world.read_model.writer.put_job_steps(
        [
            JobStep("a", "j1", "p1", "c1", 0, "approved", NOW, fix=fix, offset=3),
            JobStep("b", "j1", "p1", "c1", 1, "launching", NOW, launch=1, offset=7),
        ]
    )
    job = await world.read_model.jobs.get("j1")
    assert job is not None
    secret = JOB_TOKENS.issue(job)
    token = {"Authorization": f"Bearer {secret}"}
    answer = await guarded.post("/jobs/j1/logs", json={"text": f"my token is {secret}"}, headers=token)
    assert answer.status == 202, await answer.text()
    [message] = world.publisher.sent
    log = JobLog.model_validate_json(message.value)
    assert (log.token, log.text) == (7, "my token is [secret]\n")
    assert await world.read_model.job_logs.heartbeat("j1") == Heartbeat(NOW, 7)
    newer = JobStep("c", "j1", "p1", "c1", 2, "approved", NOW, token=7, offset=8)
    claim = JobStep("d", "j1", "p1", "c1", 3, "launching", NOW, launch=2, offset=9)
    await world.read_model.writer.put_job_steps([newer, claim])
    await problem(await guarded.post("/jobs/j1/logs", json={"text": "late"}, headers=token), 409)
    await put(world, (12, "late"), token=7)
    assert "late" not in str(await world.read_model.job_logs.read("j1", 0, limit_bytes=1_000_000))


# ---- read ------------------------------------------------------------------------------------------------------------


async def test_lines_of_steps_are_among_the_others_by_time(world: World, client: Client) -> None:
    await world.job("j1", "pending", "running", "running")  # at seconds 0, 1 and 2
    await put(world, (1, "one\n"), (5, "five\nsix\n"))
    found = await read(client)
    assert found["chunks"] == ["line 0\n", "line 1\n", "one\n", "line 2\n", "five\nsix\n"]
    assert (found["source"], found["dropped"], found["next"]) == ("memory", 0, None)
    assert (await read(client, after=found["position"]))["chunks"] == []
    await put(world, (7, "seven\n"))
    assert (await read(client, after=found["position"]))["chunks"] == ["seven\n"]


async def test_a_long_log_is_read_in_parts(world: World, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "PART_BYTES", 15)
    await world.job("j1", "pending", "running", "running")
    await put(world, *((n, f"{n:09}\n") for n in range(10)))
    first = await read(client)
    assert first["chunks"] == ["line 0\n", "000000000\n"]
    parts, position = [first["chunks"]], first["next"]
    while position is not None:
        part = await read(client, after=position)
        parts.append(part["chunks"])
        position = part["next"]
    assert len(parts) == 10
    whole = [text for part in parts for text in part]
    assert whole == (await everything(client, monkeypatch))
    assert len(whole) == 13


async def everything(client: Client, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(handlers, "PART_BYTES", 1_000_000)
    found: list[str] = (await read(client))["chunks"]
    return found


@pytest.mark.parametrize("after", ["x", "1", "-1.0", "1.2.3", "blob.", "blob.1.2", "9" * 20 + ".1"])
async def test_a_position_that_is_none_is_named(world: World, client: Client, after: str) -> None:
    await world.job("j1", "running")
    answer = await client.get("/jobs/j1/logs", params=HERE | {"after": after})
    assert (await problem(answer, 422))["errors"][0]["field"] == "after"


async def test_a_job_of_another_project_is_not_there(world: World, client: Client) -> None:
    await world.job("j1", "running", project="p2")
    await problem(await client.get("/jobs/j1/logs", params=HERE), 404)
    await problem(await client.get("/jobs/j1/logs", params=HERE | {"stream": "1"}), 404)
    await problem(await client.post("/jobs/j1/logs", params=HERE, json={"text": "x"}), 404)


# ---- the archive -----------------------------------------------------------------------------------------------------


@pytest.fixture
def archive() -> MemoryArchive:
    return MemoryArchive()


@pytest.fixture
async def archived(world: World, archive: MemoryArchive) -> AsyncIterator[Client]:
    """A client of a server that has an archive."""
    async with TestClient(TestServer(world.app(log_archive=archive))) as client:
        yield client


async def test_what_redis_has_no_more_is_in_the_archive(
    world: World, archived: Client, archive: MemoryArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.job("j1", "running", "success")
    lines = [f"Zeile für {n:04}\n" for n in range(500)]
    archive.put(archive_key("p1", "j1"), "".join(lines))
    assert (await read(archived))["source"] == "memory", "nobody has reported that it is there"
    await archived_at(world, "memory:p1/j1.log.gz")
    found = await read(archived)
    assert (found["source"], "".join(found["chunks"]), found["next"]) == ("blob", "".join(lines), None)
    monkeypatch.setattr(handlers, "PART_BYTES", 1234)
    parts, position = [], "blob.0"
    while position is not None:
        part = await read(archived, after=position)
        parts += part["chunks"]
        position = part["next"]
    assert len(parts) > 5
    assert "".join(parts) == "".join(lines)
    assert all(part.endswith("\n") and len(part.encode()) <= 1234 for part in parts)


async def test_a_log_that_is_not_whole_in_redis_is_read_from_the_archive(
    world: World, archived: Client, archive: MemoryArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_log_writer, "MAX_LOG_BYTES", 2 * (10 + CHUNK_BYTES))
    await world.job("j1", "pending")
    await put(world, *((n, f"{n:09}\n") for n in range(5)))
    running = await read(archived)
    assert (running["source"], running["dropped"]) == ("memory", 30)
    assert running["chunks"] == ["line 0\n", "000000003\n", "000000004\n"]
    archive.put(archive_key("p1", "j1"), "all of it\n")
    assert (await read(archived))["source"] == "memory", "the job may still print"
    await world.job("j1", "pending", "success")
    await archived_at(world, "memory:p1/j1.log.gz")
    whole = await read(archived)
    assert (whole["source"], whole["chunks"], whole["dropped"]) == ("blob", ["all of it\n"], 0)
    behind = await read(archived, after=running["position"])
    assert (behind["source"], behind["chunks"], behind["dropped"]) == ("memory", ["line 1\n"], 0)


async def test_without_its_log_in_the_archive_the_rest_is_shown(world: World, archived: Client) -> None:
    await world.job("j1", "running", "failed")
    await archived_at(world, "memory:gone")
    assert (await read(archived))["chunks"] == ["line 0\n", "line 1\n"]
    assert (await read(archived, after="blob.7"))["source"] == "memory"


async def test_503_while_the_archive_is_away(world: World, archived: Client, archive: MemoryArchive) -> None:
    await world.job("j1", "running", "failed")
    await archived_at(world, "memory:p1/j1.log.gz")
    archive.away = True
    said = await problem(await archived.get("/jobs/j1/logs", params=HERE), 503)
    assert "archive" in said["detail"]


# ---- followed --------------------------------------------------------------------------------------------------------


@dataclass
class Event:
    event: str
    id: str
    data: Any


class Stream:
    """A stream as a browser reads it."""

    def __init__(self, answer: ClientResponse) -> None:
        self.answer = answer

    async def next(self) -> Event | None:
        """The next event; None at the end."""
        lines: list[str] = []
        while True:
            line = (await asyncio.wait_for(self.answer.content.readline(), SOON)).decode()
            if line == "":
                return None
            if line == "\r\n" and lines:
                fields = dict(one.split(": ", 1) for one in lines)
                return Event(fields["event"], fields["id"], json.loads(fields["data"]))
            if line != "\r\n" and not line.startswith(":"):
                lines.append(line.removesuffix("\r\n"))

    async def text(self) -> str:
        """The text of the next event, which is one of the log."""
        event = await self.next()
        assert event is not None
        assert event.event == "log"
        return JobLogEventOut.model_validate(event.data).text


@asynccontextmanager
async def following(client: Client, headers: dict[str, str] | None = None, **query: str) -> AsyncIterator[Stream]:
    async with client.get("/jobs/j1/logs", params=HERE | query, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "text/event-stream"
        yield Stream(answer)


async def test_a_log_is_followed_to_the_end_of_its_job(world: World, client: Client) -> None:
    await world.job("j1", "pending")
    await put(world, (1, "one\n"))
    async with following(client, {"Accept": "text/event-stream"}) as stream:
        assert await stream.text() == "line 0\none\n"
        await put(world, (2, "two\n"))
        assert await stream.text() == "two\n"
        await world.job("j1", "pending", "success")
        assert await stream.text() == "line 1\n"
        await put(world, (3, "the last line comes after the end\n"))
        assert await stream.text() == "the last line comes after the end\n"
        end = await stream.next()
        assert end is not None
        assert (end.event, end.data) == ("end", {})
        assert await stream.next() is None
    assert (await read(client, after=end.id))["chunks"] == []


@pytest.mark.parametrize("by", ["header", "query"])
async def test_a_client_that_comes_back_goes_on(world: World, client: Client, by: str) -> None:
    await world.job("j1", "pending")
    await put(world, (1, "one\n"))
    async with following(client, stream="1") as first:
        event = await first.next()
    assert event is not None
    await put(world, (2, "two\n"))
    headers = {"Last-Event-ID": event.id} if by == "header" else {}
    async with following(client, headers, stream="true", **({"after": event.id} if by == "query" else {})) as again:
        assert await again.text() == "two\n"


async def test_a_gap_is_said(world: World, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_log_writer, "MAX_LOG_BYTES", 2 * (10 + CHUNK_BYTES))
    await world.job("j1", "pending")
    await put(world, *((n, f"{n:09}\n") for n in range(5)))
    async with following(client, stream="1", after="1.1") as stream:
        event = await stream.next()
    assert event is not None
    assert event.data == {"text": "000000003\n000000004\n", "dropped": 30}


async def test_the_archive_is_followed_as_well(
    world: World, archived: Client, archive: MemoryArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_log_reading, "PART_BYTES", 20)
    await world.job("j1", "running", "success")
    archive.put(archive_key("p1", "j1"), "".join(f"{n:09}\n" for n in range(5)))
    await archived_at(world, "memory:p1/j1.log.gz")
    async with following(archived, stream="1") as stream:
        assert [await stream.text() for _ in range(3)] == [
            "000000000\n000000001\n",
            "000000002\n000000003\n",
            "000000004\n",
        ]
        end = await stream.next()
        assert end is not None
        assert (end.event, end.id) == ("end", "blob.50")


async def test_a_stream_ends_after_its_time_and_when_the_server_stops(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.job("j1", "pending")
    async with following(client, stream="1") as stopped:
        assert await stopped.text() == "line 0\n"
        client.app[DEPENDENCIES].job_log_reading.close()
        assert await stopped.next() is None
    monkeypatch.setattr(stream, "STREAM_SECONDS", 0.05)
    async with following(client, stream="1") as late:
        assert await late.next() is None


async def test_a_key_follows_so_many_logs_at_once(
    world: World, guarded: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_log_reading, "MAX_FOLLOWERS", 1)
    await world.job("j1", "pending")
    key, other = await world.key("read"), await world.key("read")
    async with guarded.get("/jobs/j1/logs", params={"stream": "1"}, headers=key) as one:
        assert one.status == 200
        await problem(await guarded.get("/jobs/j1/logs", params={"stream": "1"}, headers=key), 429)
        async with guarded.get("/jobs/j1/logs", params={"stream": "1"}, headers=other) as two:
            assert two.status == 200
    async with asyncio.timeout(60):
        while True:  # the server notices a moment later that the client is gone
            async with guarded.get("/jobs/j1/logs", params={"stream": "1"}, headers=key) as again:
                if again.status == 200:
                    return
            await asyncio.sleep(0.01)


async def test_a_stream_outlives_a_rebuild(world: World, client: Client) -> None:
    await world.job("j1", "pending")
    async with following(client, stream="1") as stream:
        assert await stream.text() == "line 0\n"
        await world.read_model.writer.clear()
        await world.job("j1", "pending")
        await put(world, (4, "four\n"))
        assert await stream.text() == "four\n"


async def test_a_stream_without_redis_ends_and_the_log_does_not(fragile: World, fragile_client: Client) -> None:
    await fragile.job("j1", "pending")
    async with following(fragile_client, stream="1") as stream:
        assert await stream.text() == "line 0\n"
        fragile.redis.kill()
        assert await stream.next() is None
    await problem(await fragile_client.get("/jobs/j1/logs", params=HERE | {"stream": "1"}), 503)


async def test_a_head_request_is_refused(world: World, client: Client) -> None:
    await world.job("j1", "pending")
    assert (await client.head("/jobs/j1/logs", params=HERE | {"stream": "1"})).status == 405
