"""The read model in Redis: all readers and the writer over one connection."""

from datetime import timedelta

from soulcaster.adapters.redis.api_keys import RedisApiKeys
from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.clustering import RedisClustering, RedisCommands
from soulcaster.adapters.redis.clusters import RedisClusters
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.documents import RedisDocuments
from soulcaster.adapters.redis.feedback import RedisFeedback
from soulcaster.adapters.redis.job_logs import RedisJobLogs
from soulcaster.adapters.redis.jobs import RedisJobs
from soulcaster.adapters.redis.members import RedisMembers
from soulcaster.adapters.redis.near_answers import RedisNearAnswers
from soulcaster.adapters.redis.notices import RedisNotices
from soulcaster.adapters.redis.person_tokens import RedisPersonTokens
from soulcaster.adapters.redis.project_config import RedisProjectConfig
from soulcaster.adapters.redis.projects import RedisProjects
from soulcaster.adapters.redis.sessions import RedisSessions
from soulcaster.adapters.redis.sources import RedisSources
from soulcaster.adapters.redis.webhook_secrets import RedisWebhookSecrets
from soulcaster.adapters.redis.writer import RedisReadModelWriter
from soulcaster.ports.read_model import ReadModel


class RedisReadModel(ReadModel):
    """ReadModel over one Redis, with its writer; safe to use from many tasks."""

    writer: RedisReadModelWriter

    def __init__(self, redis: RedisAccess, *, notices: bool = False, logs_expire: timedelta | None = None) -> None:
        """Prepare; the first call connects.

        Args:
            redis: how it is reached.
            notices: whether the writer adds notices of what it changes.
            logs_expire: how long the writer lets logs of jobs be kept after their last chunk; None is for ever.
        """
        self._connection = connection = RedisConnection(redis)
        super().__init__(
            feedback=RedisFeedback(connection),
            clusters=RedisClusters(connection),
            clustering=RedisClustering(connection),
            commands=RedisCommands(connection),
            jobs=RedisJobs(connection),
            job_logs=RedisJobLogs(connection),
            documents=RedisDocuments(connection),
            person_tokens=RedisPersonTokens(connection),
            projects=RedisProjects(connection),
            members=RedisMembers(connection),
            api_keys=RedisApiKeys(connection),
            project_config=RedisProjectConfig(connection),
            webhook_secrets=RedisWebhookSecrets(connection),
            sources=RedisSources(connection),
            sessions=RedisSessions(connection),
            notices=RedisNotices(connection),
            near_answers=RedisNearAnswers(connection),
            store=connection,
        )
        self.writer = RedisReadModelWriter(connection, notices=notices, logs_expire=logs_expire)

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()
