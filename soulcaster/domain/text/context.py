"""The words before a place in a text, which say what a number there is."""

import re

_CHARS = 48
_WORD = re.compile(r"(?:[^\W\d_]|[\u0900-\u109f])+")
"""A run of letters, with the marks that scripts of India and South-East Asia have in their words.

Names stand in such runs, not in what `words` gives: number_of_phone has three.
"""

_ENDS = ("\n", "]", "!", "?")
"""What stands before one of these belongs to something else; a bracket ends the name of what was masked."""


def words_before(text: str, at: int) -> list[str]:
    """Return the words right before a place, in lower case, the nearest first."""
    start = max(0, at - _CHARS)
    before = text[start:at]
    end = max(map(before.rfind, _ENDS)) + 1
    words = _WORD.findall(before, end)
    if start and not end and words and before.startswith(words[0]):
        del words[0]  # its beginning is cut off
    return [word.lower() for word in reversed(words)]


def nearest(words: list[str], fillers: frozenset[str]) -> str:
    """Return the nearest word that is no filler (is, at, number, ...); empty if there is none."""
    return next((word for word in words if word not in fillers), "")
