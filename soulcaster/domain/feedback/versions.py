"""Versions of an item: which one counts, and what is kept of the others. They may arrive late and more than once."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

from soulcaster.domain.feedback.items import FeedbackItem, content_hash
from soulcaster.domain.feedback.times import AHEAD

MARK_BYTES = 8

_RANKS = {"summary": 1, "sample": 2, "own": 3}
_MARKED = 1 << 63
_LAST_SECOND = (1 << 33) - 1
"""The year 2242."""


def newest(known: FeedbackItem, new: FeedbackItem) -> FeedbackItem:
    """Return the item after one more version of it arrived.

    Of an item's own text the newest version counts: by the source's time (`version_at`) where it gives one, else by
    arrival. Of samples the first stays, because the next is no better; any sample replaces a summary. Metadata beside
    the text is merged name by name; a late version does not overwrite newer values.
    """
    late = _is_late(known, new)
    if new.words == "own" and known.words == "own":
        return known if late else new
    words = known if _RANKS[new.words] < _RANKS[known.words] or new.words == known.words == "sample" else new
    if late and new.words == known.words:
        words = known
    before, after = (new, known) if late else (known, new)
    return replace(
        words,
        created_at=min(known.created_at, new.created_at),
        received_at=after.received_at,
        updated_at=after.updated_at or before.updated_at,
        metadata={**before.metadata, **after.metadata},
        times_told=after.times_told or before.times_told,
        occurrence_id=new.occurrence_id or known.occurrence_id,
    )


def _is_late(known: FeedbackItem, new: FeedbackItem) -> bool:
    return known.version_at is not None and new.version_at is not None and new.version_at < known.version_at


def mark(item: FeedbackItem) -> bytes:
    """Return 8 bytes that identify the version of an item, for `is_news`; never all zeros.

    An item with its own text and without a time gets a hash of 63 bits. Any other gets, from the highest bit: one bit
    that is set, two for the rank of its text, 33 for the second of its time (0: none), 28 of the hash.
    """
    if item.updated_at is None and item.words == "own":
        return ((int.from_bytes(content_hash(item), "big") & (_MARKED - 1)) or 1).to_bytes(MARK_BYTES, "big")
    # Counts and other metadata change beside the text: the read model needs them, the clusterer does not.
    text = hashlib.blake2b(f"{item.title}\0{item.body}".encode(), digest_size=4).digest()
    hashed = int.from_bytes(text, "big") & ((1 << 28) - 1)
    value = _MARKED | _RANKS[item.words] << 61 | _second(item.version_at) << 28 | hashed
    return value.to_bytes(MARK_BYTES, "big")


def is_news(seen: bytes, new: bytes, received_at: datetime) -> bool:
    """Return whether a version has new content, by the mark that was seen and the mark of the new version.

    `received_at` is when the new one came in. A mark from long after that cannot make it late: times that cannot be
    true were once believed.
    """
    before, now = int.from_bytes(seen, "big"), int.from_bytes(new, "big")
    if not before & now & _MARKED:
        return before != now
    rank_before, rank = before >> 61 & 3, now >> 61 & 3
    if rank != rank_before:
        return rank > rank_before
    if rank == _RANKS["sample"]:
        return False
    at_before, at = before >> 28 & _LAST_SECOND, now >> 28 & _LAST_SECOND
    late = 0 < at < at_before <= _second(received_at + AHEAD)
    return not late and before & ((1 << 28) - 1) != now & ((1 << 28) - 1)


def _second(at: datetime | None) -> int:
    return 0 if at is None else min(max(int(at.astimezone(UTC).timestamp()), 1), _LAST_SECOND)
