"""The lines that a patch adds, with their places in the files as they become."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from soulcaster.domain.fixes.patch import FileChange, Patch

_SECTION = re.compile(rb"^diff --git ", re.MULTILINE)
_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@dataclass(frozen=True, slots=True)
class AddedLine:
    """A line that a patch adds to a file, without its line end; the first line of a file has the number 1."""

    path: str
    number: int
    text: str


def sections(patch: Patch) -> Iterator[tuple[FileChange, bytes]]:
    """Return the text of each change; one that changes the type of a file has two parts, which come one by one.

    No line of a file can begin a part: all lines of files have a mark in front of them.
    """
    starts = [found.start() for found in _SECTION.finditer(patch.text)]
    parts = [patch.text[start:end] for start, end in zip(starts, [*starts, len(patch.text)][1:], strict=True)]
    changes = [change for change in patch.changes for _ in range(2 if change.kind == "type changed" else 1)]
    return iter(zip(changes, parts, strict=True))


def new_lines(patch: Patch) -> list[AddedLine]:
    """Return the lines that a patch adds and does not also remove: one that only moves, or is indented, is not new."""
    added: list[AddedLine] = []
    removed: set[str] = set()
    for change, part in sections(patch):
        for mark, number, text in _marked(part):
            if mark == "+":
                added.append(AddedLine(change.path, number, text))
            else:
                removed.add(text.strip())
    return [line for line in added if line.text.strip() not in removed]


def _marked(part: bytes) -> Iterator[tuple[str, int, str]]:
    """Return the added and removed lines of one file; the counts of a hunk say where it ends."""
    number = old_left = new_left = 0
    for line in part.split(b"\n"):
        if old_left <= 0 and new_left <= 0:
            if hunk := _HUNK.match(line):
                old_left, number, new_left = int(hunk[1] or 1), int(hunk[2]), int(hunk[3] or 1)
            continue
        mark, text = line[:1], line[1:].decode(errors="surrogateescape").removesuffix("\r")
        if mark == b"+":
            yield "+", number, text
        elif mark == b"-":
            yield "-", number, text
        number += mark in (b"+", b" ")
        new_left -= mark in (b"+", b" ")
        old_left -= mark in (b"-", b" ")
