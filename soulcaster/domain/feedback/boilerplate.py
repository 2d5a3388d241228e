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
from itertools import islice, pairwise
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
_COUNTS = struct.Struct("<QIHH")
"""A segment's hash; the rests it went along with, items that had it, those it began, halvings when it was counted."""

_KEY_BYTES = _SEEN.size - _COUNTS.size

_TOTAL = struct.Struct("<QIH")
_TOTALS = b"boilerplate"
_MANY = 0xFFFF
_UNKNOWN = 1 << 32
_HASH_BYTES = 8
_RESTS = {FEWEST_OF_END: FEWEST_OF_END - 1, FEWEST: FEWEST - 3}
"""Different rests at least; two may have the same one of the 61 bits."""
_GREETING = 4
"""Words of a greeting, at most."""


class _Counts(NamedTuple):
    rests: int
    items: int
    begun: int


class _Set:
    """The segments that share a place, oldest first, as they are stored."""

    __slots__ = ("blob", "keys")

    def __init__(self, blob: bytes = b"") -> None:
        self.blob = bytearray(blob)
        self.keys = [key for key, *_ in _SEEN.iter_unpack(blob)]

    def counts(self, key: int, source: "_Source") -> _Counts | None:
        """Return what is counted of a segment, halved as often as its source was since."""
        if key not in self.keys:
            return None
        at = self.keys.index(key) * _SEEN.size + _KEY_BYTES
        rests, items, begun, halvings = _COUNTS.unpack_from(self.blob, at)
        if halvings != source.halvings:
            times = min(31, (source.halvings - halvings) & _MANY)
            items, begun = items >> times, begun >> times
        return _Counts(rests, items, begun)

    def put(self, key: int, counts: _Counts, source: "_Source") -> None:
        """Change what is counted of a segment, or add one, for which the rarest gives way where there is no room."""
        packed = _SEEN.pack(key, counts.rests, counts.items, counts.begun, source.halvings)
        if key in self.keys:
            at = self.keys.index(key) * _SEEN.size
            self.blob[at : at + _SEEN.size] = packed
            return
        if len(self.keys) >= WAYS:
            rarest = self._rarest()
            del self.keys[rarest]
            del self.blob[rarest * _SEEN.size : (rarest + 1) * _SEEN.size]
        self.keys.append(key)
        self.blob += packed

    def _rarest(self) -> int:
        """Return where the oldest segment is that came once, else the oldest of those that came least."""
        rarest, fewest = 0, _UNKNOWN
        for at, (_, _, items, _, _) in enumerate(_SEEN.iter_unpack(self.blob)):
            if items < fewest:
                rarest, fewest = at, items
                if fewest <= 1:
                    break
        return rarest


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
            blobs[_TOTALS + number.to_bytes(2, "big")] = bytes(self._sets[number].blob)
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
            counts = self._counts(segment.key, source)
            if not segment.words or (len(segments) == 1 and counts is None):
                continue  # most items are one sentence, which matters only if others go along with it
            rests, items, begun = counts or (0, 0, 0)
            rests |= 1 << ((whole ^ segment.key) % 61)
            now = _Counts(rests, items + 1, min(_MANY, begun + (at <= first)))
            place = segment.key % SETS
            self._sets[place].put(segment.key, now, source)
            self._dirty.add(place)

    def _counts(self, key: int, source: _Source) -> _Counts | None:
        found = self._sets.get(key % SETS)
        return None if found is None else found.counts(key, source)

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

    def _accompanying(self, segment: _Segment, source: _Source, fewest: int) -> _Counts | None:
        """Return what is counted of a segment, if it goes along with different rests and says nothing itself."""
        one = self._counts(segment.key, source)
        if one is None or one.items < fewest or one.begun * 8 > one.items or one.rests.bit_count() < _RESTS[fewest]:
            return None
        return None if _PRINTED.search(segment.text) else one


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
    has_digits = has_digit(text)
    of_source = hashlib.blake2b(f"{item.source}\0".encode(), digest_size=_HASH_BYTES)
    segments = []
    for begin, end in pairwise(ends):
        said = text[begin:end].casefold()
        parts = (_DIGITS.sub("0", said) if has_digits else said).split()
        plain = " ".join(parts).rstrip(_STOPS)
        has_words = plain[:1].isalnum() or _LETTER.search(plain) is not None
        hasher = of_source.copy()
        hasher.update(plain.encode())
        key = int.from_bytes(hasher.digest(), "little")
        segments.append(_Segment(text[begin:end], len(parts) if has_words else 0, key))
    return segments


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES).digest(), "little")
