"""Which items are new, which changed, which we have seen just like that, which are gone; in 24 bytes an item."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from soulcaster.domain.feedback import FeedbackItem, content_hash
from soulcaster.domain.ids import id_bytes
from soulcaster.domain.segments import RowChange, Segments

HASH_BYTES = 8

_GONE = bytes(HASH_BYTES)
"""Stands for the content of an item that was deleted."""

Verdict = Literal["new", "changed", "duplicate", "deleted"]


@dataclass(frozen=True, slots=True)
class Judged:
    """Items with their verdicts, and what to remember once they have been passed on."""

    items: tuple[FeedbackItem, ...]
    verdicts: tuple[Verdict, ...]
    _marks: dict[bytes, bytes]

    @property
    def fresh(self) -> tuple[FeedbackItem, ...]:
        """Return the items that say something new, each once, in its newest version."""
        return tuple(i for i, v in zip(self.items, self.verdicts, strict=True) if v in ("new", "changed"))


class Seen:
    """What one project has said so far: item id -> hash of its content."""

    def __init__(self, segments: Segments) -> None:
        """Work over the rows of one project in the table `seen`."""
        self._segments = segments

    def judge(self, items: Sequence[FeedbackItem], deleted: Sequence[str] = ()) -> Judged:
        """Judge items in their order; within them, too, only the newest version of one counts. Remembers nothing.

        `deleted` are ids of items that are gone for good: none of their versions is fresh, before or after.
        """
        keys = [id_bytes(item.id) for item in items]
        hashes = [content_hash(item) for item in items]
        known = self._segments.get(keys)
        gone = [id_bytes(item_id) for item_id in deleted]
        leaving = {key for key, before in zip(gone, self._segments.get(gone), strict=True) if before != _GONE}
        newest = {key: i for i, key in enumerate(keys)}
        verdicts: list[Verdict] = []
        for i, (key, now, before) in enumerate(zip(keys, hashes, known, strict=True)):
            if before == _GONE or key in leaving:
                verdicts.append("deleted")
            elif now == before or newest[key] != i:
                verdicts.append("duplicate")
            else:
                verdicts.append("new" if before is None else "changed")
        marks = {k: h for k, h, v in zip(keys, hashes, verdicts, strict=True) if v in ("new", "changed")}
        marks |= dict.fromkeys(sorted(leaving), _GONE)
        return Judged(tuple(items), tuple(verdicts), marks)

    def remember(self, judged: Judged) -> list[RowChange]:
        """Mark fresh items as seen and others as gone, after that was passed on; return the table's changes."""
        return self._segments.commit(judged._marks, {})
