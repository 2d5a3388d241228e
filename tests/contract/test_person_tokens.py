"""Sealed GitHub tokens of people: one a job, until it expires or the job has ended."""

from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from redis.asyncio import Redis

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.lifecycle import MAX_LAUNCHES
from soulcaster.services.person_tokens import PersonTokens
from soulcaster.services.webhook_secrets import Seal
from tests.conftest import RedisServer
from tests.support.make import step


async def seconds_left(redis_server: RedisServer, job_id: str) -> int:
    async with Redis.from_url(redis_server.url) as redis:
        return int(await redis.ttl(keys.person_token(job_id)))


async def test_the_last_token_of_a_job_is_read(read_model: RedisReadModel) -> None:
    tokens = read_model.person_tokens
    assert await tokens.get("j1") is None
    for sealed in ("one", "gAAAA_-="):
        await tokens.keep("j1", sealed, timedelta(hours=1))
    assert await tokens.get("j1") == "gAAAA_-="
    assert await tokens.get("j2") is None


@pytest.mark.parametrize(("launch_seconds", "kept"), [(600, MAX_LAUNCHES * 600), (24 * 3600, 24 * 3600)])
async def test_it_is_kept_as_long_as_all_launches_may_take_and_a_day_at_most(
    read_model: RedisReadModel, redis_server: RedisServer, launch_seconds: int, kept: int
) -> None:
    tokens = PersonTokens(read_model.person_tokens, Seal(Fernet.generate_key().decode()))
    await tokens.keep("j1", "ghp_x", launch_seconds=launch_seconds)
    assert kept - 60 < await seconds_left(redis_server, "j1") <= kept


async def test_another_key_opens_it_no_more_and_an_old_one_does(read_model: RedisReadModel) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    await PersonTokens(read_model.person_tokens, Seal(old)).keep("j1", "ghp_x", launch_seconds=60)
    assert await PersonTokens(read_model.person_tokens, Seal(new)).of("j1") is None
    assert await PersonTokens(read_model.person_tokens, Seal(f"{new}, {old}")).of("j1") == "ghp_x"


async def test_it_outlives_a_step_and_a_rebuild_and_not_the_end_of_its_job(read_model: RedisReadModel) -> None:
    await read_model.person_tokens.keep("j1", "sealed", timedelta(hours=1))
    await read_model.person_tokens.keep("j2", "sealed", timedelta(hours=1))
    await read_model.writer.put_job_steps([step(0, "running")])
    await read_model.writer.clear()
    await read_model.writer.put_job_steps([step(0, "running")])
    assert await read_model.person_tokens.get("j1") == "sealed"
    await read_model.writer.put_job_steps([step(1, "failed")])
    assert await read_model.person_tokens.get("j1") is None
    assert await read_model.person_tokens.get("j2") == "sealed"
