"""What an agent's batches come to, counted once a batch."""

import time
from collections.abc import Sequence

from soulcaster.ports.messaging import Record
from soulcaster.telemetry.metrics import AGENT_BATCH_SECONDS, AGENT_DELAY_SECONDS, AGENT_RECORDS, AGENT_RESULTS


class Meter:
    """The metrics of one agent."""

    def __init__(self, agent: str) -> None:
        self._records = AGENT_RECORDS.labels(agent)
        self._results = AGENT_RESULTS.labels(agent)
        self._seconds = AGENT_BATCH_SECONDS.labels(agent)
        self._delay = AGENT_DELAY_SECONDS.labels(agent)

    def done(self, records: Sequence[Record], results: int, seconds: float) -> None:
        """Count a batch that is processed."""
        if not records:
            return
        self._records.inc(len(records))
        self._results.inc(results)
        self._seconds.observe(seconds)
        self._delay.observe(max(0.0, time.time() - min(record.timestamp_ms for record in records) / 1000))
