"""A patch by files and hunks, and the part of it that changes tests. Our own git wrote it, so it is well formed."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from soulcaster.domain.fixes.patch import FileChange, Patch
from soulcaster.domain.fixes.patch_lines import sections
from soulcaster.domain.fixes.test_files import holds_inline_tests, is_test_file

Mark = Literal[" ", "+", "-"]

_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@ ?(?P<heading>.*)")
_START = re.compile(rb"^@@ -", re.MULTILINE)
_MARKS: tuple[Mark, ...] = (" ", "+", "-")
_TEST_MODULE = re.compile(r"#\[cfg\(test\)\]|(pub(\(\w+\))? )?mod \w*tests?\b")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a hunk: context, added or removed."""

    mark: Mark
    text: str


@dataclass(frozen=True, slots=True)
class Hunk:
    """A hunk; `heading` is the line that git shows above it, that of a function or a module, often empty."""

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
    """Return a patch by files."""
    return [_file_patch(change, raw) for change, raw in sections(patch)]


def split_tests(patch: Patch) -> tuple[Patch, Patch]:
    """Return a patch's part that changes no tests, and the part that changes only tests.

    Each file belongs to one of them, except where tests are in the file that they test, as in Rust: of such a file the
    hunks that are inside of the tests belong to the second part. Together they are the whole patch.
    """
    code: list[FilePatch] = []
    tests: list[FilePatch] = []
    for file in file_patches(patch):
        if is_test_file(file.path):
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
    starts = [found.start() for found in _START.finditer(raw)]
    ends = [*starts, len(raw)][1:]
    hunks = tuple(_hunk(raw[start:end]) for start, end in zip(starts, ends, strict=True))
    return FilePatch(change, raw[: starts[0]] if starts else raw, hunks)


def _hunk(raw: bytes) -> Hunk:
    first, *rest = raw.decode(errors="surrogateescape").split("\n")
    found = _HUNK.match(first)
    lines = [Line(mark, line[1:].rstrip("\r")) for line in rest for mark in _MARKS if line.startswith(mark)]
    return Hunk(found["heading"] if found else "", tuple(lines), raw)
