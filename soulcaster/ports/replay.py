"""Topics, read again from their first record."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Protocol

from soulcaster.ports.messaging import Record

ReportProgress = Callable[[int, int], None]
"""Takes how many records are done, of how many in all."""


class Replay(Protocol):
    """Reads some topics from the first record to the last."""

    @property
    def partitions(self) -> Collection[int]:
        """The numbers of the partitions of all topics."""

    def batches(self, report: ReportProgress) -> AsyncIterator[Sequence[Record]]:
        """Yield all records in batches of at most a thousand, those of a partition in order; report before each batch.

        To ask for the next batch says that the last one is done. A partition ends, on all topics at once, when no
        record has come to it since then, so records that producers add meanwhile are part of it. Each ends by itself,
        because a stream that goes on leaves no moment in which none has new records.

        Raises:
            KafkaUnavailable: Kafka does not answer.
        """
