"""Connections that a command of the program opens, uses and closes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.processes.job_logs import job_logs_expire
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import Settings


@asynccontextmanager
async def open_read_model(settings: Settings) -> AsyncIterator[RedisReadModel]:
    """Give the read model; its connection is closed after the block."""
    read_model = RedisReadModel(redis_access(settings), logs_expire=job_logs_expire(settings.job_log_ttl_seconds))
    try:
        yield read_model
    finally:
        await read_model.close()


def open_publisher(settings: Settings) -> KafkaPublisher:
    """Return a publisher; `async with` connects and closes it.

    Raises:
        BadInput: the settings of Kafka contradict each other, or name a file that cannot be used.
        KafkaUnavailable: within `async with`, when no broker answers.
    """
    return KafkaPublisher(kafka_access(settings))
