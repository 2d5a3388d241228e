"""Questions what is near that somebody waits for, and answers to them, in Redis; each expires."""

from collections.abc import Collection, Sequence

from pydantic import TypeAdapter

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.domain.near import NearAnswer
from soulcaster.ports.near_answers import KEPT, WAITED

_ANSWER: TypeAdapter[NearAnswer] = TypeAdapter(NearAnswer)

_OPEN = ""


class RedisNearAnswers:
    """NearAnswers over Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def ask(self, query_id: str) -> None:
        """Open a question for `WAITED`."""
        async with self._connection.commands() as redis:
            await redis.set(keys.near_answer(query_id), _OPEN, expires=WAITED)

    async def open(self, query_ids: Sequence[str]) -> Collection[str]:
        """Return those questions that somebody waits for and nobody has answered."""
        if not query_ids:
            return ()
        async with self._connection.commands() as redis:
            found = await redis.mget([keys.near_answer(query_id) for query_id in query_ids])
        return {query_id for query_id, text in zip(query_ids, found, strict=True) if text == _OPEN}

    async def put(self, query_id: str, answer: NearAnswer) -> None:
        """Keep the answer to a question for `KEPT`; one to a question that nobody waits for is not kept."""
        async with self._connection.commands() as redis:
            await redis.set_known(keys.near_answer(query_id), _ANSWER.dump_json(answer), expires=KEPT)

    async def get(self, query_id: str) -> NearAnswer | None:
        """Return the answer to a question, None while there is none."""
        async with self._connection.commands() as redis:
            text = await redis.get(keys.near_answer(query_id))
        return _ANSWER.validate_json(text) if text else None
