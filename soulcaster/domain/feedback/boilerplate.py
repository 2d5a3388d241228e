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
from functools import cache, lru_cache
from itertools import chain, islice, pairwise
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

_NARROW_STOPS, _WIDE_STOPS = ".!?", "\u3002\uff01\uff1f"
_STOPS = _NARROW_STOPS + _WIDE_STOPS
_MAY_END = re.compile(
    rf"[.!?\n{_WIDE_STOPS}]"  # `re` finds one set of characters many times faster than several alternatives
    rf"(?:(?<=\n)\n*+|(?<=[.!?])[.!?]*+\s*+|(?<=[{_WIDE_STOPS}])[{_WIDE_STOPS}]*+\s*+)"
)
"""Ends of segments, and narrow stops with no blank after them, as in 1.5, which end nothing."""

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


class _Counts:
    """What is counted of a segment: the rests it went along with, items that had it, those it began.

    They are as they were when the source had been halved so often.
    """

    __slots__ = ("begun", "halvings", "items", "rests")

    def __init__(self, rests: int, items: int, begun: int, halvings: int) -> None:
        self.rests = rests
        self.items = items
        self.begun = begun
        self.halvings = halvings

    def halve(self, halvings: int) -> None:
        """Halve what is counted as often as the source was since."""
        times = min(31, (halvings - self.halvings) & _MANY)
        self.items >>= times
        self.begun >>= times
        self.halvings = halvings


class _Set:
    """The segments that share a place, oldest first."""

    __slots__ = ("counts",)

    def __init__(self, blob: bytes = b"") -> None:
        self.counts: dict[int, _Counts] = {key: _Counts(*stored) for key, *stored in _SEEN.iter_unpack(blob)}

    def blob(self) -> bytes:
        """Return the segments as they are stored."""
        values = ((key, one.rests, one.items, one.begun, one.halvings) for key, one in self.counts.items())
        return _layout(len(self.counts)).pack(*chain.from_iterable(values))

    def look_up(self, key: int, source: "_Source") -> _Counts | None:
        """Return what is counted of a segment by now."""
        found = self.counts.get(key)
        if found is not None and found.halvings != source.halvings:
            found = _Counts(found.rests, found.items, found.begun, found.halvings)
            found.halve(source.halvings)
        return found

    def add(self, key: int, source: "_Source") -> _Counts:
        """Add a segment that was not there; where there is no room, the rarest gives way."""
        if len(self.counts) >= WAYS:
            del self.counts[self._rarest()]
        added = self.counts[key] = _Counts(0, 0, 0, source.halvings)
        return added

    def _rarest(self) -> int:
        """Return the segment that came least, the oldest of several."""
        items = [one.items for one in self.counts.values()]
        return list(self.counts)[items.index(min(items))]


@cache
def _layout(segments: int) -> struct.Struct:
    """Return the layout of so many segments of one set."""
    return struct.Struct("<" + _SEEN.format[1:] * segments)


@dataclass(slots=True)
class _Source:
    items: int = 0
    halvings: int = 0


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
        if counts:
            self._count(segments, source_key)
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

    def _count(self, segments: Sequence[_Segment], source_key: int) -> None:
        source = self._sources.setdefault(source_key, _Source())
        source.items += 1
        if source.items >= HALVED_AT:
            source.items //= 2
            source.halvings = (source.halvings + 1) & _MANY
        self._dirty_totals = True
        if not segments:
            return
        whole = 0
        for segment in segments:
            whole ^= segment.key
        first = _first(segments)
        for at, (_, words, key) in enumerate(segments):
            if not words:
                continue
            place = key % SETS
            of_place = self._sets[place]
            counts = of_place.counts.get(key)
            if counts is None:
                if len(segments) == 1:
                    continue  # most items are one sentence, which matters only if others go along with it
                counts = of_place.add(key, source)
            elif counts.halvings != source.halvings:
                counts.halve(source.halvings)
            counts.rests |= 1 << ((whole ^ key) % 61)
            counts.items += 1
            if at <= first:
                counts.begun = min(_MANY, counts.begun + 1)
            self._dirty.add(place)


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
    text = item.text
    may_end = (end.end() for end in _MAY_END.finditer(text))
    ends = [0, *islice((end for end in may_end if text[end - 1] not in _NARROW_STOPS), MOST_SEGMENTS)]
    if ends[-1] < len(text):
        ends.append(len(text))
    source = item.source
    return [
        _repeated_segment(source, text[begin:end]) if end - begin <= _REPEATED else _segment(source, text[begin:end])
        for begin, end in pairwise(ends)
    ]


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
