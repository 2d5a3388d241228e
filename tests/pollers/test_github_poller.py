"""The GitHub poller between our API and a GitHub, with a clock that the test sets."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import stamina
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs
from yarl import URL

from soulcaster.adapters.github.issues import GitHubIssues
from soulcaster.errors import ApiRefuses
from soulcaster.pollers.api_client import ApiClient
from soulcaster.pollers.github import LOOK_SECONDS, GitHubPoller
from soulcaster.ports.projects import Project
from soulcaster.web.api.github_sync import handlers as github_sync
from tests.pollers.conftest import Turned
from tests.support.github_issues import GitHub
from tests.support.make import NOW
from tests.support.web import World
from tests.web.conftest import world as world

INTERVAL = 600.0


class Setting:
    """A GitHub, our API, and pollers."""

    def __init__(self, world: World, hub: GitHub, clock: Turned, stack: AsyncExitStack) -> None:
        self.world = world
        self.hub = hub
        self.clock = clock
        self._stack = stack
        self.api = URL()

    async def serve(self, **more: Any) -> None:
        issues = await self._stack.enter_async_context(GitHubIssues(self.hub.url, lambda: self.world.now))
        server = TestServer(self.world.app(issues=issues, **more), host="127.0.0.1")
        self._stack.push_async_callback(server.close)
        await server.start_server(shutdown_timeout=0.1)
        self.api = server.make_url("")

    async def configure(self, *repositories: str, project: str = "p1", enabled: bool = True) -> None:
        await self.world.read_model.writer.put_project(Project(project, project, NOW))
        version = (await self.world.read_model.project_config.get(project)).version
        body = {"version": version, "repositories": repositories, "sources": {"github": {"enabled": enabled}}}
        async with (
            aiohttp.ClientSession() as session,
            session.put(self.api.with_path("/config/project").with_query(project_id=project), json=body) as answer,
        ):
            assert answer.status == 202, await answer.text()

    async def poller(self, *, key: str = "") -> GitHubPoller:
        """Return a newly started poller."""
        session = await self._stack.enter_async_context(aiohttp.ClientSession())
        return GitHubPoller(ApiClient(session, self.api, key), interval=INTERVAL, clock=self.clock)

    @property
    def posted(self) -> int:
        return sum(message.topic == "feedback.raw" for message in self.world.publisher.sent)

    async def passed(self, poller: GitHubPoller, seconds: float) -> None:
        """Let the poller work for these seconds."""
        until = self.clock.at + seconds
        while self.clock.at < until:
            self.clock.at += min(await poller.step(), until - self.clock.at)


@pytest.fixture
async def setting(world: World, clock: Turned) -> AsyncIterator[Setting]:
    async with AsyncExitStack() as stack:
        made = Setting(world, await stack.enter_async_context(GitHub()), clock, stack)
        await made.serve()
        with stamina.set_testing(True, attempts=2):
            yield made


async def test_it_syncs_every_few_minutes(setting: Setting) -> None:
    setting.hub.put(1)
    setting.world.now = setting.hub.now
    await setting.configure("acme/shop")
    poller = await setting.poller()
    await setting.passed(poller, INTERVAL - 1)
    assert (len(setting.hub.calls), setting.posted) == (1, 1)
    setting.hub.put(2)
    await setting.passed(poller, 2)
    assert (len(setting.hub.calls), setting.posted) == (2, 2 + 1), "what is not in the read model yet comes again"


async def test_without_repositories_it_is_idle_and_says_so_once(setting: Setting) -> None:
    await setting.configure()
    await setting.configure("acme/shop", project="p2", enabled=False)
    poller = await setting.poller()
    with capture_logs() as logs:
        await setting.passed(poller, INTERVAL * 2)
    assert [log["project"] for log in logs if "no repositories" in log["event"]] == ["p1", "p2"]
    assert setting.hub.calls == []
    await setting.configure("acme/shop")
    await setting.passed(poller, LOOK_SECONDS + 1)
    assert len(setting.hub.calls) == 1, "what is set anew is synced at once"


async def test_a_limit_is_waited_out_for_every_project(setting: Setting) -> None:
    await setting.configure("acme/shop")
    await setting.configure("acme/shop", project="p2")
    setting.hub.answers = [web.Response(status=429, headers={"Retry-After": "1800"})]
    poller = await setting.poller()
    await setting.passed(poller, 1799)
    assert len(setting.hub.calls) == 1
    await setting.passed(poller, LOOK_SECONDS)
    assert setting.hub.statuses == [429, 200, 200]


async def test_what_fails_is_tried_at_the_next_time_and_keeps_nobody_waiting(setting: Setting) -> None:
    await setting.configure("acme/shop")
    await setting.configure("acme/shop", project="p2")
    setting.hub.answers = [web.Response(status=500)]
    poller = await setting.poller()
    await setting.passed(poller, INTERVAL - 1)
    assert setting.hub.statuses == [500, 200]
    await setting.passed(poller, 2)
    assert setting.hub.statuses == [500, 200, 200, 200]


async def test_a_large_repository_is_read_to_its_end(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github_sync, "SYNC_SECONDS", 0.0)
    for number in range(350):
        setting.hub.put(number)
    setting.world.now = setting.hub.now + timedelta(hours=1)
    await setting.configure("acme/shop")
    await setting.passed(await setting.poller(), 1)
    assert setting.posted >= 350


async def test_a_project_that_is_gone_is_left(setting: Setting) -> None:
    await setting.configure("acme/shop")
    await setting.configure("acme/shop", project="p2")
    poller = await setting.poller()
    await setting.passed(poller, 1)
    await setting.serve(keyless=False)
    header = await setting.world.key("ingest", "read", project="p2")
    other = await setting.poller(key=header["Authorization"].removeprefix("Bearer "))
    calls = len(setting.hub.calls)
    await setting.passed(other, 1)
    assert len(setting.hub.calls) == calls + 1, "a key shows its own project alone"
    with pytest.raises(ApiRefuses):  # tests limit the number of retries
        await (await setting.poller()).step()


async def test_a_key_that_may_not_ingest_keeps_it_from_nothing_else(setting: Setting) -> None:
    await setting.configure("acme/shop")
    await setting.serve(keyless=False)
    header = await setting.world.key("read")
    poller = await setting.poller(key=header["Authorization"].removeprefix("Bearer "))
    with capture_logs() as logs:
        await setting.passed(poller, 1)
    assert [log["reason"] for log in logs if log["event"] == "not synced" and "403" in log["reason"]]


async def test_the_program_syncs_until_it_is_told_to_stop(setting: Setting, tmp_path: Path) -> None:
    setting.hub.put(1)
    await setting.configure("acme/shop")
    arguments = ("-m", "soulcaster", "poll", "github", "--data-dir", str(tmp_path))
    environment = {**os.environ, "BACKEND_URL": str(setting.api)}
    runs = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(30):
            while not setting.posted:
                assert runs.returncode is None
                await asyncio.sleep(0.1)
            runs.terminate()
            _, said = await runs.communicate()
    finally:
        if runs.returncode is None:
            runs.kill()
            await runs.wait()
    assert runs.returncode == 0, said.decode()
    assert "Traceback" not in said.decode()
