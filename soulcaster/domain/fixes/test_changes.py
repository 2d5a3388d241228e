"""What a patch does to tests that were there before: judged by its lines, with the habits of each language.

This finds what a run cannot show: a test that still passes because it checks less. It reads no program; a clever change
can hide from it, so the tests of the base also run on the new code, and a person reads the pull request.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from soulcaster.domain.fixes.code_lines import begin_in_code
from soulcaster.domain.fixes.patch import Patch
from soulcaster.domain.fixes.patch_parts import FilePatch, Hunk, Line, file_patches, inline_test_lines
from soulcaster.domain.fixes.test_files import holds_inline_tests, holds_tests, is_test_file
from soulcaster.domain.fixes.test_habits import MAKEFILES, TEST_TARGETS, Habits, habits_of

_COMMENT = re.compile(r"\s*(#(?!\[|\s*if\b)|//(?!\s*(go:build|\+build))|/?\*|\"\"\"|'''|$)")
_IMPORT = re.compile(r"\s*(import|from|use|package)\b|\s*#include|const .* = require\(")
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`|//.*")
_FOR_ALL = re.compile(r"pytest_\w+|(async)?_?set_?up\w*|(async)?_?tear_?down\w*|init|run|load_tests", re.IGNORECASE)
"""Names of functions that runners call around tests, or in place of them."""

_WORD = re.compile(r"\w+")
_MAX_LINE = 1_000
"""Characters of a line that are read, so that no line takes long."""


@dataclass(frozen=True, slots=True)
class TestChanges:
    """What a patch does to tests, by names for people.

    `deleted` are files of tests; `skipped` are tests of the base that it takes out of the run, `weakened` those that
    check less. `changed` are tests and their data that it changes otherwise, and files of tests that move.
    `new_doubtful` are new tests that skip themselves or check nothing.
    """

    deleted: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    weakened: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    new_doubtful: tuple[str, ...] = ()

    __test__ = False  # no test class for pytest


@dataclass(slots=True)
class _Test:
    """The changed lines of one test, of a function that is no test (`helper`), or of what is around, in a file."""

    name: str
    new: bool
    removed: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    skips: bool = False
    helper: bool = False


@dataclass(frozen=True, slots=True)
class _Moved:
    """How often each line is moved within the tests, once for each of its two ends."""

    removed: Counter[str]
    added: Counter[str]


def test_changes(patch: Patch) -> TestChanges:
    """Return what a patch does to the tests of its base."""
    files = file_patches(patch)
    gone = [file for file in files if file.change.kind == "deleted" and holds_tests(file.path)]
    deleted = [file.path for file in gone if not _is_moved(file, files)]
    skipped: list[str] = []
    weakened: list[str] = []
    changed = [file.path for file in gone if file.path not in deleted]
    doubtful: list[str] = []
    judged: list[tuple[FilePatch, Habits, list[_Test]]] = []
    for file in files:
        if file.change.kind == "deleted":
            continue
        new_file = file.change.kind in ("added", "copied")
        habits = habits_of(file.path)
        if habits is not None and _may_hold_tests(file.path):
            judged.append((file, habits, _tests(file, habits, gone if new_file else ())))
        elif is_test_file(file.path) and not new_file:
            changed.append(file.path)
    idle = _lend([test for _, _, tests in judged for test in tests])
    moved = _moved((file for file in files if _may_hold_tests(file.path)), idle)
    for file, habits, tests in judged:
        for test in _without_moved(tests, moved):
            name = f"{test.name} ({file.path})" if test.name else file.path
            trivial = any(habits.trivial(line) for line in test.added)
            if test.new:
                doubtful += [name] if test.skips or trivial else []
            elif test.skips:
                skipped.append(name)
            elif _strength(habits, test.removed) > _strength(habits, test.added) or trivial:
                weakened.append(name)
            elif any(not (_COMMENT.match(line) or _IMPORT.match(line)) for line in test.removed):
                changed.append(name)
    lists = (deleted, skipped, weakened, changed, doubtful)
    return TestChanges(*(tuple(dict.fromkeys(names)) for names in lists))


test_changes.__test__ = False  # type: ignore[attr-defined]  # no test for pytest


def _is_moved(file: FilePatch, files: Sequence[FilePatch]) -> bool:
    """Return whether a new file of tests has all tests of a deleted one, each with all of its checks."""
    if file.change.binary is not None:
        return False
    news = [one for one in files if one.change.kind == "added" and holds_tests(one.path)]
    checks = _checks(file, "-")
    if checks:
        return any(_has_all(_checks(new, "+"), checks) for new in news)
    lines = Counter(_lines(file, "-"))
    return any(lines <= Counter(_lines(new, "+")) for new in news)


def _has_all(new: Mapping[str, Counter[str]], old: Mapping[str, Counter[str]]) -> bool:
    return all(name in new and checks <= new[name] for name, checks in old.items())


def _checks(file: FilePatch, mark: str) -> dict[str, Counter[str]]:
    """Return the lines that check something, by the test that they are in; what only looks like code does not count."""
    habits = habits_of(file.path)
    found: dict[str, Counter[str]] = {}
    if habits is None:
        return found
    name = ""
    for line in _code(file, mark):
        if defined := habits.defines(line):
            name = defined
            found.setdefault(name, Counter())
        elif habits.strength(line) and not _COMMENT.match(line):
            found.setdefault(name, Counter())[line] += 1
    return found


def _may_hold_tests(path: str) -> bool:
    return is_test_file(path) or holds_inline_tests(path) or path.rpartition("/")[2] in MAKEFILES


def _strength(habits: Habits, lines: Iterable[str]) -> int:
    return sum(habits.strength(line) for line in lines if not _COMMENT.match(line))


def _lines(file: FilePatch, mark: str) -> Iterator[str]:
    for hunk in file.hunks:
        yield from (line.text[:_MAX_LINE].strip() for line in hunk.lines if line.mark == mark)


def _code(file: FilePatch, mark: str) -> Iterator[str]:
    """Yield the lines with a mark that begin in code, as far as the hunks show where strings and comments begin."""
    for hunk in file.hunks:
        lines = [line for line in hunk.lines if line.mark in (" ", mark)]
        for line, code in zip(lines, begin_in_code(file.path, (line.text for line in lines)), strict=True):
            if code and line.mark == mark:
                yield line.text[:_MAX_LINE].strip()


def _tests(file: FilePatch, habits: Habits, gone: Sequence[FilePatch]) -> list[_Test]:
    """Return the tests that a file's hunks touch.

    `gone` are deleted files of tests whose tests a new file may have: these are not new.
    """
    before = [line for one in (file, *gone) for line in _lines(one, "-")]
    known = {name for line in before if (name := habits.defines(line) or _function(habits, line))}
    old_skips = Counter(line for line in before if habits.skips(line))
    new_file = file.change.kind in ("added", "copied")
    found: list[_Test] = []
    for hunk in file.hunks:
        found += _in_hunk(_relevant(file.path, hunk, habits), hunk.heading, habits, new_file=new_file)
    for test in found:
        test.new = test.new and test.name not in known
        _count_skips(test, habits, old_skips)
    return found


def _in_hunk(lines: Sequence[Line], heading: str, habits: Habits, *, new_file: bool) -> Iterator[_Test]:
    """Yield the tests and helpers of a hunk, each with the lines that it loses and gets.

    A check that stays is lost and got where a new function begins above it.
    """
    found: dict[tuple[str, bool], _Test] = {}

    def test_of(part: _Part) -> _Test:
        return found.setdefault((part.name, part.helper), _Test(part.name, new_file or part.new, helper=part.helper))

    old = iter([*_parts([line for line in lines if line.mark != "+"], heading, habits)])
    new = iter([*_parts([line for line in lines if line.mark != "-"], heading, habits)])
    for line in lines:
        text = line.text[:_MAX_LINE]
        before = next(old) if line.mark != "+" else None
        after = next(new) if line.mark != "-" else None
        if before and after and not (after.new and habits.strength(text)):
            test_of(before)
            continue
        if before:
            test_of(before).removed.append(text)
        if after:
            test_of(after).added.append(text)
    yield from found.values()


@dataclass(slots=True)
class _Part:
    """A test, or a helper: a function that is no test. It ends by its indentation, and by its braces if it has some."""

    name: str
    new: bool
    helper: bool = False
    indent: int = 0
    depth: int = 0
    opened: bool = False

    def ends_before(self, text: str, *, braces: bool) -> bool:
        """Return whether a line is not inside of a helper any more."""
        bare = text.strip()
        if (self.opened and self.depth <= 0) or (bare and _indent(text) <= self.indent and bare[0] != ")"):
            return True
        if braces:
            self.count_braces(text)
        return False

    def count_braces(self, text: str) -> None:
        """Read the braces of a line."""
        code = _QUOTED.sub("", text)
        self.opened = self.opened or "{" in code
        self.depth += code.count("{") - code.count("}")


def _parts(lines: Sequence[Line], heading: str, habits: Habits) -> Iterator[_Part]:
    """Yield what each line is a part of; one begins at its definition, or at the decorators before it.

    What follows a helper belongs to what the helper is in.
    """
    test = _Part(habits.defines(heading) or "", new=False)
    helpers = [] if test.name else [*_helper(habits, Line(" ", heading), [])]
    attributes: list[Line] = []
    for line in lines:
        text = line.text[:_MAX_LINE]
        name = habits.defines(text)
        if name is None and text.lstrip().startswith(("@", "#[")):
            attributes.append(line)
            continue
        while helpers and helpers[-1].ends_before(text, braces=habits.braces):
            helpers.pop()
        if name is not None:
            helpers = []
            test = _Part(name, new=line.mark == "+")
        else:
            helpers += _helper(habits, line, attributes)
        yield from [helpers[-1] if helpers else test] * (len(attributes) + 1)
        attributes = []
    yield from [helpers[-1] if helpers else test] * len(attributes)


def _helper(habits: Habits, line: Line, attributes: Sequence[Line]) -> Iterator[_Part]:
    """Yield the helper that begins at a line, none where none does, or where it acts on all tests."""
    text = line.text[:_MAX_LINE]
    name = _function(habits, text)
    if name and not _FOR_ALL.fullmatch(name) and not any("autouse" in one.text for one in attributes):
        helper = _Part(name, new=line.mark == "+", helper=True, indent=_indent(text))
        if habits.braces:
            helper.count_braces(text)
        yield helper


def _function(habits: Habits, line: str) -> str | None:
    """Return the name of the function that begins at a line, None where none does, or a test."""
    found = None if habits.defines(line) else habits.function.match(line)
    return found["name"] if found else None


def _indent(text: str) -> int:
    expanded = text.expandtabs(8)
    return len(expanded) - len(expanded.lstrip())


def _count_skips(test: _Test, habits: Habits, old_skips: Counter[str]) -> None:
    for text in test.added:
        if habits.skips(text) and not _COMMENT.match(text) and not (test.helper and habits.leaves(text)):
            if old_skips[text.strip()] > 0:
                old_skips[text.strip()] -= 1
            else:
                test.skips = True


def _lend(tests: Sequence[_Test]) -> Counter[str]:
    """Count what new helpers do to the tests that begin to use them: they check for these, or skip them.

    Returns:
        The lines of the new helpers that nobody uses.
    """
    words = {id(test): {word for line in test.added for word in _WORD.findall(line)} for test in tests}
    idle: Counter[str] = Counter()
    for helper in (one for one in tests if one.helper and one.new):
        users = [one for one in tests if one is not helper and helper.name in words[id(one)]]
        if not users:
            idle.update(line.strip() for line in helper.added)
        for test in users:
            if not test.helper:
                test.added = [*test.added, *helper.added]
                test.skips = test.skips or helper.skips
    return idle


def _relevant(path: str, hunk: Hunk, habits: Habits) -> Sequence[Line]:
    """Return the lines that belong to tests: in Rust those of modules of tests, in a Makefile those of its targets."""
    if holds_inline_tests(path):
        return [line for line, inside in inline_test_lines(hunk) if inside]
    if path.rpartition("/")[2] not in MAKEFILES:
        return hunk.lines
    found: list[Line] = []
    target = habits.defines(hunk.heading)
    for line in hunk.lines:
        if not line.text.startswith(("\t", "#", " ")) and line.text.strip():
            target = habits.defines(line.text[:_MAX_LINE])
        if target in TEST_TARGETS:
            found.append(line)
    return found


def _moved(files: Iterable[FilePatch], idle: Counter[str]) -> _Moved:
    """Return the lines that are removed at one place of the tests and added at another, where they do something."""
    removed: Counter[str] = Counter()
    added: Counter[str] = Counter()
    for file in files:
        removed.update(_lines(file, "-"))
        added.update(_code(file, "+"))
    both = removed & (added - idle)
    return _Moved(both, both.copy())


def _without_moved(tests: Sequence[_Test], moved: _Moved) -> list[_Test]:
    """Return the tests without the lines that the patch moves, which count neither as removed nor as added."""
    for test in tests:
        test.removed = _without(test.removed, moved.removed)
        test.added = _without(test.added, moved.added)
    return [test for test in tests if test.removed or test.added or test.skips]


def _without(lines: Sequence[str], moved: Counter[str]) -> list[str]:
    kept = []
    for line in lines:
        if line.strip() and moved[line.strip()] > 0:
            moved[line.strip()] -= 1
        else:
            kept.append(line)
    return kept
