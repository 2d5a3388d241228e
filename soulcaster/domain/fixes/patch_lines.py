"""The lines that a patch adds, with their places in the files as they become."""

from dataclasses import dataclass

from soulcaster.domain.fixes.patch import Patch
from soulcaster.domain.fixes.patch_parts import file_patches


@dataclass(frozen=True, slots=True)
class AddedLine:
    """A line that a patch adds to a file, without its line end; the first line of a file has the number 1."""

    path: str
    number: int
    text: str


def new_lines(patch: Patch) -> list[AddedLine]:
    """Return the lines that a patch adds and does not also remove: one that only moves, or is indented, is not new."""
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
    return [line for line in added if line.text.strip() not in removed]
