"""Sessions in Redis: each expires by itself; a hash a user has their ids."""

from collections.abc import Collection
from datetime import timedelta

from pydantic import TypeAdapter

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.domain.sessions import LONGEST, Session

SESSION: TypeAdapter[Session] = TypeAdapter(Session)


class RedisSessions:
    """SessionStore over Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def add(self, session: Session, expires: timedelta) -> None:
        """Keep a new session for so long."""
        ids = keys.session_ids(session.user_id)
        async with self._connection.commands() as redis:
            pipe = redis.pipeline()
            pipe.hset(ids, {session.id: ""})  # first, so that whoever ends all sessions finds it
            pipe.expire_at(ids, session.started_at + LONGEST)
            pipe.set(keys.session(session.user_id, session.id), SESSION.dump_json(session), expires=expires)
            await pipe.execute()

    async def renew(self, session: Session, expires: timedelta) -> bool:
        """Keep a session for so long from now; return False, and keep nothing, if it has ended."""
        key = keys.session(session.user_id, session.id)
        async with self._connection.commands() as redis:
            return await redis.set_known(key, SESSION.dump_json(session), expires=expires)

    async def get(self, user_id: str, session_id: str) -> Session | None:
        """Return a session of a user, None if it has ended."""
        async with self._connection.commands() as redis:
            text = await redis.get(keys.session(user_id, session_id))
        return None if text is None else SESSION.validate_json(text)

    async def of_user(self, user_id: str) -> tuple[Session, ...]:
        """Return all sessions of a user, the one that was used last first; forget the ids of those that expired."""
        async with self._connection.commands() as redis:
            ids = await redis.hkeys(keys.session_ids(user_id))
            if not ids:
                return ()
            texts = await redis.mget([keys.session(user_id, session_id) for session_id in ids])
            if gone := [session_id for session_id, text in zip(ids, texts, strict=True) if text is None]:
                await redis.hdel(keys.session_ids(user_id), *gone)
        found = [SESSION.validate_json(text) for text in texts if text is not None]
        return tuple(sorted(found, key=lambda session: (session.seen_at, session.started_at), reverse=True))

    async def end(self, user_id: str, session_ids: Collection[str]) -> None:
        """End sessions of a user."""
        if session_ids:
            async with self._connection.commands() as redis:
                await redis.delete(*(keys.session(user_id, session_id) for session_id in session_ids))
                await redis.hdel(keys.session_ids(user_id), *session_ids)
