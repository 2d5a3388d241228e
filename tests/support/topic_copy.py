"""A log in memory, to be copied from and to."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence

from soulcaster.errors import Conflict
from soulcaster.ports.topic_copy import CopiedRecord, Cut, Place, Span


class MemoryLog:
    """LogSource and LogTarget; `compacted` topics number records anew, as a producer's are."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.kept: dict[Place, list[CopiedRecord]] = {place: [] for place in places}
        self.firsts: dict[Place, int] = defaultdict(int)
        self.most_record_bytes = 1_000_000
        self.groups: dict[str, dict[Place, int]] = {}

    def put(self, place: Place, *records: CopiedRecord) -> None:
        self.kept[place] += records
        self.firsts[place] = self.kept[place][0].offset

    async def cut(self) -> Cut:
        spans = {place: Span(self.firsts[place], self._end(place)) for place in self.kept}
        return Cut(spans, self.groups)

    async def records(self, place: Place, span: Span) -> AsyncIterator[Sequence[CopiedRecord]]:
        records = [record for record in self.kept[place] if span.first <= record.offset < span.end]
        for at in range(0, len(records), 2):
            yield records[at : at + 2]

    async def first(self, place: Place) -> int:
        return self.firsts[place]

    async def check_empty(self) -> None:
        if any(self.kept.values()):
            raise Conflict

    async def begin_at(self, place: Place, first: int) -> None:
        self.firsts[place] = first

    async def write(self, place: Place, records: Sequence[CopiedRecord]) -> None:
        for one in records:
            at = self._end(place)
            self.kept[place].append(CopiedRecord(at, one.timestamp_ms, one.key, one.value, one.headers))

    async def end(self, place: Place) -> int:
        return self._end(place)

    async def commit(self, group: str, offsets: Mapping[Place, int]) -> None:
        self.groups[group] = dict(offsets)

    def _end(self, place: Place) -> int:
        return self.kept[place][-1].offset + 1 if self.kept[place] else self.firsts[place]
