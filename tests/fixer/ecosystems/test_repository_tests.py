"""How runs become results: flaky tests, no tests, broken commands; by small programs of the test in a real shell."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from soulcaster.fixer.ecosystems.detection import TestPlan
from soulcaster.fixer.ecosystems.repository_tests import RepositoryTests, broken_setup
from soulcaster.fixer.ecosystems.suite import Suite
from soulcaster.ports.sandbox import Ended, Network, SandboxLimits, Tree

LIMITS = SandboxLimits(seconds=30)
REPORT = (
    """printf '<testsuite><testcase name="a"/><testcase name="b">%s</testcase></testsuite>' "$B" >"$REPORTS/r.xml" """
)


class Shell:
    """A sandbox that is none: it runs commands of these tests. A command that says `sleep` is cut off at once."""

    def __init__(self) -> None:
        self.networks: list[Network] = []
        self.scripts: list[str] = []

    async def run(
        self,
        command: Sequence[str],
        tree: Tree,
        limits: SandboxLimits,
        *,
        network: Network = "none",
        environment: Mapping[str, str] | None = None,
        read_only: Mapping[Path, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Ended:
        self.networks.append(network)
        self.scripts.append(command[-1])
        if "sleep" in command[-1]:
            return Ended(None, "it took too long", "", limits.seconds)
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=tree.work,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**(environment or {}), "PATH": os.environ["PATH"], "HOME": str(tree.home)},
        )
        printed, _ = await process.communicate()
        return Ended(process.returncode, "", printed.decode(), 1.0, ("blocked.test",))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    found = Tree(tmp_path / "work", tmp_path / "home")
    found.work.mkdir()
    found.home.mkdir()
    return found


def suite(test: str, **more: object) -> Suite:
    return Suite("python", "", "a test", "true", test, **{"report": "junit", **more})  # type: ignore[arg-type]


def having(*suites: Suite, sandbox: Shell | None = None, setups: tuple[str, ...] = ()) -> RepositoryTests:
    return RepositoryTests(sandbox or Shell(), TestPlan(suites, setups, ()), limits=LIMITS)


async def test_without_suites_there_are_no_tests(tree: Tree) -> None:
    assert (await having().run(tree)).status == "none"


async def test_each_test_has_its_outcome(tree: Tree) -> None:
    run = await having(suite(f"B='<skipped/>'; {REPORT}")).run(tree)
    assert (run.status, run.cases) == ("passed", {"a": "passed", "b": "skipped"})


async def test_a_test_that_fails_once_is_flaky(tree: Tree) -> None:
    once = f"B=; test -e ../seen || B='<failure/>'; touch ../seen; {REPORT}; test -z \"$B\""
    run = await having(suite(once)).run(tree)
    assert (run.status, run.flaky) == ("passed", frozenset({"b"}))
    assert run.cases == {"a": "passed", "b": "passed"}


async def test_a_test_that_fails_each_time_is_not_flaky_and_runs_three_times(tree: Tree) -> None:
    sandbox = Shell()
    selected = suite(f"B='<failure/>'; {REPORT}; exit 1", rerun=lambda failed: f"echo {' '.join(failed)}; exit 1")
    run = await having(selected, sandbox=sandbox).run(tree)
    assert (run.status, run.flaky) == ("failed", frozenset())
    assert run.cases == {"a": "passed", "b": "failed"}
    assert [("echo b" in script) for script in sandbox.scripts] == [False, True, True]


async def test_a_command_without_results_is_flaky_as_a_whole(tree: Tree) -> None:
    run = await having(suite("test -e ../seen || { touch ../seen; exit 1; }", report="exit code")).run(tree)
    assert run.status == "passed"
    assert run.flaky == {run.command}


async def test_the_results_of_an_earlier_run_do_not_count(tree: Tree) -> None:
    (tree.home / "test-reports").mkdir()
    (tree.home / "test-reports" / "old.xml").write_text('<testsuite><testcase name="forged"/></testsuite>')
    assert (await having(suite("exit 3")).run(tree)).status == "broken"


@pytest.mark.parametrize(
    ("test", "more", "status"),
    [
        ("exit 5", {"no_tests_code": 5}, "none"),
        ("echo 'No test files found'; exit 1", {"no_tests": ("No test files found",)}, "none"),
        ("true", {}, "none"),
        ("true", {"silent_success": "passed"}, "passed"),
        ("exit 4", {}, "broken"),
        ("true", {"report": "exit code", "silent_success": "passed"}, "passed"),
        ("exit 2", {"report": "exit code", "silent_success": "passed"}, "failed"),
        ("sleep 100", {}, "cut off"),
        ("echo '<testsuite' >\"$REPORTS/r.xml\"; exit 1", {}, "broken"),
        ("cd /nowhere", {}, "broken"),
        (f"B=; {REPORT}; exit 1", {}, "failed"),
    ],
)
async def test_what_a_run_is(tree: Tree, test: str, more: dict[str, object], status: str) -> None:
    assert (await having(suite(test, **more)).run(tree)).status == status


async def test_several_suites_are_one_run_in_which_the_worst_counts(tree: Tree) -> None:
    (tree.work / "web").mkdir()
    passes, fails = suite(f"B=; {REPORT}"), suite(f"B='<failure/>'; {REPORT}; exit 1")
    object.__setattr__(fails, "folder", "web")
    run = await having(passes, fails).run(tree)
    assert run.status == "failed"
    assert run.cases == {
        "python: a": "passed",
        "python: b": "passed",
        "python in web: a": "passed",
        "python in web: b": "failed",
    }


async def test_only_the_setup_may_reach_registries(tree: Tree) -> None:
    sandbox = Shell()
    tests = having(suite(f"B=; {REPORT}"), sandbox=sandbox, setups=("true", "true"))
    ended = await tests.prepare(tree)
    await tests.run(tree)
    assert (ended.code, ended.blocked, ended.seconds) == (0, ("blocked.test",), 2.0)
    assert sandbox.networks == ["registries", "registries", "none"]


async def test_a_setup_ends_with_its_first_failure(tree: Tree) -> None:
    ended = await having(setups=("echo no such package; exit 7", "touch later")).prepare(tree)
    assert ended.code == 7
    assert not (tree.work / "later").exists()
    run = broken_setup(ended)
    assert (run.status, run.tail) == ("broken", "no such package\n")
