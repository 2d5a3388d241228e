"""The words of a machine's text, with what varies cut: what is left is where a template starts from.

Whatever has a digit varies: numbers, ids, addresses, times. So do addresses without one, and a date's names. What is
between two of these and no word goes with them, so that a list of three is like a list of five.
"""

import re

from soulcaster.domain.text.cards import CARD
from soulcaster.domain.text.emails import EMAIL
from soulcaster.domain.text.ip_addresses import IP
from soulcaster.domain.text.masking import ID, NUMBER
from soulcaster.domain.text.phones import PHONE
from soulcaster.domain.text.secrets import SECRET

VARIES = "*"
"""Stands for what varies. It is one string: a word that is equal to it is replaced by it."""

Words = tuple[str, ...]

MOST_WORDS = 96
"""Words and signs of a text that are looked at."""

_MASKED = re.compile("|".join(map(re.escape, (IP, ID, NUMBER, EMAIL, PHONE, CARD, SECRET))))
_HOST = re.compile(
    r"(?<![\w.-])(?:[\w-]{1,63}\.){1,8}[\w-]{1,63}:\d{1,5}(?!\d)"  # with a port
    r"|(?<![\w.-])(?:[\w-]{1,63}\.){2,8}[a-z]{2,6}(?![\w.])"
)
_DATE = re.compile(
    r"\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? )?"
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.? \d{1,2}\b"
)
_UNIT = re.compile(r"(?<=\d) ?(?:[KMGT]i?B|[kmgt]b|B|bytes?|[mun]?s|secs?|seconds?|min|minutes?|h|hours?)\b")
_PART = re.compile(r"[^\s=,;:()\[\]{}<>\"'|]+|[=,;:()\[\]{}<>\"'|]")
_DIGIT = re.compile(r"\d")
_BETWEEN = frozenset(":,/.-#|")
_OPENED_BY = {")": "(", "]": "[", "}": "{", ">": "<"}


def template_words(text: str) -> Words:
    """Return the words and signs of a text, at most `MOST_WORDS`, with `VARIES` for what varies by its form."""
    if "[" in text:
        text = _MASKED.sub("0", text)
    if "." in text:
        text = _HOST.sub("0", text)
    if _DIGIT.search(text) is not None:
        text = _UNIT.sub("", _DATE.sub("0", text))
    found: list[str] = []
    for part in _PART.findall(text):
        if part == VARIES or _DIGIT.search(part) is not None:
            _drop_before(found)
            found.append(VARIES)
            continue
        found.append(part)
        if part in _OPENED_BY:
            _close(found, _OPENED_BY[part])
        if len(found) >= MOST_WORDS:
            break
    return tuple(found)


def _drop_before(found: list[str]) -> None:
    """Drop what varies at the end, because the same follows: a list counts as one."""
    while found:
        if found[-1] is VARIES:
            del found[-1]
        elif len(found) > 1 and found[-2] is VARIES and found[-1] in _BETWEEN:
            del found[-2:]
        else:
            return


def _close(found: list[str], opening: str) -> None:
    """Make one of brackets with nothing in them, or only with what varies."""
    if len(found) > 1 and found[-2] == opening:
        del found[-2:]
    elif len(found) > 2 and found[-2] is VARIES and found[-3] == opening:
        del found[-3:]
    else:
        return
    _drop_before(found)
    found.append(VARIES)
