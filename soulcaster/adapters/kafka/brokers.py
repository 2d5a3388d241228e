"""How many brokers a Kafka has, and how new they are."""

import asyncio
from dataclasses import dataclass

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import ApiVersionRequest

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.connection import REQUEST_SECONDS, unavailable_errors

_FETCH = 1
"""The number of Kafka's fetch API."""


@dataclass(frozen=True, slots=True)
class Brokers:
    """The number of brokers, and the version of the fetch API, which grows with the broker's version."""

    count: int
    fetch_version: int


async def read_brokers(kafka: KafkaAccess, *, timeout: float = REQUEST_SECONDS) -> Brokers:  # noqa: ASYNC109
    """Return what the brokers say about themselves; `timeout` is in seconds, for all of it.

    Raises:
        KafkaUnavailable: no broker answers.
    """
    client = AIOKafkaClient(**kafka.options(), request_timeout_ms=int(timeout * 1000))
    try:
        async with unavailable_errors(kafka):
            async with asyncio.timeout(timeout):
                await client.bootstrap()
                count = len(client.cluster.brokers())
                response = await client.send(client.get_random_node(), ApiVersionRequest())
    finally:
        await client.close()
    return Brokers(count, next(newest for api, _oldest, newest in response.api_versions if api == _FETCH))
