"""The intake and /ready on a real Kafka that is killed, hangs, and comes back."""

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiokafka import AIOKafkaConsumer

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.dead_letters import KafkaDeadLetters
from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.adapters.kafka.readiness import KafkaReadiness
from soulcaster.adapters.redis.rate_limits import RedisRateLimits
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.adapters.redis.sign_in_tokens import RedisSignIn
from soulcaster.dev.stack import Stack
from soulcaster.domain.ids import item_id
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.redis_access import redis_access
from soulcaster.services.webhook_secrets import Seal
from soulcaster.web.api.health.handlers import CHECK_SECONDS
from soulcaster.web.dependencies import Options, Systems
from soulcaster.web.server import create_app
from soulcaster.wire.topics import FEEDBACK_RAW
from tests.support.answers import problem
from tests.support.code_hosts import NoHost
from tests.support.web import FIXES, JOB_TOKENS, POLLING, SECRETS_KEY, SESSION_KEY, Client, EveryRepository, OneIssue

pytestmark = pytest.mark.integration


async def post(client: Client, accepted: set[str]) -> int:
    answer = await client.post("/ingest/manual", params={"project_id": "p1"}, json={"text": "It is slow"})
    if answer.status == 202:
        accepted.add((await answer.json())["id"])
    else:
        await problem(answer, 503)
    return answer.status


async def becomes(client: Client, status: int) -> None:
    """Wait until /ready answers with this status; no answer takes longer than its limit."""
    deadline = time.monotonic() + 60
    while True:
        began = time.monotonic()
        answer = await client.get("/ready")
        assert time.monotonic() - began < CHECK_SECONDS + 1
        if answer.status == status:
            return
        assert time.monotonic() < deadline, await answer.text()
        await asyncio.sleep(0.2)


async def stored(kafka: KafkaAccess) -> set[str]:
    """Return the ids of all items on feedback.raw."""
    found = set()
    consumer = AIOKafkaConsumer(FEEDBACK_RAW.name, **kafka.options(), auto_offset_reset="earliest")
    async with consumer:
        while batches := await consumer.getmany(timeout_ms=2000):
            for record in (record for batch in batches.values() for record in batch):
                raw = json.loads(record.value)
                found.add(item_id(raw["project_id"], raw["source"], raw["external_id"]))
    return found


async def test_what_was_answered_202_is_on_kafka(tmp_path: Path) -> None:
    accepted: set[str] = set()
    async with Stack(tmp_path, partitions=2) as stack:
        await stack.provision()
        access, redis = kafka_access(stack.settings), redis_access(stack.settings)
        kafka, sign_in, read_model = KafkaReadiness(access), RedisSignIn(redis), RedisReadModel(redis)
        async with KafkaPublisher(access, timeout=3.0) as publisher:
            app = create_app(
                Systems(
                    read_model=read_model,
                    publisher=publisher,
                    dead_letters=KafkaDeadLetters(access),
                    kafka=kafka,
                    sign_in=sign_in,
                    rate_limits=RedisRateLimits(
                        redis, per_key=1, per_project=1, megabytes=6, items=6_000, clock=lambda: datetime.now(UTC)
                    ),
                    issues=OneIssue(),
                    repositories=EveryRepository(),
                    code_hosts=NoHost(),
                    clock=lambda: datetime.now(UTC),
                ),
                Options(SESSION_KEY, Seal(SECRETS_KEY), JOB_TOKENS, FIXES, POLLING, keyless=True),
            )
            async with TestClient(TestServer(app)) as client:
                await becomes(client, 200)
                assert await asyncio.gather(*(post(client, accepted) for _ in range(50))) == [202] * 50

                stack.kafka.child.pause()
                began = time.monotonic()
                assert await post(client, accepted) == 503
                assert time.monotonic() - began < 6
                await becomes(client, 503)
                stack.kafka.child.resume()
                await becomes(client, 200)

                await stack.kafka.child.kill()
                assert await post(client, accepted) == 503
                await becomes(client, 503)
                await stack.start_kafka()
                await becomes(client, 200)
                assert await post(client, accepted) == 202
        await kafka.close()
        await sign_in.close()
        await read_model.close()
        assert accepted <= await stored(access)
        assert len(accepted) == 51
