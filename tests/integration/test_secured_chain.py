"""The whole chain over TLS, with passwords for Kafka and Redis: from a post to a job that has succeeded."""

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from cryptography.fernet import Fernet
from redis import Redis

from soulcaster.dev.loopback import free_port
from soulcaster.processes.topics import provision_topics
from tests.conftest import RedisServer
from tests.integration.conftest import Program, ready, settled
from tests.support.secured import PASSWORD, USER, SecuredKafka
from tests.support.tls_proxy import TlsProxy

pytestmark = pytest.mark.integration


@pytest.fixture
def redis_url(redis_to_break: RedisServer, secured: SecuredKafka) -> Iterator[str]:
    """A Redis that lets one user in, by TLS."""
    with Redis(port=redis_to_break.port) as redis:
        redis.execute_command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", "~*", "+@all")
        redis.execute_command("ACL", "SETUSER", "default", "off")
    with TlsProxy(redis_to_break.port, secured.authority.issue("redis")) as proxy:
        yield f"rediss://{USER}:{PASSWORD}@localhost:{proxy.port}/0"


async def test_from_a_post_to_a_job_over_tls(secured: SecuredKafka, redis_url: str, program: Program) -> None:
    settings = secured.settings(
        redis_url=redis_url, redis_ca_file=str(secured.authority.file), port=free_port(), keyless=True
    )
    await provision_topics(settings)
    program.beside(settings)
    key = Fernet.generate_key().decode()
    variables = {
        "SOULCASTER_KAFKA_PASSWORD_FILE": str(secured.password),
        "SOULCASTER_SESSION_KEY": key,
        "SOULCASTER_SECRETS_KEY": key,
        "SOULCASTER_LOG_LEVEL": "DEBUG",
    }
    for command in ("worker", "web", "launcher"):
        program.start(command, **variables)
    here = {"project_id": "secured"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{settings.port}") as http:

        async def get(path: str) -> Any:
            async with http.get(path, params=here) as answer:
                assert answer.status == 200, await answer.text()
                return await answer.json()

        await ready(http)
        for text in ("the export is broken", "the export is broken", "I love the new colours"):
            async with http.post("/ingest/manual", params=here, json={"text": text}) as answer:
                assert answer.status == 202, await answer.text()
        await settled(settings, here["project_id"], 3)
        [largest, _] = await get("/clusters")
        async with http.post(f"/clusters/{largest['id']}/start_fix", params=here) as answer:
            assert answer.status == 202, await answer.text()
        async with asyncio.timeout(60):
            while [job["status"] for job in await get("/jobs")] != ["success"]:
                await asyncio.sleep(0.2)
    assert "All is well." in program("doctor", code=0, **variables).stdout
    for child in program.children:
        assert PASSWORD not in child.log.read_text()
