"""Redis or Kafka is killed while many post over HTTP to the program's own processes.

A signal ends them while a system does not answer.

Kafka alone, and one that hangs, is in tests/web/test_on_kafka.py; workers that are hurt are in tests/loss.
"""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.fernet import Fernet

from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.dev.loopback import free_port
from soulcaster.dev.stack import Stack
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.messaging import Outgoing
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.web.problems import REQUEST_SECONDS
from soulcaster.wire.topics import FEEDBACK_RAW
from tests.integration.conftest import Program, project_of, ready, settled

pytestmark = pytest.mark.integration

CALLERS = 8


class Crowd:
    """Callers with a key that post one item after the other, and read; what they were answered."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self.accepted: set[str] = set()
        self.answers: Counter[int] = Counter()

    async def call(self) -> None:
        """Go on until cancelled; each request ends in time, by a success or a 503 that says when to come back."""
        while True:
            async with asyncio.timeout(REQUEST_SECONDS + 5):
                async with self._http.post("/ingest/manual", json={"text": "The export is broken"}) as answer:
                    if await self._fine(answer, 202):
                        self.accepted.add((await answer.json())["id"])
                async with self._http.get("/stats") as answer:
                    await self._fine(answer, 200)
            await asyncio.sleep(0.05)

    async def _fine(self, answer: aiohttp.ClientResponse, status: int) -> bool:
        self.answers[answer.status] += 1
        assert answer.status in (status, 503), await answer.text()
        assert answer.status == status or int(answer.headers["Retry-After"]) > 0
        return answer.status == status

    async def until(self, status: int) -> None:
        """Return once this was answered some more times."""
        wanted = self.answers[status] + CALLERS
        async with asyncio.timeout(60):
            while self.answers[status] < wanted:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("part", ["redis", "kafka"])
async def test_killed_while_many_post(jars: None, program: Program, tmp_path: Path, part: str) -> None:
    async with Stack(tmp_path / "stack", partitions=4) as stack:
        await stack.provision()
        settings = stack.settings.model_copy(update={"port": free_port()})
        program.beside(settings)
        secret = Fernet.generate_key().decode()
        children = [
            program.start(command, SOULCASTER_SESSION_KEY=secret, SOULCASTER_SECRETS_KEY=secret)
            for command in ("worker", "web")
        ]
        command = ("keys", "create", "--project", "Stopped", "--name", "crowd", "--scope", "ingest", "--scope", "read")
        made = await asyncio.to_thread(program, *command)
        key = {"Authorization": f"Bearer {made.stdout.strip()}"}
        async with aiohttp.ClientSession(f"http://127.0.0.1:{settings.port}", headers=key) as http:
            await ready(http)
            project_id = await project_of(http)
            crowd = Crowd(http)
            async with asyncio.TaskGroup() as group:
                callers = [group.create_task(crowd.call()) for _ in range(CALLERS)]
                await crowd.until(202)
                await settled(settings, project_id, CALLERS)
                await (stack.redis if part == "redis" else stack.kafka.child).kill()
                await crowd.until(503)
                await (stack.start_redis() if part == "redis" else stack.start_kafka())
                await crowd.until(202)
                for caller in callers:
                    caller.cancel()
        await settled(settings, project_id, len(crowd.accepted))
        items = await asyncio.to_thread(program, "export", "--project", project_id)
        shown = [json.loads(line) for line in items.stdout.splitlines()]
        assert crowd.accepted <= {item["id"] for item in shown}
        assert all(item["cluster_id"] for item in shown)
        assert all(child.running for child in children)
        for child in reversed(children):
            await child.stop()


async def test_a_signal_ends_every_process_while_kafka_hangs(jars: None, program: Program, tmp_path: Path) -> None:
    secret = Fernet.generate_key().decode()
    async with Stack(tmp_path / "stack", partitions=1) as stack:
        await stack.provision()
        settings = stack.settings.model_copy(update={"port": free_port()})
        program.beside(settings)
        children = [
            program.start(command, SOULCASTER_SESSION_KEY=secret, SOULCASTER_SECRETS_KEY=secret)
            for command in ("worker", "web", "launcher")
        ]
        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{settings.port}") as http,
            KafkaPublisher(kafka_access(settings), timeout=1.0) as publisher,
        ):
            await ready(http)
            feedback: dict[str, Any] = {"params": {"project_id": "p1"}, "json": {"text": "The export is broken"}}
            async with http.post("/ingest/manual", **feedback) as answer:
                assert answer.status == 202
            await settled(settings, "p1", 1)
            stack.kafka.child.pause()
            try:
                async with http.post("/ingest/manual", **feedback) as answer:
                    assert answer.status == 503  # and the web server's producer still holds it
                with pytest.raises(KafkaUnavailable):
                    await publisher.publish([Outgoing(FEEDBACK_RAW.name, None, b"")])
                async with asyncio.timeout(60):
                    await publisher.stop()
                await asyncio.gather(*(child.stop() for child in children))
            finally:
                stack.kafka.child.resume()
        assert {child.name: await child.wait() for child in children} == dict.fromkeys(("worker", "web", "launcher"), 0)
