"""The lines that a patch adds, with their places in the files as they become, those of binary files included."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from soulcaster.domain.fixes.binary_files import text_of
from soulcaster.domain.fixes.patch import Patch
from soulcaster.domain.fixes.patch_parts import file_patches


@dataclass(frozen=True, slots=True)
class AddedLine:
    """A line that a patch adds to a file, without its line end; the first line of a file has the number 1."""

    path: str
    number: int
    text: str


def new_lines(patch: Patch) -> list[AddedLine]:
    """Return the lines that a patch adds and does not also remove: one that only moves, or is indented, is not new.

    Of binary files, those that are text in an encoding that git does not know have lines.
    """
    added: list[AddedLine] = []
    removed: set[str] = set()
    for file in file_patches(patch):
        for hunk in file.hunks:
            number = hunk.start
            for line in hunk.lines:
                if line.mark == "+":
                    added.append(AddedLine(file.path, number, line.text))
                elif line.mark == "-":
                    removed.add(line.text.strip())
                number += line.mark != "-"
    return [
        *(line for line in added if line.text.strip() not in removed),
        *_in_binaries(patch, lambda data: (text_of(data) or "").splitlines()),
    ]


def new_strings(patch: Patch) -> list[AddedLine]:
    """Return all that may be text in the binary files of a patch, and was not there before.

    Strings end at a byte NUL as well as at the end of a line. They are there once more without these bytes, because
    letters of UTF-16 have one each.
    """
    return [*_in_binaries(patch, _parted), *_in_binaries(patch, _joined)]


def _parted(data: bytes) -> Iterator[str]:
    return (string.decode(errors="replace") for string in re.split(rb"[\0\n]+", data))


def _joined(data: bytes) -> Iterator[str]:
    return (string.decode(errors="replace") for string in data.replace(b"\0", b"").split(b"\n"))


def _in_binaries(patch: Patch, read: Callable[[bytes], Iterable[str]]) -> Iterator[AddedLine]:
    for change in patch.changes:
        if change.binary is None or change.binary.after is None or change.binary.after.data is None:
            continue
        before = change.binary.before
        known = {line.strip() for line in read(before.data)} if before is not None and before.data else set()
        for number, line in enumerate(read(change.binary.after.data), start=1):
            if line.strip() not in known:
                yield AddedLine(change.path, number, line)
