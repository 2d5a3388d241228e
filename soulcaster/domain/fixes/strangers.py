"""Strangers' words on their way to a coding agent: what nobody would see is removed, and the rest is fenced as data.

A text may hide instructions from people and show them to a program: invisible characters, tag characters, variation
selectors and bidirectional controls (Boucher and Anderson, *Trojan Source*, 2021), HTML comments, terminal sequences.
All functions take time proportional to the text.
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Sequence

from soulcaster.domain.text.normalize import visible

COMMENT_REMOVED = "[HTML comment removed]"

_HIDDEN = re.compile(
    "[\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2065\ufe00-\ufe0f\ufff0-\ufff8"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""What Unicode calls default ignorable and `visible` leaves: joiners, marks of direction, variation selectors, fillers.

Joined emoji fall apart, and some scripts look a little different. A joiner for each letter could encode a text.
"""

_COMMENT_MARK = re.compile("<!--|-->")


def plain(text: str) -> str:
    """Return a text as people see it, trimmed, without HTML comments."""
    return _without_comments(_HIDDEN.sub("", visible(text))).strip()


def plain_line(text: str, most_chars: int) -> str:
    """Return a text as `plain` does, on one line of at most so many characters; a longer one ends with an ellipsis."""
    line = " ".join(plain(text).split())
    return line if len(line) <= most_chars else f"{line[: most_chars - 1].rstrip()}…"


def cut(text: str, most_bytes: int) -> str:
    """Return a text that has at most so many bytes in UTF-8, in whole characters; a longer one says what is missing."""
    encoded = text.encode()
    if len(encoded) <= most_bytes:
        return text
    note = f"\n[{len(text):,} characters, cut here]"
    kept = encoded[: max(0, most_bytes - len(note.encode()))].decode(errors="ignore")
    return f"{kept.rstrip()}{note}"


def _without_comments(text: str) -> str:
    """Replace HTML comments by a marker, so that what is around one cannot form another.

    A comment ends where it would end if comments could be in one another. If it does not end there, it ends at the
    first end mark, where a browser ends it; if there is none, with the text.
    """
    begins: list[int] = []
    ends: list[int] = []
    unended: list[int] = []
    outer_end: dict[int, int] = {}
    for mark in _COMMENT_MARK.finditer(text):
        if mark[0] == "<!--":
            begins.append(mark.start())
            unended.append(mark.start())
        else:
            ends.append(mark.end())
            if unended:
                outer_end[unended.pop()] = mark.end()
    parts: list[str] = []
    at = 0
    for begin in begins:
        if begin < at:
            continue
        parts.append(text[at:begin])
        following = bisect_right(ends, begin)
        first_end = ends[following] if following < len(ends) else len(text)
        at = outer_end.get(begin, first_end)
    return COMMENT_REMOVED.join([*parts, text[at:]])


class Fence:
    """Marks that enclose strangers' words and occur in none of them."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Choose the marks for these texts; the same texts give the same marks."""
        joined = "\n".join(texts)
        digest = hashlib.sha256(joined.encode())
        while (mark := digest.hexdigest()[:12]) in joined:
            digest.update(b"again")
        self.mark = mark

    def enclose(self, name: str, text: str) -> str:
        """Return a text between a begin mark and an end mark; the text must be one of those given at first."""
        return f"[begin {name} {self.mark}]\n{text}\n[end {name} {self.mark}]"
