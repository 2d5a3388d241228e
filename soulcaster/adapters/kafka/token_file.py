"""Tokens for Kafka from a file that something else keeps fresh, such as Kubernetes with tokens of service accounts."""

import asyncio
from pathlib import Path

from aiokafka.abc import AbstractTokenProvider

from soulcaster.adapters.kafka.access import NoToken


class TokenFile(AbstractTokenProvider):  # type: ignore[misc]
    """Reads the file for every connection."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        """Return the token.

        Raises:
            NoToken: the file cannot be read, or it is empty.
        """
        try:
            token = (await asyncio.to_thread(self._path.read_text)).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NoToken(f"{self._path} cannot be read: {error}") from error
        if not token:
            raise NoToken(f"{self._path} is empty")
        return token
