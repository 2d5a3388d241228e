"""The text of a patch, read: its files, its hunks, and the part of it that changes tests."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from soulcaster.domain.fixes.patch import FileChange, Patch
from soulcaster.domain.fixes.test_files import holds_inline_tests, is_test_file

Mark = Literal[" ", "+", "-"]

_FILE = b"diff --git "
_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@ ?(?P<heading>.*)")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_ESCAPED = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


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
    """One file of a patch; `path` is its new one, the old one where it is deleted. A binary file has no hunks."""

    path: str
    header: bytes
    hunks: tuple[Hunk, ...]

    @property
    def raw(self) -> bytes:
        """The bytes of this file in the patch."""
        return self.header + b"".join(hunk.raw for hunk in self.hunks)


def file_patches(text: bytes) -> list[FilePatch]:
    """Return the files of a patch as `git diff` writes it; what is before the first file is left out."""
    starts = [match.start() for match in re.finditer(rb"^diff --git ", text, re.MULTILINE)]
    return [_file_patch(text[start:end]) for start, end in zip(starts, [*starts, len(text)][1:], strict=True)]


def split_tests(patch: Patch) -> tuple[Patch, Patch]:
    """Return a patch's part that changes no tests, and the part that changes only tests.

    Each file belongs to one of them, except where tests are in the file that they test, as in Rust: of such a file the
    hunks that are inside of the tests belong to the second part. Together they are the whole patch.
    """
    code: list[bytes] = []
    tests: list[bytes] = []
    for file in file_patches(patch.text):
        if is_test_file(file.path):
            tests.append(file.raw)
            continue
        inside = [hunk for hunk in file.hunks if holds_inline_tests(file.path) and in_tests(hunk)]
        outside = [hunk for hunk in file.hunks if hunk not in inside]
        if outside or not inside:
            code.append(file.header + b"".join(hunk.raw for hunk in outside))
        if inside:
            tests.append(file.header + b"".join(hunk.raw for hunk in inside))
    return _part(patch, code), _part(patch, tests)


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


_TEST_MODULE = re.compile(r"#\[cfg\(test\)\]|(pub(\(\w+\))? )?mod \w*tests?\b")


def _part(patch: Patch, texts: Iterable[bytes]) -> Patch:
    text = b"".join(texts)
    paths = {file.path for file in file_patches(text)}
    changes: tuple[FileChange, ...] = tuple(change for change in patch.changes if change.path in paths)
    return Patch(text, changes)


def _file_patch(raw: bytes) -> FilePatch:
    starts = [match.start() for match in re.finditer(rb"^@@ -", raw, re.MULTILINE)]
    header = raw[: starts[0]] if starts else raw
    hunks = [_hunk(raw[start:end]) for start, end in zip(starts, [*starts, len(raw)][1:], strict=True)]
    return FilePatch(_path(header), header, tuple(hunks))


def _hunk(raw: bytes) -> Hunk:
    first, *rest = raw.decode(errors="replace").split("\n")
    found = _HUNK.match(first)
    lines = [Line(mark, line[1:].rstrip("\r")) for line in rest for mark in _MARKS if line.startswith(mark)]
    return Hunk(found["heading"] if found else "", tuple(lines), raw)


_MARKS: tuple[Mark, ...] = (" ", "+", "-")


def _path(header: bytes) -> str:
    """Return the new path that the header of a file says, the old one where the file is deleted."""
    lines = header.split(b"\n")
    for name, prefix in ((b"+++ ", b"b/"), (b"rename to ", b""), (b"copy to ", b""), (b"--- ", b"a/")):
        for line in lines:
            path = line.removeprefix(name).rstrip(b"\t\r")
            if line.startswith(name) and path != b"/dev/null":
                return _unquoted(path).removeprefix(prefix).decode(errors="replace")
    return _path_said_twice(header.split(b"\n", 1)[0].removeprefix(_FILE))


def _path_said_twice(words: bytes) -> str:
    """Return the path of a first line, where both paths are the same: an empty file, a binary one, a changed mode."""
    half = words[: len(words) // 2]
    return _unquoted(half).removeprefix(b"a/").decode(errors="replace")


def _unquoted(path: bytes) -> bytes:
    """Return a path without the quotation that git puts around unusual ones."""
    if not (path.startswith(b'"') and path.endswith(b'"') and len(path) > 1):
        return path
    return _ESCAPE.sub(
        lambda found: bytes([int(found[1], 8) & 0xFF]) if len(found[1]) == 3 else _ESCAPED.get(found[1], found[1]),
        path[1:-1],
    )
