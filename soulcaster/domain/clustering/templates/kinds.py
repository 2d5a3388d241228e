"""Whether a machine or a person wrote a text: by the text itself, and by what else its source has sent.

A machine's text is full of words that nobody says (numbers, ids, names of code, signs), a person's text asks and says
I and you. Most log lines are the one, most feedback the other, and some of both is neither; there the source decides,
once enough of it is known. In doubt a text is a person's.
"""

import re
from typing import Literal

import msgspec

from soulcaster.domain.feedback.items import ComparedItem

Likeness = Literal["machine", "person", "unclear"]

KNOWN_AFTER = 16
"""Items after which a source is known."""

MOST_SOURCES = 256
"""Sources of a project about which something is remembered."""

_REMEMBERED = 1024
"""Of how many items, roughly: a source may change."""

_FEWEST_MACHINE = 0.3
_MOST_PERSON = 0.2
_SURELY, _LIKELY = 0.5, 0.25
"""Shares of words that nobody says."""

_FEWEST_WORDS = 3
"""In a text with fewer, plain numbers say nothing: people write "login 2" and "4 stars"."""

_SPOKEN_UNSAID = 2
"""Words that nobody says, in a text that says I or you, from which on it is a machine's if its source is one."""

_LOOKED_AT = 1_000

_SIGNS = r"0-9_=<>|{}\[\]#*"
_UNSAID = re.compile(
    rf"[{_SIGNS}:./\\(A-Z]"  # `re` finds one set of characters many times faster than several alternatives
    rf"(?:(?<=[{_SIGNS}])|(?<=::)|(?<=[a-z][A-Z])|(?<=\w[./\\])(?=\w)|(?<=\w\())",
    re.ASCII,
)
"""In a word that nobody says; without it, only a name before a colon is one."""

_NO_NUMBER = re.compile(
    r"\[(?:ip|id|number)\]|[_=<>|{}\[\]#*]|::|[a-z][A-Z]|[A-Za-z][./\\]\w|\w[./\\][A-Za-z]|\w\(|->", re.ASCII
)
_SAID = re.compile(
    r"(?<![\w.])(?:i|i'm|i've|i'd|i'll|my|me|mine|we|we're|our|us|you|your|please|can't|don't|doesn't|didn't|won't|isn't"
    r"|how|why|what|what's|when|where|which|who|hi|hello|hey|thanks?)(?![\w.=:(/-])|\?(?:\s|$)",
    re.IGNORECASE,
)


class _Text:
    """What is counted of a text."""

    def __init__(self, text: str) -> None:
        words = text[:_LOOKED_AT].split()
        self.words = len(words)
        self.unsaid = 0
        if ":" in text or _UNSAID.search(text, 0, _LOOKED_AT) is not None:
            self.unsaid = sum(map(_is_unsaid, words))
        self.has_letters = any(map(str.isalpha, text[:_LOOKED_AT]))
        self.speaks = _SAID.search(text, 0, _LOOKED_AT) is not None
        self._all = words

    @property
    def is_surely_machine(self) -> bool:
        """Return whether a machine wrote it whatever its source is; people do say numbers."""
        if self.words < _FEWEST_WORDS or self.speaks or self.unsaid < _SURELY * self.words:
            return False
        return self._code() >= _SURELY * self.words

    @property
    def likeness(self) -> Likeness:
        if not self.has_letters:
            return "unclear"
        unsaid = self.unsaid if self.words >= _FEWEST_WORDS else self._code()
        if unsaid < _LIKELY * self.words:
            return "person" if self.speaks else "unclear"
        return "machine" if not self.speaks or unsaid >= _SURELY * self.words else "unclear"

    def _code(self) -> int:
        """Return how many words look like code, ids or signs: plain numbers do not."""
        return sum(1 for word in self._all if word.isascii() and _NO_NUMBER.search(word) is not None)


def _is_unsaid(word: str) -> bool:
    return word.isascii() and (_UNSAID.search(word) is not None or (word[-1] == ":" and word[:-1].isalpha()))


def likeness(text: str) -> Likeness:
    """Return who a text looks to be from."""
    return _Text(text).likeness


class SourceEvidence(msgspec.Struct, array_like=True):
    """How many items of a source are known, and how many of them look to be from a machine and from a person."""

    items: int = 0
    machine: int = 0
    person: int = 0

    @property
    def is_machine(self) -> bool:
        """Return whether what is unclear is a machine's."""
        enough = self.items >= KNOWN_AFTER
        return enough and self.machine >= _FEWEST_MACHINE * self.items and self.person <= _MOST_PERSON * self.items

    def add(self, of: Likeness) -> None:
        """Count an item."""
        if self.items >= _REMEMBERED:
            self.items, self.machine, self.person = self.items // 2, self.machine // 2, self.person // 2
        self.items += 1
        self.machine += of == "machine"
        self.person += of == "person"


class Kinds:
    """Says which items are from machines."""

    def __init__(self) -> None:
        """Start knowing nothing."""
        self.sources: dict[str, SourceEvidence] = {}

    def is_machine(self, item: ComparedItem) -> bool:
        """Count an item, and return whether a machine wrote its text."""
        text = _Text(item.text)
        evidence = self.sources.get(item.source)
        if evidence is None:
            evidence = SourceEvidence()
            if len(self.sources) < MOST_SOURCES:
                self.sources[item.source] = evidence
        evidence.add(text.likeness)
        if not text.has_letters:
            return False  # 1/10 is a rating: all that it says would vary in a template
        if evidence.is_machine:
            return not text.speaks or text.unsaid >= _SPOKEN_UNSAID or text.unsaid >= _LIKELY * text.words
        return text.is_surely_machine
