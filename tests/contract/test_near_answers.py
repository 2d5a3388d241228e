"""Questions what is near: each is open until it is answered or nobody waits any more; answers expire."""

from redis.asyncio import Redis

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.near import NOTHING_NEAR, Near, NearAnswer
from soulcaster.ports.near_answers import KEPT, WAITED
from tests.conftest import RedisServer

ANSWER = NearAnswer((Near("i2", "c2", 0.5, 0.25), Near("i3", "c3", -0.125, 1.0)), ("i4",))


async def test_a_question_is_open_until_it_is_answered(read_model: RedisReadModel) -> None:
    answers = read_model.near_answers
    assert await answers.open([]) == ()
    for query_id in ("q1", "q2"):
        await answers.ask(query_id)
        assert await answers.get(query_id) is None
    assert await answers.open(["q2", "q9", "q1"]) == {"q1", "q2"}
    await answers.put("q1", ANSWER)
    assert await answers.open(["q1", "q2"]) == {"q2"}
    await answers.put("q2", NOTHING_NEAR)
    assert await answers.get("q1") == ANSWER
    assert await answers.get("q2") == NOTHING_NEAR


async def test_it_expires_and_a_rebuild_leaves_it(read_model: RedisReadModel, redis_server: RedisServer) -> None:
    await read_model.near_answers.ask("q1")
    await read_model.writer.clear()
    async with Redis.from_url(redis_server.url) as redis:
        assert 0 < await redis.pttl(keys.near_answer("q1")) <= 1000 * WAITED.total_seconds()
        await read_model.near_answers.put("q1", ANSWER)
        await read_model.writer.clear()
        assert await read_model.near_answers.get("q1") == ANSWER
        assert 1000 * WAITED.total_seconds() < await redis.pttl(keys.near_answer("q1")) <= 1000 * KEPT.total_seconds()


async def test_an_answer_to_a_question_for_which_nobody_waits_is_not_kept(
    read_model: RedisReadModel, redis_server: RedisServer
) -> None:
    await read_model.near_answers.put("q1", ANSWER)
    async with Redis.from_url(redis_server.url) as redis:
        assert await redis.keys("near:*") == []
