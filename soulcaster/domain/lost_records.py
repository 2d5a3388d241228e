"""Records that a consumer group can never read: they were deleted before it came to them, or they are damaged.

Of what was deleted, offsets alone tell. Compaction leaves gaps between records, which are no loss; a partition whose
first offset is beyond what the group has committed has lost everything in between.
"""

from dataclasses import dataclass, field

_ADVICE = (
    "the partition stands still until a person accepts the loss: stop the group's processes, run `soulcaster topics "
    "skip-lost --accept`, and start them again"
)


@dataclass(frozen=True, slots=True)
class LostRecords:
    """A partition that a group cannot go on with: it has committed an offset that the partition does not have."""

    topic: str
    partition: int
    committed: int
    """The offset that the group wants to go on from; 0 if it has committed none."""
    first: int
    end: int

    @property
    def count(self) -> int:
        """Return how many records are lost; 0 if the partition now ends before the committed offset."""
        return max(0, self.first - self.committed)

    @property
    def what(self) -> str:
        """Return a sentence that says what was lost."""
        where = f"{self.topic}, partition {self.partition}"
        if self.committed > self.end:
            return (
                f"{where}: it ends at offset {self.end:,}, and offset {self.committed:,} is committed; the partition "
                "was cut short"
            )
        return f"{where}: {self.count:,} records before offset {self.first:,} were deleted before they were read"

    @property
    def advice(self) -> str:
        """Say what to do about it."""
        return _ADVICE


@dataclass(frozen=True, slots=True)
class DamagedRecords:
    """Records that the broker has and cannot give any more, or that nobody can read: they are set aside."""

    topic: str
    partition: int
    first: int
    next: int
    """The first offset behind them."""
    reason: str
    data: bytes = field(default=b"", repr=False)
    """The batch as the broker gives it, if it gives anything."""

    @property
    def count(self) -> int:
        """Return how many records are lost, at most: markers and what was compacted away have offsets, too."""
        return self.next - self.first

    @property
    def what(self) -> str:
        """Return a sentence that says what cannot be read."""
        where = f"{self.topic}, partition {self.partition}"
        return f"{where}: {self.count:,} records from offset {self.first:,} on cannot be read: {self.reason}"

    @property
    def advice(self) -> str:
        """Say what to do about it."""
        return (
            "if another broker has a whole copy, let it lead the partition; otherwise nothing: a process that runs "
            "sets them aside as a dead letter and goes on"
        )


def lost_records(topic: str, partition: int, *, committed: int | None, first: int, end: int) -> LostRecords | None:
    """Return what a group has lost of a partition, None if it can go on from its committed offset.

    A group that has committed nothing goes on from offset 0. It may be new, or it was away so long that Kafka has
    forgotten it (`offsets.retention.minutes`): only a person can tell.
    """
    at = committed or 0
    return None if first <= at <= end else LostRecords(topic, partition, at, first, end)


@dataclass(frozen=True, slots=True)
class LostTable:
    """A partition of a table whose changelog has lost rows, though the table's topics have been read."""

    changelog: str
    partition: int
    first: int
    end: int
    damaged: DamagedRecords | None = None
    """The rows that cannot be read, if that is the loss."""

    @property
    def what(self) -> str:
        """Return a sentence that says what was lost."""
        if self.damaged is not None:
            return f"{self.damaged.what}, so the table has lost what it had stored there"
        rows = f"its records before offset {self.first:,} were deleted" if self.first else "it is empty"
        return f"{self.changelog}, partition {self.partition}: {rows}, so the table has lost what it had stored"

    @property
    def advice(self) -> str:
        """Say what to do about it."""
        return (
            "the partition stands still: restore a backup (`soulcaster restore`), or let workers make all tables again "
            "from the topics, under another SOULCASTER_APP_ID"
        )


def lost_table(changelog: str, partition: int, *, read: bool, first: int, end: int) -> LostTable | None:
    """Return what a table has lost of a partition, None if its changelog is whole.

    A changelog is compacted and never deleted from, so it begins at offset 0. `read` tells whether the group has
    committed anything of the topics that the table is made from: before that, the changelog may be empty.
    """
    return LostTable(changelog, partition, first, end) if first or (read and not end) else None
