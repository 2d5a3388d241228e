"""The words of a text, in every script: everything that takes a text apart takes this.

Words are those of Unicode (UAX 29), by ICU, which has dictionaries for scripts that are written without spaces: Thai,
Lao, Khmer, Burmese, Chinese and Japanese. Marks stay in their words, as Hindi and Thai have them. Beyond that:

- full stops, commas and colons part words, too, as in host names, versions and code;
- an English contraction with "not" is one word (can't), other endings after an apostrophe are none (bank's is bank);
- other apostrophes part words: l'application is two.
"""

import re

from icu4py.breakers import WordBreaker

_LOCALE = "root"
_KEPT = "\x1f"
"""Stands for an apostrophe inside a word while others part words."""

_ASCII_WORDS = bytes(byte if chr(byte).isalnum() or byte == ord("_") else ord(" ") for byte in range(128)) + bytes(128)
_WITH_KEPT = _ASCII_WORDS[: ord(_KEPT)] + b"'" + _ASCII_WORDS[ord(_KEPT) + 1 :]
_APOSTROPHES = "\u2019\u02bc\uff07\u00b4"
_TYPESET = "\u201c\u201d\u201e\u2013\u2014\u2026\xa0\xa3\u20ac"
"""What plain English has beyond ASCII besides apostrophes; it parts words."""

_ENDINGS = re.compile(r"'(?<=[^\W_]')(?:s|re|ve|ll|d|m)(?!\w)")
_NEGATION = re.compile(r"'(?<=n')t(?!\w)")
_PARTS = re.compile(r"[^.,:;'\u00b7\u2024\u2027\uff0e\ufe52]++(?:(?<=n)'t(?!\w))?")


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, in order."""
    text = text.lower()
    if not text.isascii():
        plain = _as_typed(text)
        if not plain.isascii():
            return _of_any_script(plain)
        text = plain
    if "'" not in text:  # same result, several times faster
        return text.encode().translate(_ASCII_WORDS).decode().split()
    text = _NEGATION.sub(f"{_KEPT}t", _ENDINGS.sub(" ", text.replace(_KEPT, " ")))
    return text.encode().translate(_WITH_KEPT).decode().split()


def _as_typed(text: str) -> str:
    """Return a text with the signs of a keyboard in place of typographic ones."""
    for sign in _APOSTROPHES:
        text = text.replace(sign, "'")
    for sign in _TYPESET:
        text = text.replace(sign, " ")
    return text


def _of_any_script(text: str) -> list[str]:
    if "'" in text:
        text = _ENDINGS.sub(" ", text)
    text = text.encode(errors="replace").decode()  # ICU takes no half of a surrogate pair
    found: list[str] = []
    for part in WordBreaker(text, _LOCALE):
        if part.isalnum():
            found.append(part)
        elif part != " " and ("_" in part or any(map(str.isalnum, part))):
            found += _PARTS.findall(part)
    return found
