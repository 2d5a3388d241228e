"""The partitions that a process does not read on because something of them is lost, and how it says so."""

from collections import Counter
from collections.abc import Iterable

import structlog

from soulcaster.domain.lost_records import LostRecords, LostTable
from soulcaster.telemetry.metrics import LOST_RECORDS, STOPPED_PARTITIONS

log = structlog.get_logger(__name__)

Place = tuple[str, int]
"""A topic and one of its partitions."""

Loss = LostRecords | LostTable


class StoppedPartitions:
    """Remembers them, logs each loss once, and shows them as metrics."""

    def __init__(self) -> None:
        self._stopped: dict[Place, Loss] = {}
        self._told: set[Loss] = set()
        self._topics: set[str] = set()

    def __contains__(self, place: Place) -> bool:
        return place in self._stopped

    def add(self, places: Iterable[Place], lost: Loss) -> None:
        """Note that partitions stand still, and why."""
        self._stopped.update(dict.fromkeys(places, lost))
        self._show()
        if lost not in self._told:
            self._told.add(lost)
            log.critical("records are lost", lost=lost.what, advice=lost.advice)

    def clear(self) -> None:
        """Forget all of them, because partitions are assigned anew."""
        self._stopped.clear()
        self._show()

    def _show(self) -> None:
        self._topics |= {topic for topic, _ in self._stopped}
        stopped = Counter(topic for topic, _ in self._stopped)
        lost: Counter[str] = Counter()
        for (topic, _), one in self._stopped.items():
            lost[topic] += 0 if isinstance(one, LostTable) else one.count
        for topic in self._topics:
            STOPPED_PARTITIONS.labels(topic).set(stopped[topic])
            LOST_RECORDS.labels(topic).set(lost[topic])
