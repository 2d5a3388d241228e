"""What the adapters count of Redis and Kafka."""

import pytest

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.dev.loopback import free_port
from soulcaster.errors import KafkaUnavailable, RedisUnavailable
from soulcaster.ports.messaging import Outgoing
from tests.conftest import RedisServer
from tests.support.metrics import Growth


async def test_uses_of_redis_and_their_failures(redis_to_break: RedisServer) -> None:
    growth = Growth()
    connection = RedisConnection(RedisAccess(redis_to_break.url))
    await connection.ping()
    redis_to_break.kill()
    with pytest.raises(RedisUnavailable):
        await connection.ping()
    await connection.close()
    assert growth.of("soulcaster_redis_seconds_count") == 2
    assert growth.by("soulcaster_redis_errors_total", "outcome") == {("unavailable",): 1}


async def test_a_kafka_that_is_away() -> None:
    growth = Growth()
    publisher = KafkaPublisher(KafkaAccess(f"127.0.0.1:{free_port()}"), timeout=0.5)
    with pytest.raises(KafkaUnavailable):
        await publisher.publish([Outgoing("t", None, b"")])
    assert growth.of("soulcaster_kafka_errors_total") == 1
    assert growth.of("soulcaster_kafka_publish_seconds_count") == 0
