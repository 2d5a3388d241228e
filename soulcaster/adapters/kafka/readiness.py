"""Whether Kafka answers, asked of the brokers themselves."""

import asyncio

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from soulcaster.errors import KafkaUnavailable

TIMEOUT_SECONDS = 2.0


class KafkaReadiness:
    """Asks the brokers for metadata over one connection that is kept between calls."""

    def __init__(self, servers: str, *, timeout: float = TIMEOUT_SECONDS) -> None:
        """Prepare; the first call connects. `timeout` is in seconds, for one `ping`."""
        self._servers = servers
        self._timeout = timeout
        self._client: AIOKafkaClient | None = None
        self._one_at_a_time = asyncio.Lock()

    async def ping(self) -> None:
        """Return when a broker has answered.

        Raises:
            KafkaUnavailable: none did in time.
        """
        try:
            async with asyncio.timeout(self._timeout), self._one_at_a_time:
                await self._ask()
        except (KafkaError, OSError, TimeoutError) as error:
            raise KafkaUnavailable(f"Kafka at {self._servers} does not answer ({error!r})") from error

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def _ask(self) -> None:
        if self._client is None:
            client = AIOKafkaClient(
                bootstrap_servers=self._servers,
                request_timeout_ms=int(self._timeout * 1000),
                client_id="soulcaster-ready",
            )
            try:
                await client.bootstrap()
            except BaseException:  # a time limit too: its sockets would stay open
                await client.close()
                raise
            self._client = client
        await self._client.fetch_all_metadata()
