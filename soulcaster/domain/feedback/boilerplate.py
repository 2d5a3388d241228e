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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from soulcaster.domain.feedback.items import ComparedItem

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

_STOPS = ".!?\u3002\uff01\uff1f"
_END = re.compile(rf"(?<![.!?])[.!?]++\s++|[{_STOPS[3:]}]++\s*+|\n++")
_LETTER = re.compile(r"\w")
_DIGITS = re.compile(r"\d+")
_PRINTED = re.compile(
    r"[a-z]{2}[A-Z][a-z]|\w\(\)|\w::\w|\b0x|[A-Za-z]_[A-Za-z]|"
    r"\w->\w|^\S{1,200} [\w+-]{1,100}\.[A-Za-z]\w{0,7}$|"
    r"(?i:\berr(?:or|eur)\b|exception\b|\bfatal\b|\bpanic\b|\bfehler\b)"
)
"""What programs print: names of code, frames (as text/traces.py leaves them), errors."""

_SEEN = struct.Struct("<QQIHH")
"""A segment's hash, the rests it went along with, items that had it, those it began, halvings when it was counted."""

_TOTAL = struct.Struct("<QIH")
_TOTALS = b"boilerplate"
_MANY = 0xFFFF
_UNKNOWN = 1 << 32
_RESTS = {FEWEST_OF_END: FEWEST_OF_END - 1, FEWEST: FEWEST - 3}
"""Different rests at least; two may have the same one of the 61 bits."""
_GREETING = 4
"""Words of a greeting, at most."""


@dataclass(slots=True)
class _Counted:
    rests: int = 0
    items: int = 0
    begun: int = 0
    halvings: int = 0


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
        self._sets: dict[int, dict[int, _Counted]] = {}
        self._sources: dict[int, _Source] = {}
        self._dirty: set[int] = set()
        self._dirty_totals = False
        for key, blob in (blobs or {}).items():
            if key == _TOTALS:
                self._sources = {source: _Source(*rest) for source, *rest in _TOTAL.iter_unpack(blob)}
            else:
                counted = {segment: _Counted(*rest) for segment, *rest in _SEEN.iter_unpack(blob)}
                self._sets[int.from_bytes(key[len(_TOTALS) :], "big")] = counted

    def without(self, items: Sequence[ComparedItem], new: Sequence[bool]) -> list[ComparedItem]:
        """Return the items without boilerplate, in order; count those that are new, and not new versions of others."""
        return [self._judged(item, counts) for item, counts in zip(items, new, strict=True)]

    def take_changes(self) -> dict[bytes, bytes]:
        """Return what has changed since the last call, as blobs."""
        blobs = {}
        for number in sorted(self._dirty):
            found = self._sets[number].items()
            blobs[_TOTALS + number.to_bytes(2, "big")] = b"".join(
                _SEEN.pack(key, one.rests, one.items, one.begun, one.halvings) for key, one in found
            )
        if self._dirty_totals:
            totals = self._sources.items()
            blobs[_TOTALS] = b"".join(_TOTAL.pack(key, one.items, one.halvings) for key, one in totals)
        self._dirty.clear()
        self._dirty_totals = False
        return blobs

    def _judged(self, item: ComparedItem, counts: bool) -> ComparedItem:
        segments = list(_segments(item))
        source_key = _hash(item.source)
        if counts:
            self._count(segments, source_key)
        if len(segments) < 2:
            return item
        source = self._sources.get(source_key, _Source())
        if all(not one.words or self._accompanying(one, source, FEWEST_OF_END) for one in segments):
            return item  # nothing would be left
        first = _first(segments)
        end = max(first + 1, self._end(segments, source))
        kept = [one for at, one in enumerate(segments[:end]) if at <= first or not self._is_common(one, source)]
        if len(kept) == len(segments):
            return item
        return replace(item, text="".join(one.text for one in kept).strip())

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
        for at, segment in enumerate(segments):
            one = self._find(segment.key, source)
            if not segment.words or (len(segments) == 1 and one is None):
                continue  # most items are one sentence, which matters only if others go along with it
            if one is None:
                one = self._make_room(segment.key, source)
            one.items += 1
            if at <= first:
                one.begun = min(_MANY, one.begun + 1)
            one.rests |= 1 << ((whole ^ segment.key) % 61)
            self._dirty.add(segment.key % SETS)

    def _find(self, key: int, source: _Source) -> _Counted | None:
        """Return what is counted of a segment, halved as often as its source was since."""
        one = self._sets.get(key % SETS, {}).get(key)
        if one is not None and one.halvings != source.halvings:
            times = min(31, (source.halvings - one.halvings) & _MANY)
            one.items, one.begun, one.halvings = one.items >> times, one.begun >> times, source.halvings
        return one

    def _make_room(self, key: int, source: _Source) -> _Counted:
        counted = self._sets.setdefault(key % SETS, {})
        if len(counted) >= WAYS:
            del counted[_rarest(counted)]
        one = counted[key] = _Counted(halvings=source.halvings)
        return one

    def _is_common(self, segment: _Segment, source: _Source) -> bool:
        one = self._accompanying(segment, source, FEWEST)
        return one is not None and one.items * COMMON >= source.items

    def _end(self, segments: Sequence[_Segment], source: _Source) -> int:
        """Return where an end begins that several items share; the number of segments if there is none."""
        words = 0
        at = len(segments)
        while at and (
            not segments[at - 1].words or self._accompanying(segments[at - 1], source, FEWEST_OF_END) is not None
        ):
            at -= 1
            words += segments[at].words
            if segments[at].text.rstrip().endswith((":", "\uff1a")):
                return len(segments)  # what follows is cited
        if at and segments[at - 1].text.rstrip().endswith((":", "\uff1a")):
            return len(segments)
        return at if words >= WORDS_OF_END else len(segments)

    def _accompanying(self, segment: _Segment, source: _Source, fewest: int) -> _Counted | None:
        """Return what is counted of a segment, if it goes along with different rests and says nothing itself."""
        one = self._find(segment.key, source)
        if one is None or one.items < fewest or one.begun * 8 > one.items or one.rests.bit_count() < _RESTS[fewest]:
            return None
        return None if _PRINTED.search(segment.text) else one


def _first(segments: Sequence[_Segment]) -> int:
    """Return which segment says what an item is about: the first, or the one after a greeting."""
    greets = (
        len(segments) > 2 and segments[0].words <= _GREETING and segments[0].text.rstrip().endswith((",", "\uff0c"))
    )
    return int(greets)


def _segments(item: ComparedItem) -> Iterator[_Segment]:
    """Yield the segments of a text, in order; the last has what lies beyond `MOST_SEGMENTS`."""
    text = item.text
    begin = 0
    for number, end in enumerate(_END.finditer(text), 1):
        yield _segment(item.source, text[begin : end.end()])
        begin = end.end()
        if number == MOST_SEGMENTS:
            break
    if begin < len(text):
        yield _segment(item.source, text[begin:])


def _segment(source: str, text: str) -> _Segment:
    parts = _DIGITS.sub("0", text.casefold()).split()
    plain = " ".join(parts).rstrip(_STOPS)
    words = len(parts) if _LETTER.search(plain) else 0
    return _Segment(text, words, _hash(f"{source}\0{plain}"))


def _rarest(counted: Mapping[int, _Counted]) -> int:
    """Return the oldest segment that came once, else the oldest of those that came least."""
    rarest, fewest = 0, _UNKNOWN
    for key, one in counted.items():
        if one.items < fewest:
            rarest, fewest = key, one.items
            if fewest <= 1:
                break
    return rarest


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
