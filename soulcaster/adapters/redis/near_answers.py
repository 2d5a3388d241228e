"""Answers to questions what is near, in Redis; each expires."""

from pydantic import TypeAdapter

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.domain.near import NearAnswer
from soulcaster.ports.near_answers import KEPT

_ANSWER: TypeAdapter[NearAnswer] = TypeAdapter(NearAnswer)


class RedisNearAnswers:
    """NearAnswers over Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def put(self, query_id: str, answer: NearAnswer) -> None:
        """Keep an answer for `KEPT`."""
        async with self._connection.commands() as redis:
            await redis.set(keys.near_answer(query_id), _ANSWER.dump_json(answer), expires=KEPT)

    async def get(self, query_id: str) -> NearAnswer | None:
        """Return the answer to a question, None while there is none."""
        async with self._connection.commands() as redis:
            text = await redis.get(keys.near_answer(query_id))
        return None if text is None else _ANSWER.validate_json(text)
