"""Answers to questions what is near: each is there until it expires."""

from redis.asyncio import Redis

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.near import NOTHING_NEAR, Near, NearAnswer
from soulcaster.ports.near_answers import KEPT
from tests.conftest import RedisServer

ANSWER = NearAnswer((Near("i2", "c2", 0.5, 0.25), Near("i3", "c3", -0.125, 1.0)), ("i4",))


async def test_an_answer_is_there_by_its_question(read_model: RedisReadModel) -> None:
    answers = read_model.near_answers
    assert await answers.get("q1") is None
    await answers.put("q1", ANSWER)
    await answers.put("q2", NOTHING_NEAR)
    assert await answers.get("q1") == ANSWER
    assert await answers.get("q2") == NOTHING_NEAR


async def test_it_expires_and_a_rebuild_leaves_it(read_model: RedisReadModel, redis_server: RedisServer) -> None:
    await read_model.near_answers.put("q1", ANSWER)
    await read_model.writer.clear()
    assert await read_model.near_answers.get("q1") == ANSWER
    async with Redis.from_url(redis_server.url) as redis:
        assert 0 < int(await redis.ttl(keys.near_answer("q1"))) <= KEPT.total_seconds()
