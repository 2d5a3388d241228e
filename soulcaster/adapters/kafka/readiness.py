"""Whether Kafka answers, asked of the brokers themselves."""

import asyncio

from aiokafka.client import AIOKafkaClient

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.connection import unavailable_errors

PING_SECONDS = 2.0


class KafkaReadiness:
    """Asks the brokers for metadata over one connection that it keeps between calls."""

    def __init__(self, kafka: KafkaAccess, *, timeout: float = PING_SECONDS) -> None:
        """Connect nothing yet; the first `ping` does. `timeout` is in seconds, for one `ping`."""
        self._kafka = kafka
        self._timeout = timeout
        self._client: AIOKafkaClient | None = None
        self._one_at_a_time = asyncio.Lock()

    async def ping(self) -> None:
        """Return when a broker has answered.

        Raises:
            KafkaUnavailable: none did in time.
        """
        async with unavailable_errors(self._kafka), asyncio.timeout(self._timeout), self._one_at_a_time:
            await self._fetch_metadata()

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def _fetch_metadata(self) -> None:
        if self._client is None:
            client = AIOKafkaClient(
                **self._kafka.options(),
                request_timeout_ms=int(self._timeout * 1000),
                client_id="soulcaster-ready",
            )
            try:
                await client.bootstrap()
            except BaseException:  # a timeout too: its sockets would stay open
                await client.close()
                raise
            self._client = client
        await self._client.fetch_all_metadata()
