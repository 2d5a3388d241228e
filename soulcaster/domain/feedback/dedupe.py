"""Which items are new, changed, duplicates or deleted, and what is compared of them; 24 bytes an item."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from soulcaster.domain.feedback.boilerplate import Boilerplate
from soulcaster.domain.feedback.items import ComparedItem, FeedbackItem, compared_item, with_languages
from soulcaster.domain.feedback.versions import MARK_BYTES, is_news, mark
from soulcaster.domain.ids import id_bytes
from soulcaster.domain.segments import RowChange, Segments

_GONE = bytes(MARK_BYTES)
"""The mark of a deleted item."""

Verdict = Literal["new", "changed", "duplicate", "deleted"]


@dataclass(frozen=True, slots=True)
class Judged:
    """Items with their verdicts, and the marks to remember once the items are published."""

    items: tuple[FeedbackItem, ...]
    verdicts: tuple[Verdict, ...]
    _marks: dict[bytes, bytes]

    @property
    def fresh(self) -> tuple[FeedbackItem, ...]:
        """Return the new and changed items, each once, in its newest version."""
        return tuple(i for i, v in zip(self.items, self.verdicts, strict=True) if v in ("new", "changed"))


class Seen:
    """What was seen of one project: item id -> mark of its version (`versions.mark`), and its boilerplate."""

    def __init__(self, segments: Segments) -> None:
        """Work over the rows of one project in the table `seen`."""
        self._segments = segments
        self._boilerplate = Boilerplate(segments.blobs())

    def judge(self, items: Sequence[FeedbackItem], deleted: Sequence[str] = ()) -> Judged:
        """Judge items in order; of several versions in the batch the newest counts. Remembers nothing.

        `deleted` are ids of deleted items: none of their versions is fresh, before or after.
        """
        keys = [id_bytes(item.id) for item in items]
        gone = [id_bytes(item_id) for item_id in deleted]
        leaving = {key for key, before in zip(gone, self._segments.get(gone), strict=True) if before != _GONE}
        known = dict(zip(keys, self._segments.get(keys), strict=True)) | dict.fromkeys(leaving, _GONE)
        current = dict(known)
        fresh: dict[bytes, int] = {}
        verdicts: list[Verdict] = []
        told = [mark(item) for item in items]
        for i, (key, now) in enumerate(zip(keys, told, strict=True)):
            before = current[key]
            if before == _GONE:
                verdicts.append("deleted")
            elif before is not None and not is_news(before, now, items[i].received_at):
                verdicts.append("duplicate")
            else:
                verdicts.append("new" if before is None else "changed")
                if key in fresh:  # a later item of the batch outdates this version
                    verdicts[i], verdicts[fresh[key]] = verdicts[fresh[key]], "duplicate"
                fresh[key], current[key] = i, now
        for key, i in list(fresh.items()):
            if current[key] == known[key]:  # changed and changed back within the batch
                verdicts[i] = "duplicate"
                del fresh[key]
        marks = {key: told[i] for key, i in fresh.items()} | dict.fromkeys(sorted(leaving), _GONE)
        return Judged(tuple(items), tuple(verdicts), marks)

    def compared(self, judged: Judged, known_languages: frozenset[str] | None) -> list[ComparedItem]:
        """Return what is compared of the fresh items, without boilerplate; it is counted once, `remember` stores it.

        `known_languages` are those that the embedder knows, None for all. Whoever does not come to `remember` must
        discard the object and load it again.
        """
        verdicts = [verdict for verdict in judged.verdicts if verdict in ("new", "changed")]
        fresh = judged.fresh
        items = [compared_item(item) for item in fresh]
        items = self._boilerplate.without(items, [verdict == "new" for verdict in verdicts])
        return [
            with_languages(compared, item.language, known_languages)
            for item, compared in zip(fresh, items, strict=True)
        ]

    def remember(self, judged: Judged) -> list[RowChange]:
        """Mark fresh items as seen and deleted ones as deleted, once they are published; return the row changes."""
        return self._segments.commit(judged._marks, self._boilerplate.take_changes())
