"""The program of a job against a server that answers as our API does."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from soulcaster.domain.fixes.outcome import FixOutcome
from soulcaster.errors import ApiRefuses, BadInput, Fenced
from soulcaster.fixer import job_client as client_module
from soulcaster.fixer import rehearsal
from soulcaster.fixer.job_client import JobAddress, job_client
from soulcaster.processes.fixer import run_fix
from soulcaster.web.bodies import MAX_BODY_BYTES
from soulcaster.wire.job_orders import JobOrderOut
from tests.support.make import job_order

TOKEN = "scj_x"  # noqa: S105

ORDER = job_order()

LONG = "\u6587" * 400


class Api:
    """The routes of one job; `statuses` are answered first, one a call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, Any]] = []
        self.statuses: list[int] = []
        self.job_status = "running"
        self.brief = "# Brief"
        self.hangs = False
        self.hanging = asyncio.Event()
        self.released = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        if self.statuses:
            return web.json_response({}, status=self.statuses.pop(0))
        body = await request.json() if request.can_read_body else None
        self.calls.append((request.method, request.path.removeprefix("/jobs/j1"), body))
        if request.path.endswith("/order"):
            if self.hangs:
                self.hanging.set()
                await self.released.wait()
            return web.json_response(JobOrderOut(replace(ORDER, brief=self.brief)).model_dump(mode="json"))
        return web.json_response({"job_status": self.job_status}, status=202)

    @property
    def states(self) -> list[str]:
        return [body["state"] for method, _, body in self.calls if method == "PATCH"]

    @property
    def log(self) -> str:
        return "".join(body["text"] for _, path, body in self.calls if path == "/logs")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "STEP_SECONDS", 0)


@pytest.fixture
def api() -> Api:
    return Api()


@asynccontextmanager
async def served(api: Api) -> AsyncIterator[JobAddress]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", api.handle)
    async with TestServer(app) as server:
        yield JobAddress("j1", str(server.make_url("/")), TOKEN)


async def test_a_rehearsal_goes_the_way_of_a_job(api: Api) -> None:
    async with served(api) as address:
        assert await run_fix(address)
    assert api.states == ["running", "publishing", "succeeded"]
    assert "a brief of 7 characters" in api.log
    assert api.log.endswith("nothing was changed\n")
    assert api.calls[-1][0] == "PATCH", "the end is the last thing that it reports"


async def test_a_job_without_a_brief(api: Api) -> None:
    api.brief = ""
    async with served(api) as address:
        assert await run_fix(address)
    assert "this job has no brief" in api.log


@pytest.mark.parametrize("when", [0, 1, 3])
async def test_it_ends_when_its_launch_was_replaced(api: Api, when: int) -> None:
    async with served(api) as address:
        running = asyncio.create_task(run_fix(address))
        while len(api.calls) < when:
            await asyncio.sleep(0)
        api.statuses = [409] * 100
        assert await running is False
    assert "succeeded" not in api.states


async def test_it_ends_when_its_job_was_cancelled(api: Api) -> None:
    api.job_status = "failed"
    async with served(api) as address:
        assert await run_fix(address) is False


async def test_it_waits_while_the_server_does_not_answer(api: Api) -> None:
    api.statuses = [503, 500, 429]
    async with served(api) as address, job_client(address) as client:
        await client.report("running")
    assert api.states == ["running"]


async def test_a_refused_token_ends_it(api: Api) -> None:
    api.statuses = [401]
    async with served(api) as address:
        with pytest.raises(ApiRefuses, match="status 401"):
            await run_fix(address)


async def test_it_says_that_it_runs_while_it_prints_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "HEARTBEAT_SECONDS", 0.01)
    async with served(api) as address, job_client(address) as client, client.reporting():
        while sum(path == "/logs" for _, path, _ in api.calls) < 3:
            await asyncio.sleep(0)
    assert api.log == ""


async def test_work_is_cancelled_when_it_must_end(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "HEARTBEAT_SECONDS", 0.01)

    async def work() -> None:
        async with client.reporting():
            api.statuses = [409]
            await asyncio.Event().wait()

    async with served(api) as address, job_client(address) as client:
        with pytest.raises(Fenced):
            await work()


def test_its_address_is_in_its_environment() -> None:
    given = {"JOB_ID": "j1", "BACKEND_URL": "http://x", "JOB_TOKEN": "t"}
    assert JobAddress.from_environment(given) == JobAddress("j1", "http://x", "t")
    with pytest.raises(BadInput, match="JOB_TOKEN not set"):
        JobAddress.from_environment({**given, "JOB_TOKEN": ""})


async def test_what_strangers_named_is_sent_whatever_bytes_it_has(api: Api) -> None:
    path = os.fsdecode(b"caf\xe9.py")
    async with served(api) as address, job_client(address) as client:
        client.log(path)
        long = tuple(f"{number}/{LONG}" for number in range(6_000))
        outcome = FixOutcome(files=(path, *long), flags=(path, *long), blocked_hosts=long)
        await client.report("failed", error=f"{path} looks like a secret.", outcome=outcome)
    [(_, _, log), (_, _, report)] = api.calls
    assert log["text"] == "caf\ufffd.py\n"
    assert report["error"] == "caf\ufffd.py looks like a secret."
    assert report["outcome"]["files"][0] == "caf\ufffd.py"
    assert len(json.dumps(report)) < MAX_BODY_BYTES


async def test_sigterm_cancels_the_program_of_a_job_and_lets_it_clean_up(api: Api) -> None:
    api.hangs = True
    async with served(api) as address:
        variables = {"JOB_ID": address.job_id, "BACKEND_URL": address.url, "JOB_TOKEN": address.token}
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "soulcaster", "fix", "run"),
            env={**os.environ, **variables},
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            await api.hanging.wait()
            program.terminate()
            _, said = await program.communicate()
        api.released.set()
    assert program.returncode == 128 + signal.SIGTERM
    assert b"SIGTERM ended the job" in said
    assert b"Traceback" not in said
