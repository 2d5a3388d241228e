"""Hostile texts for regular expressions: repeats of what an expression reads, so that it begins again and again.

An expression that takes more than linear time does so where it reads much and then fails, at many places. So the texts
are made from the expression itself: an example of each of its parts, repeated, after an example of what stands before.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from re import _constants as sre  # the parser of `re` has no public name
from re import _parser as sre_parser
from typing import Any

_MEMBERS = "a7 Z_-.\n/:@\"'<&=+,;()[]{}|!#*é\u0301\x00"
"""What is tried for a class of characters, in this order."""

_CATEGORIES = {
    sre.CATEGORY_DIGIT: re.compile(r"\d"),
    sre.CATEGORY_NOT_DIGIT: re.compile(r"\D"),
    sre.CATEGORY_SPACE: re.compile(r"\s"),
    sre.CATEGORY_NOT_SPACE: re.compile(r"\S"),
    sre.CATEGORY_WORD: re.compile(r"\w"),
    sre.CATEGORY_NOT_WORD: re.compile(r"\W"),
}
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)
_LONGEST = 60
_LONGEST_RUN = 3
_VARIANTS = 2
_END = "\x00"
"""What follows: few expressions read it."""

_MOST = 40


@dataclass(frozen=True, slots=True)
class Pump:
    """A text of any length: `before`, then `pump` again and again, then `after`."""

    before: str
    pump: str
    after: str = ""

    def text(self, length: int) -> str:
        """Return the text, of about so many characters."""
        room = max(0, length - len(self.before) - len(self.after))
        return self.before + self.pump * (room // len(self.pump)) + self.after


def pumps(pattern: str | bytes, flags: int = 0) -> list[Pump]:
    """Return hostile texts for an expression, each once, at most `_MOST`."""
    source = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    tree = sre_parser.parse(source, flags & ~re.UNICODE if isinstance(pattern, str) else flags)
    found: dict[Pump, None] = {}
    for variant in range(_VARIANTS):
        for before, part in _parts(list(tree), "", variant):
            if part and len(part) <= _LONGEST:
                found[Pump(before, part, _END)] = None
    return list(found)[:: len(found) // _MOST + 1]


def _parts(nodes: list[Any], before: str, variant: int) -> Iterator[tuple[str, str]]:
    """Yield (what stands before, what may be repeated): runs of neighbours at every depth, above all the beginnings."""
    units = list(_units(nodes))
    examples = ["".join(_example(node, variant) for node in unit) for unit in units]
    for first in range(len(units)):
        for last in range(first, len(units)):
            if first == 0 or last - first < _LONGEST_RUN:
                yield "", "".join(examples[first : last + 1])
        yield before + "".join(examples[:first]), examples[first]
    for at, unit in enumerate(units):
        for inner in _inner(unit[0]):
            yield from _parts(inner, before + "".join(examples[:at]), variant)


def _units(nodes: list[Any]) -> Iterator[list[Any]]:
    """Yield nodes one by one, and neighbouring literals as one: a word."""
    for literal, group in groupby(nodes, lambda node: node[0] is sre.LITERAL):
        together = list(group)
        yield from [together] if literal else ([node] for node in together)


def _inner(node: Any) -> Iterator[list[Any]]:
    op, value = node
    if op in _REPEATS:
        yield list(value[2])
    elif op is sre.SUBPATTERN:
        yield list(value[3])
    elif op is sre.BRANCH:
        yield from (list(branch) for branch in value[1])
    elif op in (sre.ASSERT, sre.ASSERT_NOT):
        yield list(value[1])
    elif op is sre.ATOMIC_GROUP:
        yield list(value)


def _example(node: Any, variant: int) -> str:
    """Return a short text that a node may match; look-arounds are left out."""
    op, value = node
    if op is sre.LITERAL:
        return chr(int(value))
    if op in (sre.IN, sre.NOT_LITERAL, sre.ANY):
        return _member(op, value, variant)
    if op in _REPEATS:
        least, most, body = value
        once = "".join(_example(one, variant) for one in body)
        return once * int(min(max(least, 1), most))
    if op is sre.SUBPATTERN:
        return "".join(_example(one, variant) for one in value[3])
    if op is sre.ATOMIC_GROUP:
        return "".join(_example(one, variant) for one in value)
    if op is sre.BRANCH:
        branches = value[1]
        return "".join(_example(one, variant) for one in branches[variant % len(branches)])
    return ""


def _member(op: Any, value: Any, variant: int) -> str:
    members = [char for char in _MEMBERS if _is_in(op, value, char)]
    if not members:
        first = (v if o is sre.LITERAL else v[0] for o, v in value if o in (sre.LITERAL, sre.RANGE))
        return next(map(chr, first), "")
    return members[variant % len(members)]


def _is_in(op: Any, value: Any, char: str) -> bool:
    if op is sre.ANY:
        return char != "\n"
    if op is sre.NOT_LITERAL:
        return bool(ord(char) != value)
    negated = bool(value) and value[0][0] is sre.NEGATE
    return negated != any(_matches(one, char) for one in value)


def _matches(one: Any, char: str) -> bool:
    op, value = one
    if op is sre.LITERAL:
        return bool(ord(char) == value)
    if op is sre.RANGE:
        return bool(value[0] <= ord(char) <= value[1])
    if op is sre.CATEGORY:
        return _CATEGORIES[value].match(char) is not None
    return False
