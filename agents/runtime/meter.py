"""What an agent's batches come to, counted once a batch, and how far it has come in each partition."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from soulcaster.ports.messaging import Record
from soulcaster.telemetry.metrics import AGENT_BATCH_SECONDS, AGENT_DELAY_SECONDS, AGENT_RECORDS, AGENT_RESULTS

Partition = tuple[str, int]
"""A topic and the number of one of its partitions."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far an agent has come in a partition: the offset it processes next, and the time of the record before."""

    next: int
    at: float


class Meter:
    """The metrics of one agent."""

    def __init__(self, agent: str) -> None:
        self._records = AGENT_RECORDS.labels(agent)
        self._results = AGENT_RESULTS.labels(agent)
        self._seconds = AGENT_BATCH_SECONDS.labels(agent)
        self._delay = AGENT_DELAY_SECONDS.labels(agent)
        self._positions: dict[Partition, Position] = {}

    @property
    def positions(self) -> Mapping[Partition, Position]:
        """Return how far the agent has come in each partition that it has had records of."""
        return self._positions

    def done(self, records: Sequence[Record], results: int, seconds: float) -> None:
        """Count a batch that is processed."""
        if not records:
            return
        self._records.inc(len(records))
        self._results.inc(results)
        self._seconds.observe(seconds)
        self._delay.observe(max(0.0, time.time() - min(record.timestamp_ms for record in records) / 1000))
        last = {(record.topic, record.partition): record for record in records}
        for partition, record in last.items():
            self._positions[partition] = Position(record.offset + 1, record.timestamp_ms / 1000)
