"""One Kafka and one Redis for the whole test session, with a separate app and database for each test."""

import asyncio
import itertools
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import aiohttp
import psutil
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.dev.child import Child
from soulcaster.dev.kafka_install import fetch_jars
from soulcaster.dev.loopback import free_port
from soulcaster.dev.stack import Stack
from soulcaster.errors import StackError
from soulcaster.ports.projects import Stats
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import STACK_FILE, Settings
from soulcaster.processes.topics import provision_topics
from tests.support.forked import ForkedChild
from tests.support.secured import SecuredKafka
from tests.support.topics import remove_topics

_REDIS_DATABASES = 16
_numbers = itertools.count(1)

_STACKS = 2
"""Workers of xdist that run the tests of the shared stack, each on a stack of its own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests that share a Kafka run in one worker of xdist, so that it is started once."""
    modules: dict[str, int] = {}
    for item in items:
        if not isinstance(item, pytest.Function) or item.path.parent != Path(__file__).parent:
            continue  # this hook gets the tests of all folders
        if "secured" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group("secured"))
        elif "stack" in item.fixturenames:
            number = modules.setdefault(item.path.name, len(modules) % _STACKS)
            item.add_marker(pytest.mark.xdist_group(f"stack{number}"))


@pytest.fixture(scope="session")
def jars() -> None:
    """Fetch Kafka's jars; without them these tests are skipped."""
    try:
        fetch_jars()
    except StackError as error:
        pytest.skip(f"Kafka cannot be had: {error}")


@pytest.fixture(scope="session")
def stack(jars: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a Kafka and a Redis for all tests; a test that stops or breaks them starts its own Stack."""
    stack = Stack(tmp_path_factory.mktemp("stack"), partitions=4)
    asyncio.run(stack.start())
    yield stack
    asyncio.run(stack.stop())


@pytest.fixture(scope="session")
def secured(jars: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """Run a Kafka with TLS and users for all tests."""
    secured = SecuredKafka(tmp_path_factory.mktemp("secured"))
    asyncio.run(secured.kafka.start())
    yield secured
    asyncio.run(secured.kafka.stop())


@pytest_asyncio.fixture
async def fresh_settings(stack: Stack) -> Settings:
    return await fresh(stack)


async def fresh(stack: Stack) -> Settings:
    """Return settings of a new app (group, changelogs) on an empty Redis database, with topics without records."""
    number = next(_numbers) % _REDIS_DATABASES
    settings = stack.settings.model_copy(
        update={
            "app_id": f"test-{uuid4().hex[:8]}",
            "redis_url": stack.settings.redis_url.removesuffix("/0") + f"/{number}",
            "port": free_port(),
        }
    )
    async with Redis.from_url(settings.redis_url) as redis:
        await redis.flushdb()
    await remove_topics(settings)
    await provision_topics(settings)
    return settings


class Program:
    """The program `soulcaster` with a data dir, as a user runs it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.children: list[Child] = []

    def __call__(self, *arguments: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end and check its exit code."""
        done = subprocess.run(  # noqa: S603
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, **env},
        )
        assert done.returncode == code, f"{done.returncode}: {done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def beside(self, settings: Settings) -> None:
        """Make the data dir lead to a running stack, as the data dir of a `soulcaster run` does."""
        self.data_dir.mkdir()
        addresses = settings.model_dump(mode="json", exclude={"session_key"})
        (self.data_dir / STACK_FILE).write_text(json.dumps({"pid": os.getpid(), "settings": addresses}))

    def command(self, *arguments: str) -> list[str]:
        """Return the command line."""
        return [sys.executable, "-m", "soulcaster", *arguments, "--data-dir", str(self.data_dir)]

    def start(self, *arguments: str, **env: str) -> Child:
        """Start a command that keeps running, without loading it; it is stopped after the test."""
        module = ["soulcaster", *arguments, "--data-dir", str(self.data_dir)]
        return self._started(ForkedChild(arguments[0], module, log=self._log(arguments[0]), grace=40, env=env))

    def run(self, *arguments: str, **env: str) -> Child:
        """Start `soulcaster run`; it is stopped after the test."""
        command = self.command("run", *arguments)
        return self._started(Child("run", command, log=self._log("run"), grace=40, env=env))

    def _log(self, name: str) -> Path:
        return self.data_dir.with_name(f"{name}-{len(self.children)}.out")

    def _started(self, child: Child) -> Child:
        child.start()
        self.children.append(child)
        return child

    async def said(self, child: Child, words: str, seconds: float = 120) -> str:
        """Return what a command printed, as soon as it contains the words."""

        async def ready() -> bool:
            return words in child.log.read_text()

        await child.wait_ready(ready, seconds)
        return child.log.read_text()

    def processes(self) -> list[str]:
        """Return the command line of every process that uses the data dir."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            command = " ".join(process.info["cmdline"] or [])
            if str(self.data_dir) in command and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(command)
                continue
            try:
                if process.cwd().startswith(str(self.data_dir)):
                    found.append(command)
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found

    async def gone(self, seconds: float = 60) -> None:
        """Return when no process is left; a killed process takes a moment to disappear."""
        for _ in range(int(seconds * 10)):
            if not self.processes():
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"left running: {self.processes()}")


@pytest_asyncio.fixture
async def program(tmp_path: Path) -> AsyncIterator[Program]:
    """The program with a new data dir, where nothing runs yet."""
    program = Program(tmp_path / "data")
    yield program
    for child in reversed(program.children):
        await child.stop()


@pytest.fixture
def on_stack(program: Program, fresh_settings: Settings) -> Program:
    """The program with a data dir that leads to the shared stack, as beside a `soulcaster run`."""
    program.beside(fresh_settings)
    return program


async def settled(settings: Settings, project_id: str, items: int, seconds: float = 90) -> Stats:
    """Return a project's figures as soon as that many items are in clusters."""
    read_model = RedisReadModel(redis_access(settings))
    try:
        async with asyncio.timeout(seconds):
            while True:
                stats = await read_model.projects.stats(project_id)
                if stats.total_feedback - stats.unclustered >= items:
                    return stats
                await asyncio.sleep(0.1)
    finally:
        await read_model.close()


async def ready(http: aiohttp.ClientSession) -> None:
    """Return when the web server answers and reaches Kafka and Redis."""
    async with asyncio.timeout(60):
        while True:
            try:
                async with http.get("/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass  # not listening yet
            await asyncio.sleep(0.1)


async def project_of(http: aiohttp.ClientSession) -> str:
    """Return the project of a session's API key, as soon as the key works."""
    async with asyncio.timeout(30):
        while True:
            async with http.get("/stats") as answer:
                if answer.status == 200:
                    return str((await answer.json())["project_id"])
            await asyncio.sleep(0.1)
