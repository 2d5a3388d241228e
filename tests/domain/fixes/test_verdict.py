"""Verdicts: what is refused and why, what is only a flag, and what always holds."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.fixes.patch import Patch
from soulcaster.domain.fixes.test_runs import CaseOutcome, RunStatus, TestRun
from soulcaster.domain.fixes.verdict import MAX_NAMES, Runs, judge
from tests.support.diffs import patch_of_files

CODE = patch_of_files({"a.py": ("1\n", "2\n")})
BOTH = patch_of_files({"a.py": ("1\n", "2\n"), "tests/test_new.py": (None, "def test_new():\n    assert a() == 2\n")})
EMPTY = Patch(b"", ())

P: CaseOutcome = "passed"
F: CaseOutcome = "failed"
S: CaseOutcome = "skipped"


NOBODY: frozenset[str] = frozenset()


def run(status: RunStatus | None = None, flaky: frozenset[str] = NOBODY, **cases: CaseOutcome) -> TestRun:
    return run_of(cases, status, flaky)


def run_of(
    cases: Mapping[str, CaseOutcome], status: RunStatus | None = None, flaky: frozenset[str] = NOBODY
) -> TestRun:
    said: RunStatus = "failed" if F in cases.values() else "passed" if cases else "none"
    return TestRun(status or said, "test", cases, flaky)


def test_a_change_after_which_all_tests_pass_is_accepted() -> None:
    verdict = judge(Runs(run(a=P, b=S), run(a=P, b=S)), CODE)
    assert verdict.accepted
    assert (verdict.reasons, verdict.flags, verdict.shows_bug, verdict.fixed) == ((), (), None, ())


def test_a_test_that_failed_before_and_passes_is_fixed() -> None:
    assert judge(Runs(run(a=F, b=P), run(a=P, b=P)), CODE).fixed == ("a",)


REFUSED = [
    (run(a=P), run(a=F), "Tests fail that did not fail before: a."),
    (run(a=S), run(a=F), "Tests fail that did not fail before: a."),
    (run(a=P), run(a=P, b=F), "New tests fail: b."),
    (run(), run(b=F), "New tests fail: b."),
    (run("passed"), run(b=F), "New tests fail: b."),
    (run(a=P), run(a=S), "Tests are skipped that ran before: a."),
    (run(a=F), run(a=S), "Tests are skipped that ran before: a."),
    (run(a=P, b=P), run(a=P), "Tests do not run any more: b."),
    (run(a=F, b=P), run(b=P), "Tests do not run any more: a."),
    (run(a=P), run(), "No test is left to run."),
    (run("passed"), run(), "No test is left to run."),
    (run(a=P), run("broken"), "The tests do not run any more"),
    (run(), run("broken"), "The tests do not run any more"),
    (run(a=P), run("cut off"), "The tests do not end any more"),
    (run(a=P), run("passed"), "There are no results for each test any more"),
    (run(a=P), run("failed", a=P), "The test command fails"),
    (run("passed"), run("failed"), "The test command fails"),
]


@pytest.mark.parametrize(("before", "after", "reason"), REFUSED)
def test_what_is_refused_has_its_reason(before: TestRun, after: TestRun, reason: str) -> None:
    verdict = judge(Runs(before, after), CODE)
    assert not verdict.accepted
    assert any(one.startswith(reason) for one in verdict.reasons), verdict.reasons


FLAGGED = [
    (run(a=F), run(a=F), "Tests failed before and fail still: a."),
    (run("failed"), run("failed"), "The test command failed before and fails still."),
    (run("failed", a=P), run("failed", a=P), "The test command failed before and fails still."),
    (run(), run(), "The repository has no tests that we can run"),
    (run("broken"), run("broken"), "Without the change, the set-up or the test command fails"),
    (run("broken"), run(a=F), "Without the change, the set-up or the test command fails"),
    (run("cut off"), run("cut off"), "Without the change, a limit ended the tests"),
    (run("passed"), run("passed"), "The test command says only whether it succeeds"),
    (run(a=P, flaky=frozenset("a")), run(a=F), "Flaky tests, which fail and pass without a change: a."),
    (run(a=P), run(a=P, flaky=frozenset("a")), "Flaky tests, which fail and pass without a change: a."),
]


@pytest.mark.parametrize(("before", "after", "flag"), FLAGGED)
def test_what_is_only_flagged_is_accepted(before: TestRun, after: TestRun, flag: str) -> None:
    verdict = judge(Runs(before, after), CODE)
    assert verdict.accepted, verdict.reasons
    assert any(one.startswith(flag) for one in verdict.flags), verdict.flags


def test_a_flag_about_a_broken_base_says_what_happens_with_the_change() -> None:
    (flag,) = judge(Runs(run("broken"), run(a=P)), CODE).flags
    assert flag.endswith("With it, all tests pass.")


def test_another_value_of_a_parameter_is_no_deleted_test() -> None:
    before, after = {"t.py::a[1-2]": P, "t.py::a[2-3]": P}, {"t.py::a[1-2]": P, "t.py::a[2-4]": P}
    assert judge(Runs(run_of(before), run_of(after)), CODE).accepted


def test_a_test_that_moved_to_another_file_is_no_deleted_test() -> None:
    assert judge(Runs(run_of({"a.py::t": P}), run_of({"b.py::t": P})), CODE).accepted
    assert not judge(Runs(run_of({"a.py::t": P, "b.py::t": P}), run_of({"b.py::t": P})), CODE).accepted


def test_a_test_that_is_skipped_at_its_new_place_is_refused() -> None:
    verdict = judge(Runs(run_of({"a.py::t": P}), run_of({"b.py::t": S})), CODE)
    assert verdict.reasons == ("Tests are skipped that ran before: b.py::t.",)
    assert judge(Runs(run_of({"a.py::t": S}), run_of({"b.py::t": S})), CODE).accepted
    assert judge(Runs(run_of({"a.py::t": P}), run_of({"a.py::t": P, "b.py::t": S})), CODE).accepted


def test_existing_tests_that_fail_on_the_new_code_refuse_a_change_that_altered_them() -> None:
    verdict = judge(Runs(run(a=P, b=P), run(a=P, b=P), base_tests=run(a=F, b=P)), BOTH)
    assert verdict.reasons[0].startswith("Existing tests fail with the change, and it changes these tests: a.")


def test_existing_tests_that_do_not_even_build_on_the_new_code_refuse_it() -> None:
    gone = judge(Runs(run(a=P, b=P), run(a=P, b=P), base_tests=run_of({"(package)": F})), BOTH)
    broken = judge(Runs(run(a=P), run(a=P), base_tests=run("broken")), BOTH)
    silent = judge(Runs(run("passed"), run("passed"), base_tests=run("failed")), BOTH)
    assert [gone.accepted, broken.accepted, silent.accepted] == [False] * 3


def test_a_failed_test_that_passes_only_because_it_was_altered_refuses() -> None:
    verdict = judge(Runs(run(a=F), run(a=P), base_tests=run(a=F)), BOTH)
    assert verdict.reasons == ("Tests that failed before pass only because the change alters them: a.",)


def test_flaky_tests_of_the_base_do_not_refuse() -> None:
    runs = Runs(run(a=P, flaky=frozenset("a")), run(a=P), base_tests=run(a=F), new_tests=run(a=P))
    assert judge(runs, BOTH).accepted


def test_existing_tests_that_pass_on_the_new_code_refuse_nothing() -> None:
    assert judge(Runs(run(a=P), run(a=P, new=P), base_tests=run(a=P), new_tests=run(a=P, new=F)), BOTH).accepted


SHOWN: list[tuple[TestRun, TestRun, TestRun, bool | None]] = [
    (run(a=P), run(a=P, new=P), run(a=P, new=F), True),
    (run(a=P), run(a=P, new=P), run(a=P, new=P), False),
    (run(a=P), run(a=P), run(a=P), None),
    (run(a=P), run(a=P), run(a=F), True),
    (run(a=F), run(a=F), run(a=F), None),
    (run(a=F), run(a=P), run(a=F), None),
    (run(a=P), run(a=P, new=P), run("broken"), None),
    (run(a=P), run(a=P, new=P), run_of({"(package)": F}), None),
    (run("passed"), run("passed"), run("failed"), True),
    (run("passed"), run("passed"), run("passed"), False),
]


@pytest.mark.parametrize(("before", "after", "on_base", "shows"), SHOWN)
def test_whether_a_new_test_shows_the_problem(
    before: TestRun, after: TestRun, on_base: TestRun, shows: bool | None
) -> None:
    verdict = judge(Runs(before, after, base_tests=before, new_tests=on_base), BOTH)
    assert verdict.shows_bug is shows
    if shows is False:
        assert "No new test fails without the change: none shows the problem." in verdict.flags
    if shows is None and "new" in after.cases:
        assert "The new tests do not run on the code as it was, so they do not show the problem." in verdict.flags


def test_a_change_of_tests_alone_is_refused() -> None:
    patch = patch_of_files({"tests/test_a.py": ("def test_a():\n    x = 1\n", "def test_a():\n    x = 2\n")})
    assert judge(Runs(run(a=P), run(a=P)), patch).reasons == ("It changes only tests, so the program is as it was.",)


def test_what_a_patch_does_to_tests_refuses_or_is_flagged() -> None:
    old = "def test_a():\n    assert a() == 1\n\n\ndef test_b():\n    assert b() == 1\n"
    new = "def test_a():\n    assert a()\n\n\n@pytest.mark.skip\ndef test_b():\n    assert b() == 1\n"
    files: dict[str, tuple[str | None, str | None]] = {"a.py": ("1\n", "2\n"), "test_x.py": ("x\n", None)}
    verdict = judge(Runs(run(a=P), run(a=P)), patch_of_files({**files, "test_a.py": (old, new)}))
    assert verdict.reasons == (
        "It deletes tests: test_x.py.",
        "It skips tests, or hides that they fail: test_b (test_a.py).",
        "It has tests check less than before: test_a (test_a.py).",
    )
    altered: dict[str, tuple[str | None, str | None]] = {
        "a.py": ("1\n", "2\n"),
        "test_a.py": (old, old.replace("1", "2")),
    }
    changed = judge(Runs(run(a=P), run(a=P)), patch_of_files(altered))
    assert changed.accepted
    assert changed.flags == ("It changes existing tests: test_a (test_a.py), test_b (test_a.py).",)


def test_of_many_names_the_first_are_said() -> None:
    names = {f"test_{number:03}": P for number in range(MAX_NAMES + 5)}
    (reason,) = judge(Runs(run_of(names), run_of(dict.fromkeys(names, F))), CODE).reasons
    assert reason.endswith("test_009 and 5 more.")


OUTCOMES = st.dictionaries(st.sampled_from(["a", "b", "c::d", "e[1]", "e[2]"]), st.sampled_from([P, F, S]), max_size=5)
ALL: list[RunStatus] = ["passed", "failed", "none", "broken", "cut off"]


@st.composite
def some_run(draw: st.DrawFn) -> TestRun:
    cases = draw(OUTCOMES)
    status = draw(st.none() | st.sampled_from(ALL))
    if status is None or cases:
        flaky = draw(st.sets(st.sampled_from(sorted(cases)))) if cases else set()
        return run_of(cases, None, frozenset(flaky))
    return run_of({}, status)


RUNS = st.builds(Runs, some_run(), some_run(), st.none() | some_run(), st.none() | some_run())


@given(RUNS)
def test_an_empty_change_is_never_blamed(runs: Runs) -> None:
    verdict = judge(runs, EMPTY)
    assert verdict.accepted
    assert verdict.reasons == ()


@given(some_run())
def test_a_change_that_changes_no_outcome_is_accepted(same: TestRun) -> None:
    assert judge(Runs(same, same), CODE).accepted
    assert judge(Runs(same, same, same, same), BOTH).accepted


@given(RUNS)
def test_a_verdict_is_accepted_or_has_reasons(runs: Runs) -> None:
    verdict = judge(runs, BOTH)
    assert verdict.accepted == (not verdict.reasons)


@given(RUNS)
def test_one_more_failed_test_never_turns_refused_into_accepted(runs: Runs) -> None:
    after = runs.after
    status: RunStatus = "failed" if after.status in ("passed", "none") else after.status
    worse = run_of({**after.cases, "new": F}, status)
    if not judge(runs, BOTH).accepted:
        assert not judge(replace(runs, after=worse), BOTH).accepted


@given(RUNS)
def test_a_test_that_passes_before_and_fails_after_is_always_refused(runs: Runs) -> None:
    before = run_of({**runs.before.cases, "x": P}, None, runs.before.flaky)
    after = run_of({**runs.after.cases, "x": F}, "failed")
    assert not judge(replace(runs, before=before, after=after), BOTH).accepted


def turned(one: TestRun) -> TestRun:
    return replace(one, cases=dict(reversed(list(one.cases.items()))))


@given(RUNS)
def test_the_order_of_tests_does_not_matter(runs: Runs) -> None:
    other = Runs(
        turned(runs.before),
        turned(runs.after),
        runs.base_tests and turned(runs.base_tests),
        runs.new_tests and turned(runs.new_tests),
    )
    assert judge(runs, BOTH) == judge(other, BOTH)
