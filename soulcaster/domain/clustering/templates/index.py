"""The templates of a project: which micro-cluster a machine's text belongs to.

A text has the template with as many words and signs and the same first one, of whose constant words it has the most.
Where enough of them are equal, it is the same template, and the words that differ vary from now on. (He et al., *Drain:
An Online Log Parsing Approach with Fixed Depth Tree*, ICWS 2017; the length and the first word are two levels of that
tree.) What is found depends only on the templates and their slots, so a restart changes nothing.
"""

from bisect import bisect_left, insort
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import combinations, islice
from operator import eq
from typing import TypeVar

from soulcaster.domain.clustering.templates.words import VARIES, Words

SAME_TEMPLATE = 0.8
"""The share of a template's constant words from which on a text has that template."""

MOST_COMPARED = 256
"""Templates of one length and first word that a text is compared with; those of the lowest slots."""

ALIKE = 0.6
"""The share of constant words, both ways, from which on two templates may be one: a person decides."""

_MOST_PAIRS = 20_000
"""Pairs that `TemplateIndex.alike` compares."""

_Bucket = tuple[int, str]

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Match:
    """A template near a text: its slot, and the share of its constant words that the text has."""

    slot: int
    share: float


@dataclass(frozen=True, slots=True)
class _Template:
    words: Words
    constant: tuple[str | None, ...]
    """The words; None for signs and what varies."""
    constants: int

    @classmethod
    def of(cls, words: Words) -> "_Template":
        constant = tuple(word if _is_word(word) else None for word in words)
        return cls(words, constant, len(words) - constant.count(None))

    def share(self, words: Words) -> float:
        """Return the share of the constant words that a text has; of a template without any, whether all is equal."""
        if not self.constants:
            return float(self.words == words)
        equal: int = sum(map(eq, self.constant, words))
        return equal / self.constants


class TemplateIndex:
    """Templates by the slot of their micro-cluster; two slots may have the same one, of which the lowest is found."""

    def __init__(self) -> None:
        """Start empty."""
        self._templates: dict[int, _Template] = {}
        self._buckets: dict[_Bucket, list[int]] = {}
        self._equal: dict[Words, list[int]] = {}

    def __len__(self) -> int:
        """Return how many micro-clusters have a template."""
        return len(self._templates)

    def nearest(self, words: Words) -> tuple[Match | None, Match | None]:
        """Return the template nearest to a text, and the next; one that is equal to it is nearest."""
        best: Match | None = None
        second: Match | None = None
        equal = self._equal.get(words)
        if equal is not None:
            return Match(equal[0], 1.0), None
        for slot in self._buckets.get(_bucket(words), ())[:MOST_COMPARED]:
            share = self._templates[slot].share(words)
            if best is None or share > best.share:
                best, second = Match(slot, share), best
            elif second is None or share > second.share:
                second = Match(slot, share)
        return best, second

    def alike(self, most: int) -> list[tuple[int, int, float]]:
        """Return pairs of templates that share many words but not enough to be one: slots and the share, best first.

        Among more than `_MOST_PAIRS` pairs of one length and first word, those of low slots are compared.
        """
        pairs = (pair for slots in self._buckets.values() for pair in combinations(slots[:MOST_COMPARED], 2))
        found = []
        for one, other in islice(pairs, _MOST_PAIRS):
            first, second = self._templates[one], self._templates[other]
            share = min(first.share(second.words), second.share(first.words))
            if share >= ALIKE:
                found.append((one, other, share))
        return nsmallest(most, found, key=lambda pair: (-pair[2], pair))

    def set(self, slot: int, words: Words) -> None:
        """Give a micro-cluster a template."""
        self.remove(slot)
        self._templates[slot] = _Template.of(words)
        insort(self._buckets.setdefault(_bucket(words), []), slot)
        insort(self._equal.setdefault(words, []), slot)

    def remove(self, slot: int) -> None:
        """Forget the template of a micro-cluster, if it has one."""
        old = self._templates.pop(slot, None)
        if old is not None:
            _discard(self._buckets, _bucket(old.words), slot)
            _discard(self._equal, old.words, slot)


def generalized(template: Words, words: Words) -> Words:
    """Return a template of which these words are an instance too: what differs varies."""
    if template == words:
        return template
    return tuple(old if old == new else VARIES for old, new in zip(template, words, strict=True))


def shown(template: Sequence[str]) -> str:
    """Return a template as people read it."""
    return " ".join(template)


def _bucket(words: Words) -> _Bucket:
    return len(words), words[0] if words else ""


def _is_word(word: str) -> bool:
    return word is not VARIES and word != VARIES and any(map(str.isalnum, word))


def _discard(slots_by_key: dict[Key, list[int]], key: Key, slot: int) -> None:
    slots = slots_by_key[key]
    del slots[bisect_left(slots, slot)]
    if not slots:
        del slots_by_key[key]
