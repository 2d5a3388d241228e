"""A publisher that keeps messages instead of sending them."""

import zlib
from collections.abc import Sequence

from soulcaster.ports.messaging import Outgoing

PARTITIONS = 8


class RecordingPublisher:
    """Keeps messages in `sent`; when `fail` is set, it raises that and keeps nothing."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.fail: Exception | None = None

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Keep the messages, or raise `fail`."""
        if self.fail is not None:
            raise self.fail
        self.sent.extend(messages)

    async def partitions(self, topic: str, keys: Sequence[bytes]) -> Sequence[int]:
        """Return one of `PARTITIONS` for each key, or raise `fail`."""
        if self.fail is not None:
            raise self.fail
        return [zlib.crc32(key) % PARTITIONS for key in keys]
