"""Boilerplate: what many items of a project say word for word, and which therefore says nothing about any of them.

Macros of a help desk, questions of a form, disclaimers: each goes along with ever other words. A problem that many
people report in the same words does not look like that. So a segment (a sentence, or a line) is boilerplate if

- it went along with many different rests, and never was a whole item or the beginning of one: people begin with what
  they want to say, and some say no more;
- it does not look like what a program prints: an error that comes again and again is what an item is about;
- it is common: a third of the items of its source have it, or it is part of a long end that several items share.

Counting is streaming and bounded: `WAYS` segments in each of `SETS` sets, by hash, of which the rarest and oldest gives
way. Items are judged one by one, each by those before it, so a replay comes to the same result. Counts are halved from
time to time, so what nobody sends any more is forgotten.
"""

import hashlib
import re
import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from soulcaster.domain.feedback.items import ComparedItem
from soulcaster.domain.text.digits import has_digit

SETS, WAYS = 64, 16

FEWEST = 8
"""Items that have a common segment, at least."""

COMMON = 3
"""A common segment is in one item of so many."""

FEWEST_OF_END, WORDS_OF_END = 3, 20
"""Items that share an end, at least, and its words."""

HALVED_AT = 4096
"""Items of a source after which its counts are halved."""

MOST_SEGMENTS = 100
"""Segments of an item that are looked at."""

_WIDE_STOPS = "\u3002\uff01\uff1f"
_STOPS = f".!?{_WIDE_STOPS}"
_SEGMENT = re.compile(
    rf"[^.!?\n{_WIDE_STOPS}]*+(?:[.!?]++(?!\s)[^.!?\n{_WIDE_STOPS}]*+)*+"  # stops as in 1.5 end nothing
    rf"(?:[.!?]++\s++|[{_WIDE_STOPS}]++\s*+|\n++|\Z)"
)

_LETTER = re.compile(r"\w")
_DIGITS = re.compile(r"\d+")
_PRINTED = re.compile(
    r"[a-z]{2}[A-Z][a-z]|\w\(\)|\w::\w|\b0x|[A-Za-z]_[A-Za-z]|"
    r"\w->\w|^\S{1,200} [\w+-]{1,100}\.[A-Za-z]\w{0,7}$|"
    r"(?i:\berr(?:or|eur)\b|exception\b|\bfatal\b|\bpanic\b|\bfehler\b)"
)
"""What programs print: names of code, frames (as text/traces.py leaves them), errors."""

_SEEN = struct.Struct("<QQIHH")
"""A segment's hash; the rests it went along with, items that had it, those it began, halvings when it was counted."""

_ITEMS_OF_SET = struct.Struct("<" + WAYS * "16xI4x")
"""The numbers of items of a full set's segments."""

_TOTAL = struct.Struct("<QIH")
_TOTALS = b"boilerplate"
_MANY = 0xFFFF
_HASH_BYTES = 8
_RESTS = {FEWEST_OF_END: FEWEST_OF_END - 1, FEWEST: FEWEST - 3}
"""Different rests at least; two may have the same one of the 61 bits."""
_REPEATED = 200
"""Characters of a segment that is remembered, at most."""

_GREETING = 4
"""Words of a greeting, at most."""


class _Counts(NamedTuple):
    """What is counted of a segment: the rests it went along with, items that had it, those it began."""

    rests: int
    items: int
    begun: int


class _Set:
    """The segments that share a place, oldest first, each as it is stored.

    A segment's counts are as they were when the source had been halved so often as is stored with them.
    """

    __slots__ = ("_stored",)

    def __init__(self, blob: bytes = b"") -> None:
        stored = (blob[at : at + _SEEN.size] for at in range(0, len(blob), _SEEN.size))
        self._stored = {_SEEN.unpack(one)[0]: one for one in stored}

    def __contains__(self, key: int) -> bool:
        return key in self._stored

    def blob(self) -> bytes:
        """Return the segments as they are stored."""
        return b"".join(self._stored.values())

    def look_up(self, key: int, source: "_Source") -> _Counts | None:
        """Return what is counted of a segment by now."""
        stored = self._stored.get(key)
        if stored is None:
            return None
        _, rests, items, begun, halvings = _SEEN.unpack(stored)
        times = source.halved_since(halvings)
        return _Counts(rests, items >> times, begun >> times)

    def count(self, key: int, rest: int, *, begins: bool, source: "_Source") -> int:
        """Count an item that has a segment along with a rest; return how many had it.

        Where there is no room for a new segment, the rarest gives way.
        """
        stored = self._stored.get(key)
        if stored is None:
            if len(self._stored) >= WAYS:
                numbers = _ITEMS_OF_SET.unpack(self.blob())
                del self._stored[list(self._stored)[numbers.index(min(numbers))]]  # the oldest of several
            rests = items = begun = 0
        else:
            _, rests, items, begun, halvings = _SEEN.unpack(stored)
            if halvings != source.halvings:
                times = source.halved_since(halvings)
                items, begun = items >> times, begun >> times
        if begins and begun < _MANY:
            begun += 1
        self._stored[key] = _SEEN.pack(key, rests | 1 << (rest % 61), items + 1, begun, source.halvings)
        count: int = items + 1
        return count


@dataclass(slots=True)
class _Source:
    items: int = 0
    halvings: int = 0

    def halved_since(self, halvings: int) -> int:
        """Return how often counts that were stored at so many halvings are to be halved."""
        return min(31, (self.halvings - halvings) & _MANY)


class _Segment(NamedTuple):
    text: str
    """With what ends it."""

    words: int
    """Those between blanks; none where there is no letter and no digit."""

    key: int


class Boilerplate:
    """What the items of one project have in common, word for word."""

    def __init__(self, blobs: Mapping[bytes, bytes] | None = None) -> None:
        """Start with the blobs of earlier `take_changes`."""
        self._sets: defaultdict[int, _Set] = defaultdict(_Set)
        self._sources: dict[int, _Source] = {}
        self._dirty: set[int] = set()
        self._dirty_totals = False
        for key, blob in (blobs or {}).items():
            if key == _TOTALS:
                self._sources = {source: _Source(*rest) for source, *rest in _TOTAL.iter_unpack(blob)}
            else:
                self._sets[int.from_bytes(key[len(_TOTALS) :], "big")] = _Set(blob)

    def without(self, items: Sequence[ComparedItem], new: Sequence[bool]) -> list[ComparedItem]:
        """Return the items without boilerplate, in order; count those that are new, and not new versions of others."""
        return [self._judged(item, counts) for item, counts in zip(items, new, strict=True)]

    def take_changes(self) -> dict[bytes, bytes]:
        """Return what has changed since the last call, as blobs."""
        blobs = {}
        for number in sorted(self._dirty):
            blobs[_TOTALS + number.to_bytes(2, "big")] = self._sets[number].blob()
        if self._dirty_totals:
            totals = self._sources.items()
            blobs[_TOTALS] = b"".join(_TOTAL.pack(key, one.items, one.halvings) for key, one in totals)
        self._dirty.clear()
        self._dirty_totals = False
        return blobs

    def _judged(self, item: ComparedItem, counts: bool) -> ComparedItem:
        segments = _segments(item)
        source_key = _hash(item.source)
        if counts and not self._count(segments, source_key):
            return item
        if len(segments) < 2:
            return item
        source = self._sources.get(source_key, _Source())
        counted = [self._sets[key % SETS].look_up(key, source) for _, _, key in segments]
        known = list(zip(segments, counted, strict=True))
        if all(not segment.words or _accompanies(segment, one, FEWEST_OF_END) for segment, one in known):
            return item  # nothing would be left
        first = _first(segments)
        end = max(first + 1, _end(known))
        kept = [
            segment
            for at, (segment, one) in enumerate(known[:end])
            if at <= first or one is None or one.items * COMMON < source.items or not _accompanies(segment, one, FEWEST)
        ]
        if len(kept) == len(segments):
            return item
        return replace(item, text="".join(segment.text for segment in kept).strip())

    def _count(self, segments: Sequence[_Segment], source_key: int) -> bool:
        """Count an item's segments; return whether one of them may be boilerplate."""
        source = self._sources.setdefault(source_key, _Source())
        source.items += 1
        if source.items >= HALVED_AT:
            source.items //= 2
            source.halvings = (source.halvings + 1) & _MANY
        self._dirty_totals = True
        if not segments:
            return False
        whole = 0
        for segment in segments:
            whole ^= segment.key
        first = _first(segments)
        most = 0
        for at, (_, words, key) in enumerate(segments):
            if not words:
                continue
            of_place = self._sets[place := key % SETS]
            if len(segments) == 1 and key not in of_place:
                continue  # most items are one sentence, which matters only if others go along with it
            most = max(most, of_place.count(key, whole ^ key, begins=at <= first, source=source))
            self._dirty.add(place)
        return most >= FEWEST_OF_END


def _accompanies(segment: _Segment, counted: _Counts | None, fewest: int) -> bool:
    """Return whether a segment goes along with different rests and says nothing itself."""
    if counted is None or counted.items < fewest or counted.begun * 8 > counted.items:
        return False
    return counted.rests.bit_count() >= _RESTS[fewest] and _PRINTED.search(segment.text) is None


def _end(known: Sequence[tuple[_Segment, _Counts | None]]) -> int:
    """Return where an end begins that several items share; the number of segments if there is none."""
    words = 0
    at = len(known)
    while at and (not known[at - 1][0].words or _accompanies(*known[at - 1], FEWEST_OF_END)):
        at -= 1
        words += known[at][0].words
        if _introduces(known[at][0]):
            return len(known)  # what follows is cited
    if at and _introduces(known[at - 1][0]):
        return len(known)
    return at if words >= WORDS_OF_END else len(known)


def _introduces(segment: _Segment) -> bool:
    return segment.text.rstrip().endswith((":", "\uff1a"))


def _first(segments: Sequence[_Segment]) -> int:
    """Return which segment says what an item is about: the first, or the one after a greeting."""
    greets = (
        len(segments) > 2 and segments[0].words <= _GREETING and segments[0].text.rstrip().endswith((",", "\uff0c"))
    )
    return int(greets)


def _segments(item: ComparedItem) -> list[_Segment]:
    """Return the segments of a text, in order; the last has what lies beyond `MOST_SEGMENTS`."""
    found = _SEGMENT.findall(item.text)
    if not found[-1]:
        found.pop()
    if len(found) > MOST_SEGMENTS:
        found[MOST_SEGMENTS:] = ["".join(found[MOST_SEGMENTS:])]
    source = item.source
    return [_repeated_segment(source, one) if len(one) <= _REPEATED else _segment(source, one) for one in found]


def _segment(source: str, text: str) -> _Segment:
    said = text.casefold()
    parts = (_DIGITS.sub("0", said) if has_digit(said) else said).split()
    plain = " ".join(parts).rstrip(_STOPS)
    has_words = plain[:1].isalnum() or _LETTER.search(plain) is not None
    hasher = _hasher(source).copy()
    hasher.update(plain.encode())
    return _Segment(text, len(parts) if has_words else 0, int.from_bytes(hasher.digest(), "little"))


_repeated_segment = lru_cache(8192)(_segment)
"""`_segment` of short texts: the same sentences come again and again, boilerplate above all."""


@lru_cache(256)
def _hasher(source: str) -> "hashlib.blake2b":
    """Return what hashes the segments of a source, to be copied."""
    return hashlib.blake2b(f"{source}\0".encode(), digest_size=_HASH_BYTES)


@lru_cache(256)
def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES).digest(), "little")
