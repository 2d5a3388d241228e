"""Which items are new, which changed, and which we have seen just like that; in 24 bytes an item."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from soulcaster.domain.feedback import FeedbackItem, content_hash
from soulcaster.domain.ids import id_bytes
from soulcaster.domain.segments import RowChange, Segments

HASH_BYTES = 8

Verdict = Literal["new", "changed", "duplicate"]


@dataclass(frozen=True, slots=True)
class Judged:
    """Items with their verdicts, and what to remember once they have been passed on."""

    items: tuple[FeedbackItem, ...]
    verdicts: tuple[Verdict, ...]
    _marks: dict[bytes, bytes]

    @property
    def fresh(self) -> tuple[FeedbackItem, ...]:
        """Return the items that say something new, each once, in its newest version."""
        return tuple(i for i, v in zip(self.items, self.verdicts, strict=True) if v != "duplicate")


class Seen:
    """What one project has said so far: item id -> hash of its content."""

    def __init__(self, segments: Segments) -> None:
        """Work over the rows of one project in the table `seen`."""
        self._segments = segments

    def judge(self, items: Sequence[FeedbackItem]) -> Judged:
        """Judge items in their order; within them, too, only the newest version of one counts. Remembers nothing."""
        keys = [id_bytes(item.id) for item in items]
        hashes = [content_hash(item) for item in items]
        known = self._segments.get(keys)
        newest = {key: i for i, key in enumerate(keys)}
        verdicts: list[Verdict] = []
        for i, (key, now, before) in enumerate(zip(keys, hashes, known, strict=True)):
            if now == before or newest[key] != i:
                verdicts.append("duplicate")
            else:
                verdicts.append("new" if before is None else "changed")
        marks = {k: h for k, h, v in zip(keys, hashes, verdicts, strict=True) if v != "duplicate"}
        return Judged(tuple(items), tuple(verdicts), marks)

    def remember(self, judged: Judged) -> list[RowChange]:
        """Mark fresh items as seen, after they were passed on; return the table's changes."""
        return self._segments.commit(judged._marks, {})
