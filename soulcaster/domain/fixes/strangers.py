"""Strangers' words on their way to a coding agent: what nobody would see is removed, and the rest is fenced as data.

A text may hide instructions from people and show them to a program: invisible characters, tag characters, variation
selectors and bidirectional controls (Boucher and Anderson, *Trojan Source*, 2021), HTML comments, terminal sequences.
All functions take time proportional to the text.
"""

import hashlib
import re
from collections.abc import Sequence

from soulcaster.domain.text.normalize import visible

COMMENT_REMOVED = "[HTML comment removed]"
CUT = "[cut here]"

_TERMINAL = re.compile("\x1b\\[[0-?]{0,32}[ -/]{0,8}[@-~]")
_HIDING = re.compile("[\u061c\u200e\u200f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Marks of direction and variation selectors; `visible` removes the other invisible characters."""

_JOINERS = re.compile("([\u200c\u200d])[\u200c\u200d]+")
"""Some scripts need one joiner between letters; a run of them can encode a text."""


def plain(text: str, limit: int) -> str:
    """Return a text as people see it, without HTML comments, at most `limit` characters; a longer one says so."""
    shown = visible(_TERMINAL.sub("", text))
    shown = _without_comments(_JOINERS.sub(r"\1", _HIDING.sub("", shown))).strip()
    return shown if len(shown) <= limit else f"{shown[:limit].rstrip()}\n{CUT}"


def plain_line(text: str, limit: int) -> str:
    """Return a text as `plain` does, on one line."""
    return " ".join(plain(text, limit).split())


def _without_comments(text: str) -> str:
    """Replace HTML comments. An unclosed one ends with the text; a marker stays, so no new comment can form."""
    parts: list[str] = []
    at = 0
    while (begin := text.find("<!--", at)) >= 0:
        end = text.find("-->", begin + 4)
        parts += [text[at:begin], COMMENT_REMOVED]
        if end < 0:
            return "".join(parts)
        at = end + 3
    return "".join([*parts, text[at:]])


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
