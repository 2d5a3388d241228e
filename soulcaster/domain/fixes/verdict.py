"""The verdict on a patch, from what the tests say before and after it, and from what it does to the tests.

A change is judged against its base, never against perfection: tests that failed before may go on failing. Results of
the base's tests on the new code count, because nothing that the change does to the tests can reach them.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from soulcaster.domain.fixes.patch import Patch
from soulcaster.domain.fixes.test_changes import TestChanges, test_changes
from soulcaster.domain.fixes.test_files import is_test_file
from soulcaster.domain.fixes.test_helpers import helpers
from soulcaster.domain.fixes.test_runs import CaseOutcome, TestRun

MAX_NAMES = 10
"""Tests that a reason names; of the others it says how many they are."""

_RAN = ("passed", "failed")


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of the tests that a verdict is made from.

    `base_tests` are the tests of the base on the new code, `new_tests` the changed tests on the code of the base; None
    where the patch does not change both code and tests. `before` and `after` say "broken" where the set-up failed.
    """

    before: TestRun
    after: TestRun
    base_tests: TestRun | None = None
    new_tests: TestRun | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a change may be published. `reasons` say why not, `flags` are remarks for the reviewer; people read both.

    `shows_bug` says whether a new or changed test fails without the change, None where there is none or where it cannot
    be known. `fixed` are tests that failed before and pass with the change.
    """

    accepted: bool
    reasons: tuple[str, ...] = ()
    shows_bug: bool | None = None
    flags: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()


def judge(runs: Runs, patch: Patch) -> Verdict:
    """Judge a patch. A patch without changes is never blamed for anything: that it is empty is for others to say."""
    if not patch.changes:
        return Verdict(accepted=True, flags=("Nothing is changed.",))
    changes = test_changes(patch)
    helping = helpers(patch, runs.before)
    reasons = [*_blamed_on_changes(patch, changes, helping), *_blamed_on_runs(runs)]
    shows_bug, about_new = _shows_bug(runs)
    flags = [*_flags_of_runs(runs), *_flags_of_changes(changes, helping), *about_new]
    return Verdict(
        accepted=not reasons,
        reasons=tuple(dict.fromkeys(reasons)),
        shows_bug=shows_bug,
        flags=tuple(dict.fromkeys(flags)),
        fixed=tuple(sorted(name for name in _failed(runs.before) if runs.after.cases.get(name) == "passed")),
    )


def _blamed_on_changes(patch: Patch, changes: TestChanges, helping: Collection[str]) -> Iterable[str]:
    if not helping and all(is_test_file(change.path) for change in patch.changes):
        yield "It changes only tests, so the program is as it was."
    if changes.deleted:
        yield f"It deletes tests: {_names(changes.deleted)}."
    if changes.skipped:
        yield f"It skips tests, or hides that they fail: {_names(changes.skipped)}."
    if changes.weakened:
        yield f"It has tests check less than before: {_names(changes.weakened)}."


def _blamed_on_runs(runs: Runs) -> Iterable[str]:
    before, after = runs.before, runs.after
    if before.status in ("broken", "cut off"):
        return
    if after.status == "broken":
        yield "The tests do not run any more: the set-up, the build or the test command fails with the change."
    elif after.status == "cut off":
        yield "The tests do not end any more: a limit ended them, and before the change none did."
    elif after.status == "none":
        if before.cases or before.status == "passed":
            yield "No test is left to run."
    elif before.cases and not after.cases:
        yield "There are no results for each test any more, as there were before the change."
    else:
        yield from _blamed_on_cases(runs)
    yield from _blamed_on_base_tests(runs)


def _blamed_on_cases(runs: Runs) -> Iterable[str]:
    before, after = runs.before, runs.after
    failed = _failed(after)
    broken = [name for name in failed if before.cases.get(name) in ("passed", "skipped") and name not in before.flaky]
    if broken:
        yield f"Tests fail that did not fail before: {_names(broken)}."
    new = [name for name in failed if name not in before.cases]
    if new and (before.cases or before.status != "failed"):
        yield f"New tests fail: {_names(new)}."
    left = {_own_name(name) for name in before.cases.keys() - after.cases.keys() if before.cases[name] in _RAN}
    skipped = [
        name
        for name, one in after.cases.items()
        if one == "skipped" and (before.cases[name] in _RAN if name in before.cases else _own_name(name) in left)
    ]
    if skipped:
        yield f"Tests are skipped that ran before: {_names(skipped)}."
    gone = _gone(before.cases, after.cases)
    if gone:
        yield f"Tests do not run any more: {_names(gone)}."
    if after.status == "failed" and not failed and (before.status != "failed" or _failed(before)):
        yield "The test command fails, and before the change it did not fail without a failed test."


def _blamed_on_base_tests(runs: Runs) -> Iterable[str]:
    """Yield what the tests of the base say about the new code, where the patch changes tests, too."""
    before, after, base = runs.before, runs.after, runs.base_tests
    if base is None or before.status == "none":
        return
    excused = before.flaky | base.flaky
    broken = {name for name in _failed(base) if before.cases.get(name) == "passed"}
    if base.status != "passed":
        broken |= {name for name in _gone(before.cases, base.cases) if before.cases.get(name) == "passed"}
    broken -= excused | _failed(after)
    if broken:
        yield (
            f"Existing tests fail with the change, and it changes these tests: {_names(broken)}. "
            "A person must decide whether the tests or the change are wrong."
        )
    elif base.status in ("broken", "cut off") and after.status in ("passed", "failed", "none"):
        yield "The tests as they were do not run on the new code; they run only because the change alters them."
    elif not before.cases and before.status == "passed" and base.status == "failed" and after.status == "passed":
        yield (
            "The tests as they were fail with the change, and it changes them. "
            "A person must decide whether the tests or the change are wrong."
        )
    altered = [name for name in _failed(base) & _failed(before) if after.cases.get(name) == "passed"]
    if altered:
        yield f"Tests that failed before pass only because the change alters them: {_names(altered)}."


def _flags_of_runs(runs: Runs) -> Iterable[str]:
    before, after = runs.before, runs.after
    if before.status == "none" and after.status == "none":
        yield "The repository has no tests that we can run: nothing shows that the change works."
    elif after.status == "none":
        yield "No test is found with the change."
    if before.status == "broken":
        yield (
            "Without the change, the set-up or the test command fails, so nothing shows what the change breaks. "
            f"With it, {_said(after)}."
        )
    if before.status == "cut off":
        yield f"Without the change, a limit ended the tests, so nothing shows what it breaks. With it, {_said(after)}."
    still = _failed(before) & _failed(after)
    if still:
        yield f"Tests failed before and fail still: {_names(still)}."
    elif before.status == after.status == "failed" and not _failed(after):
        yield "The test command failed before and fails still."
    flaky = before.flaky | after.flaky | {name for name in _failed(after) if name in before.flaky}
    if flaky:
        yield f"Flaky tests, which fail and pass without a change: {_names(flaky)}."
    if not before.cases and before.status in _RAN:
        yield "The test command says only whether it succeeds, nothing about each test."


def _flags_of_changes(changes: TestChanges, helping: Collection[str]) -> Iterable[str]:
    if helping:
        yield f"By their names it changes only tests. No test comes from these, which may be code: {_names(helping)}."
    if changes.changed:
        yield f"It changes existing tests: {_names(changes.changed)}."
    if changes.new_doubtful:
        yield f"New tests, or new functions beside them, skip or check nothing: {_names(changes.new_doubtful)}."


def _shows_bug(runs: Runs) -> tuple[bool | None, list[str]]:
    """Return whether new or changed tests fail on the code of the base, and flags about it."""
    before, after, on_base = runs.before, runs.after, runs.new_tests
    if on_base is None:
        return None, []
    passing = {name for name, outcome in after.cases.items() if outcome == "passed"}
    shown = {name for name in passing if on_base.cases.get(name) == "failed" and before.cases.get(name) != "failed"}
    if shown or (
        not after.cases and after.status == "passed" and before.status == "passed" and on_base.status == "failed"
    ):
        return True, []
    new = passing - before.cases.keys()
    if not new and after.cases:
        return None, []
    if any(name not in on_base.cases for name in new) or on_base.status in ("broken", "cut off"):
        return None, ["The new tests do not run on the code as it was, so they do not show the problem."]
    if not after.cases and after.status != "passed":
        return None, []
    return False, ["No new test fails without the change: none shows the problem."]


def _failed(run: TestRun) -> set[str]:
    return {name for name, outcome in run.cases.items() if outcome == "failed"}


def _gone(before: Mapping[str, CaseOutcome], after: Mapping[str, CaseOutcome]) -> set[str]:
    """Return the tests that are not there any more.

    A test with parameters in its name (pytest's `test[1-2]`) is there if any of its kind is; one that has moved to
    another file is there under its own name, if that is new there.
    """
    gone = before.keys() - after.keys()
    if not gone:
        return set()
    kinds = {_kind(name) for name in after}
    appeared = {_own_name(name) for name in after.keys() - before.keys()}
    return {name for name in gone if _kind(name) not in kinds and _own_name(name) not in appeared}


def _kind(name: str) -> str:
    return name.partition("[")[0]


def _own_name(name: str) -> str:
    return name.rpartition("::")[2]


def _said(run: TestRun) -> str:
    match run.status:
        case "passed":
            return "all tests pass"
        case "failed":
            return f"{count} tests fail" if (count := len(_failed(run))) else "the test command fails"
        case "none":
            return "no tests are found"
        case "cut off":
            return "a limit ended the tests"
        case "broken":
            return "they still do not run"


def _names(names: Iterable[str]) -> str:
    """Return names for people, in a fixed order, the first ones of many."""
    ordered = sorted(names)
    more = len(ordered) - MAX_NAMES
    return ", ".join(islice(ordered, MAX_NAMES)) + (f" and {more} more" if more > 0 else "")
