"""Writing the read model to Redis."""

import json
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.api_keys import API_KEY, forget_ended
from soulcaster.adapters.redis.cluster_writer import ClusterWriter
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.documents import DOCUMENT
from soulcaster.adapters.redis.item_writer import ItemWriter
from soulcaster.adapters.redis.job_log_writer import JobLogWriter
from soulcaster.adapters.redis.job_writer import JobWriter
from soulcaster.adapters.redis.members import MEMBERSHIP, USER
from soulcaster.adapters.redis.notices import NoticeWriter
from soulcaster.adapters.redis.project_config import CONFIG
from soulcaster.adapters.redis.projects import project_fields
from soulcaster.adapters.redis.sources import KICK_PREFIX, REPORT, REPORT_PREFIX, REPOSITORY
from soulcaster.adapters.redis.typed import Commands
from soulcaster.adapters.redis.webhook_secrets import SECRET
from soulcaster.adapters.redis.write_leases import WriteLeases
from soulcaster.domain.api_keys import ApiKey
from soulcaster.domain.events import ClusterEvent
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.fixes.document import Document
from soulcaster.domain.fixes.job_log import LogChunk
from soulcaster.domain.lifecycle import JobStep
from soulcaster.domain.members import Membership, User
from soulcaster.domain.source_state import RepositoryState, SourceReport
from soulcaster.domain.webhook_secrets import WebhookSecret
from soulcaster.ports.projects import STEP_BYTES, Project
from soulcaster.wire.project_config import StoredConfig

CLEARED_AT_ONCE = 10_000
"""Keys that one command deletes when the read model is cleared."""

WRITTEN_AT_ONCE = 400
"""Items or events that are written together: more would hold up whatever else the process does."""


class RedisReadModelWriter:
    """ReadModelWriter over Redis."""

    def __init__(self, connection: RedisConnection, *, notices: bool, logs_expire: timedelta | None = None) -> None:
        """Write over a connection; with `notices`, changes of items, clusters and jobs add a notice.

        `logs_expire` is how long the log of a job is kept after its last chunk; None is for ever.
        """
        self._connection = connection
        self._leases = WriteLeases(connection)
        notice_writer = NoticeWriter(enabled=notices)
        self._items = ItemWriter(notice_writer)
        self._clusters = ClusterWriter(self._items, notice_writer)
        self._jobs = JobWriter(notice_writer)
        self._job_logs = JobLogWriter(logs_expire)

    def writing(self, partitions: Collection[int]) -> AbstractAsyncContextManager[None]:
        """Hold the leases of partitions during the block: nobody else writes their projects meanwhile."""
        return self._leases.held(partitions)

    async def clear(self) -> None:
        """Delete the keys that can be made again from Kafka; others, as sign-in tokens and cached vectors, stay."""
        async with self._commands() as redis:
            for pattern in keys.MADE_AGAIN:
                found: list[str] = []
                async for key in redis.scan(pattern, count=CLEARED_AT_ONCE):
                    found.append(key)
                    if len(found) == CLEARED_AT_ONCE:
                        await redis.unlink(*found)
                        found = []
                if found:
                    await redis.unlink(*found)

    async def put_items(self, project_id: str, items: Sequence[FeedbackItem]) -> None:
        """Store items that are not deleted; the newest version wins."""
        async with self._commands() as redis:
            for first in range(0, len(items), WRITTEN_AT_ONCE):
                await self._items.put(redis, project_id, items[first : first + WRITTEN_AT_ONCE])

    async def delete_items(self, project_id: str, item_ids: Collection[str]) -> None:
        """Delete items for good."""
        if item_ids:
            async with self._commands() as redis:
                await self._items.delete(redis, project_id, dict.fromkeys(item_ids))

    async def apply(self, project_id: str, events: Sequence[ClusterEvent]) -> None:
        """Apply cluster events in order."""
        async with self._commands() as redis:
            for first in range(0, len(events), WRITTEN_AT_ONCE):
                await self._clusters.apply(redis, project_id, events[first : first + WRITTEN_AT_ONCE])

    async def put_job_steps(self, steps: Sequence[JobStep]) -> None:
        """Apply job steps and their log lines."""
        async with self._commands() as redis:
            await self._jobs.put(redis, steps)

    async def put_job_logs(self, project_id: str, chunks: Sequence[LogChunk]) -> None:
        """Add chunks to the logs of jobs of a project; logs of older jobs go where there are too many."""
        async with self._commands() as redis:
            await self._job_logs.put(redis, project_id, chunks)

    async def put_project(self, project: Project) -> None:
        """Store a project."""
        async with self._commands() as redis:
            transaction = redis.transaction()
            transaction.hset(keys.project(project.id), project_fields(project))
            transaction.sadd(keys.projects(), project.id)
            await transaction.execute()

    async def put_api_key(self, key: ApiKey) -> None:
        """Store an API key under the hash of its secret; forget old ones that stand no more where there are many."""
        async with self._commands() as redis:
            transaction = redis.transaction()
            transaction.set(keys.api_key(key.hash), API_KEY.dump_json(key))
            transaction.zadd(keys.api_keys(key.project_id), {key.hash: key.created_at.timestamp()})
            await transaction.execute()
            await forget_ended(redis, key.project_id, key.revoked_at or key.created_at)

    async def put_user(self, user: User) -> None:
        """Store a user."""
        async with self._commands() as redis:
            await redis.set(keys.user(user.id), USER.dump_json(user))

    async def put_member(self, membership: Membership) -> None:
        """Store a membership for its project and for its user, or remove it from both."""
        project_id, user_id = membership.project_id, membership.user_id
        async with self._commands() as redis:
            transaction = redis.transaction()
            if membership.removed_at is None:
                text = MEMBERSHIP.dump_json(membership)
                transaction.hset(keys.members(project_id), {user_id: text})
                transaction.hset(keys.memberships(user_id), {project_id: text})
            else:
                transaction.hdel(keys.members(project_id), user_id)
                transaction.hdel(keys.memberships(user_id), project_id)
            await transaction.execute()

    async def put_documents(self, documents: Sequence[Document]) -> None:
        """Store documents that are not there; a plan becomes the newest of its cluster."""
        if not documents:
            return
        async with self._commands() as redis:
            pipe = redis.pipeline()
            sizes = {(one.project_id, one.id): pipe.strlen(keys.document(one.project_id, one.id)) for one in documents}
            await pipe.execute()
            new = {key for key, size in sizes.items() if not size.value}
            transaction = redis.transaction()
            for document in documents:
                value = DOCUMENT.dump_json(document)
                transaction.set_new(keys.document(document.project_id, document.id), value)
                if (document.project_id, document.id) in new:
                    new.discard((document.project_id, document.id))
                    transaction.incr(keys.stored_bytes(document.project_id), STEP_BYTES + len(value))
                if document.kind == "plan":
                    transaction.set(keys.cluster_plan(document.project_id, document.cluster_id), document.id)
            await transaction.execute()

    async def put_project_config(self, project_id: str, config: StoredConfig) -> None:
        """Store a project's settings, and its subreddits where older programs look for them."""
        subreddits = config.config.sources.reddit.subreddits
        async with self._commands() as redis:
            transaction = redis.transaction()
            transaction.set(keys.project_config(project_id), CONFIG.dump_json(config))
            if subreddits is None:
                transaction.delete(keys.subreddits(project_id))
            else:
                transaction.set(keys.subreddits(project_id), json.dumps(subreddits))
            await transaction.execute()

    async def put_webhook_secret(self, secret: WebhookSecret) -> None:
        """Store a webhook secret, or delete it where it has `removed_at`."""
        key = keys.webhook_secrets(secret.project_id)
        async with self._commands() as redis:
            if secret.removed_at is None:
                await redis.hset(key, {secret.id: SECRET.dump_json(secret)})
            else:
                await redis.hdel(key, secret.id)

    async def put_source_report(self, project_id: str, source: str, report: SourceReport) -> None:
        """Store the report of a source's poller."""
        async with self._commands() as redis:
            await redis.hset(keys.sources(project_id), {f"{REPORT_PREFIX}{source}": REPORT.dump_json(report)})

    async def put_source_kick(self, project_id: str, source: str, at: datetime) -> None:
        """Store that somebody asked for a source to be polled now."""
        async with self._commands() as redis:
            await redis.hset(keys.sources(project_id), {f"{KICK_PREFIX}{source}": at.isoformat()})

    async def put_repository(self, project_id: str, state: RepositoryState) -> None:
        """Store how far a repository at GitHub has been read."""
        async with self._commands() as redis:
            await redis.hset(keys.repositories(project_id), {state.repository.lower(): REPOSITORY.dump_json(state)})

    def _commands(self) -> AbstractAsyncContextManager[Commands]:
        return self._connection.commands(self._leases.fence())
