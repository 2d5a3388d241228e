"""Versions of an item: which one counts, and what is kept of the others. They may come late, and more than once."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

from soulcaster.domain.feedback.items import FeedbackItem, content_hash

MARK_BYTES = 8

_RANKS = {"summary": 1, "sample": 2, "own": 3}
_MARKED = 1 << 63
_LAST_SECOND = (1 << 33) - 1
"""The year 2242."""


def newest(known: FeedbackItem, told: FeedbackItem) -> FeedbackItem:
    """Return the item after something more was told of it.

    An item's own words: the newest version counts, by the source's time where it gives one, else the one that came
    last. Of samples the first stays, for the next is no better; a summary gives way to any sample. What is told beside
    the words is taken over name by name, unless it is late.
    """
    late = _is_late(known, told)
    if told.words == "own" and known.words == "own":
        return known if late else told
    words = known if _RANKS[told.words] < _RANKS[known.words] or told.words == known.words == "sample" else told
    if late and told.words == known.words:
        words = known
    before, after = (told, known) if late else (known, told)
    return replace(
        words,
        created_at=min(known.created_at, told.created_at),
        received_at=after.received_at,
        updated_at=after.updated_at or before.updated_at,
        metadata={**before.metadata, **after.metadata},
        occurrence_id=told.occurrence_id or known.occurrence_id,
    )


def _is_late(known: FeedbackItem, told: FeedbackItem) -> bool:
    return known.updated_at is not None and told.updated_at is not None and told.updated_at < known.updated_at


def mark(item: FeedbackItem) -> bytes:
    """Return 8 bytes that say which version of an item was seen, for `is_news`; never all zeros.

    Without a time and in its own words that is a hash of 63 bits. Otherwise, from the highest bit on: one that is set,
    two for the worth of its words, 33 for the second of its time (0 where it has none), 28 of the hash.
    """
    if item.updated_at is None and item.words == "own":
        return ((int.from_bytes(content_hash(item), "big") & (_MARKED - 1)) or 1).to_bytes(MARK_BYTES, "big")
    # What changes beside the text, as counts do, is for the read model; what is compared stays the same.
    text = hashlib.blake2b(f"{item.title}\0{item.body}".encode(), digest_size=4).digest()
    hashed = int.from_bytes(text, "big") & ((1 << 28) - 1)
    value = _MARKED | _RANKS[item.words] << 61 | _second(item.updated_at) << 28 | hashed
    return value.to_bytes(MARK_BYTES, "big")


def is_news(seen: bytes, told: bytes) -> bool:
    """Return whether a version says something that another did not, by the marks of what was seen and what is told."""
    before, now = int.from_bytes(seen, "big"), int.from_bytes(told, "big")
    if not before & now & _MARKED:
        return before != now
    rank_before, rank = before >> 61 & 3, now >> 61 & 3
    if rank != rank_before:
        return rank > rank_before
    if rank == _RANKS["sample"]:
        return False
    at_before, at = before >> 28 & _LAST_SECOND, now >> 28 & _LAST_SECOND
    late = 0 < at < at_before
    return not late and before & ((1 << 28) - 1) != now & ((1 << 28) - 1)


def _second(at: datetime | None) -> int:
    return 0 if at is None else min(max(int(at.astimezone(UTC).timestamp()), 1), _LAST_SECOND)
