"""Doubles of ports for tests: they keep what they were given, and fail when told to."""

from collections.abc import Sequence

from soulcaster.ports import Outgoing


class RecordingPublisher:
    """Publisher that keeps what it was given in `sent`; raises `fail`, when set, and keeps nothing."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.fail: Exception | None = None

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Keep the messages, or raise `fail`."""
        if self.fail is not None:
            raise self.fail
        self.sent.extend(messages)
