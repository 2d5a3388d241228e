"""A patch by files and hunks, and the part of it that changes tests. Our own git wrote it, so it is well formed."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from soulcaster.domain.fixes.patch import FileChange, Patch
from soulcaster.domain.fixes.test_files import holds_inline_tests, is_test_file

Mark = Literal[" ", "+", "-"]

_FILE = re.compile(rb"^diff --git ", re.MULTILINE)
_HUNK = re.compile(rb"^@@ -\d+(?:,\d+)? \+(?P<start>\d+)(?:,\d+)? @@ ?(?P<heading>.*)", re.MULTILINE)
_MARKS: tuple[Mark, ...] = (" ", "+", "-")
_TEST_MODULE = re.compile(r"#\[cfg\(test\)\]|(pub(\(\w+\))? )?mod \w*tests?\b")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a hunk: context, added or removed."""

    mark: Mark
    text: str


@dataclass(frozen=True, slots=True)
class Hunk:
    """A hunk; `heading` is the line that git shows above it, that of a function or a module, often empty.

    `start` is the number of its first line in the file as it becomes.
    """

    start: int
    heading: str
    lines: tuple[Line, ...]
    raw: bytes


@dataclass(frozen=True, slots=True)
class FilePatch:
    """One file of a patch. A binary file, or one whose mode alone changes, has no hunks."""

    change: FileChange
    header: bytes
    hunks: tuple[Hunk, ...]

    @property
    def path(self) -> str:
        """The path of the file, the old one where it is deleted."""
        return self.change.path


def file_patches(patch: Patch) -> list[FilePatch]:
    """Return a patch by files; a change of the type of a file has two parts, which come one by one.

    No line of a file can begin a part or a hunk: all lines of files have a mark in front of them.
    """
    starts = [found.start() for found in _FILE.finditer(patch.text)]
    parts = [patch.text[start:end] for start, end in zip(starts, [*starts, len(patch.text)][1:], strict=True)]
    changes = [change for change in patch.changes for _ in range(2 if change.kind == "type changed" else 1)]
    return [_file_patch(change, raw) for change, raw in zip(changes, parts, strict=True)]


def split_tests(patch: Patch, helpers: Collection[str] = ()) -> tuple[Patch, Patch]:
    """Return a patch's part that changes no tests, and the part that changes only tests; `helpers` are no tests.

    Each file belongs to one of them, except where tests are in the file that they test, as in Rust: of such a file the
    hunks that are inside of the tests belong to the second part. Together they are the whole patch.
    """
    code: list[FilePatch] = []
    tests: list[FilePatch] = []
    for file in file_patches(patch):
        if is_test_file(file.path) and file.path not in helpers:
            tests.append(file)
            continue
        inside = tuple(hunk for hunk in file.hunks if holds_inline_tests(file.path) and in_tests(hunk))
        outside = tuple(hunk for hunk in file.hunks if hunk not in inside)
        if outside or not inside:
            code.append(replace(file, hunks=outside))
        if inside:
            tests.append(replace(file, hunks=inside))
    return _patch(code), _patch(tests)


def in_tests(hunk: Hunk) -> bool:
    """Return whether all changes of a hunk are in a module of tests of a Rust file."""
    return all(inside for line, inside in inline_test_lines(hunk) if line.mark != " ")


def inline_test_lines(hunk: Hunk) -> Iterator[tuple[Line, bool]]:
    """Yield the lines of a hunk of a Rust file, and whether each is in a module of tests, attribute included."""
    inside = bool(_TEST_MODULE.match(hunk.heading))
    for line in hunk.lines:
        if _TEST_MODULE.match(line.text):
            inside = True
        yield line, inside
        if line.text.startswith("}"):
            inside = False


def _patch(files: Sequence[FilePatch]) -> Patch:
    text = b"".join(file.header + b"".join(hunk.raw for hunk in file.hunks) for file in files)
    return Patch(text, tuple(dict.fromkeys(file.change for file in files)))


def _file_patch(change: FileChange, raw: bytes) -> FilePatch:
    found = list(_HUNK.finditer(raw))
    starts = [first.start() for first in found]
    ends = [*starts, len(raw)][1:]
    hunks = tuple(_hunk(first, raw[first.start() : end]) for first, end in zip(found, ends, strict=True))
    return FilePatch(change, raw[: starts[0]] if starts else raw, hunks)


def _hunk(first: re.Match[bytes], raw: bytes) -> Hunk:
    rest = _text(raw).split("\n")[1:]
    lines = [Line(mark, line[1:].removesuffix("\r")) for line in rest for mark in _MARKS if line.startswith(mark)]
    return Hunk(int(first["start"]), _text(first["heading"]), tuple(lines), raw)


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")
