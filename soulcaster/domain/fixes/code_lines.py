"""Which lines of a text are code, and which are inside of a string or a comment that goes over several lines."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Marks:
    """What begins and ends strings and comments in a language.

    `begin` finds the next mark. `long` has the ends of those that go over lines by their beginnings; all other marks
    that are quotes end on their line, and what is no quote is a comment up to the end of its line.
    """

    begin: re.Pattern[str]
    long: Mapping[str, str]


def _marks(comment: str, quotes: str, long: Mapping[str, str]) -> _Marks:
    marks = [*map(re.escape, sorted(long, key=len, reverse=True)), f"[{quotes}]" if quotes else "(?!)", comment]
    return _Marks(re.compile("|".join(marks)), long)


_BLOCK = {"/*": "*/"}
_PYTHON = _marks("#", "\"'", {'"""': '"""', "'''": "'''"})
_C = _marks("//", "\"'", {**_BLOCK, 'R"(': ')"'})
_JAVA = _marks("//", "\"'", {**_BLOCK, '"""': '"""'})
_MARKS = {
    "py": _PYTHON,
    **dict.fromkeys(("js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx"), _marks("//", "\"'", {**_BLOCK, "`": "`"})),
    "go": _marks("//", "\"'", {**_BLOCK, "`": "`"}),
    "rs": _marks("//", "", {**_BLOCK, '"': '"', 'r"': '"', 'r#"': '"#', 'r##"': '"##'}),
    **dict.fromkeys(("java", "kt", "groovy", "scala"), _JAVA),
    **dict.fromkeys(("c", "h", "cc", "cpp", "cxx", "hpp"), _C),
    **dict.fromkeys(("sh", "bats"), _marks(r"(?:^|\s)#", "", {"'": "'", '"': '"'})),
}
_NONE = _marks("(?!)", "", {})


def begin_in_code(path: str, lines: Iterable[str]) -> Iterator[bool]:
    """Yield of each line whether it begins in code. The first one is taken to; so is all of an unknown language."""
    marks = _MARKS.get(path.rpartition(".")[2].lower(), _NONE)
    end: str | None = None
    for line in lines:
        yield end is None
        end = _end_after(marks, line, end)


def _end_after(marks: _Marks, line: str, end: str | None) -> str | None:
    """Return what ends the string or comment that is open after a line, None where none is."""
    at = 0
    while True:
        if end is None:
            found = marks.begin.search(line, at)
            if found is None:
                return None
            begin, at = found[0], found.end()
            if begin not in marks.long and begin not in ("'", '"'):
                return None
            end = marks.long.get(begin, begin)
        at = _after(line, end, at)
        if at < 0:
            return end if end in marks.long.values() else None
        end = None


def _after(line: str, end: str, at: int) -> int:
    """Return the place after the end of a string or comment, -1 where the line has none."""
    while True:
        found = line.find(end, at)
        escapes = found - len(line[:found].rstrip("\\")) if found >= 0 else 0
        if found < 0 or end == "*/" or escapes % 2 == 0:
            return found + len(end) if found >= 0 else -1
        at = found + 1
