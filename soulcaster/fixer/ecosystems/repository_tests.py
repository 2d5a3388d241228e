"""The tests of a repository: set up once, run as often as trees need it, failed ones again."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from soulcaster.domain.fixes.test_runs import CaseOutcome, RunStatus, TestRun
from soulcaster.fixer.ecosystems.detection import TestPlan
from soulcaster.fixer.ecosystems.reading import StrangersFolder
from soulcaster.fixer.ecosystems.reports import go_printed, read_cases
from soulcaster.fixer.ecosystems.suite import REPORTS, Suite
from soulcaster.ports.sandbox import Ended, Network, Sandbox, SandboxLimits, Tree

RERUNS = 2
"""How often failed tests run again, until they pass: a test that fails half of the time passes in 7 of 8 trees."""

ENVIRONMENT = {"CI": "true", "NO_COLOR": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
"""Variables of set-up and tests: no program waits for a person, watches files or draws; the place changes nothing."""

_WORST: Sequence[RunStatus] = ("cut off", "broken", "failed", "passed", "none")


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of one suite; `cases` is None where there is no result per test."""

    status: RunStatus
    cases: dict[str, CaseOutcome] | None
    ended: Ended


class RepositoryTests:
    """Sets up and runs the tests of a repository in a sandbox, by the plan that its base has."""

    def __init__(
        self,
        sandbox: Sandbox,
        plan: TestPlan,
        *,
        limits: SandboxLimits,
        network: Network = "none",
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        """`limits` are those of each command; `network` is what tests may reach: a set-up may reach registries."""
        self._sandbox = sandbox
        self._plan = plan
        self._limits = limits
        self._network = network
        self._on_line = on_line

    async def prepare(self, tree: Tree) -> Ended:
        """Install what the tests need into a tree, and return how the last command ended.

        The set-up worked if its code is 0; else `broken_setup` says so as a run of tests.

        Raises:
            NoSandbox: commands cannot be isolated here.
        """
        ended = Ended(0, "there is nothing to set up", "", 0.0)
        seconds, blocked = 0.0, dict.fromkeys(ended.blocked)
        for script in self._plan.setups:
            ended = await self._shell(script, tree, "registries")
            seconds += ended.seconds
            blocked |= dict.fromkeys(ended.blocked)
            if ended.code != 0:
                break
        return replace(ended, seconds=seconds, blocked=tuple(blocked))

    async def run(self, tree: Tree) -> TestRun:
        """Run the tests in a tree; failed ones run again, up to `RERUNS` times, and are flaky if they then pass.

        Where results per test are missing, the whole command counts as one test in that, and `flaky` has its name. No
        test is a result, too ("none"), and so is everything that a repository can do to break its tests.

        Raises:
            NoSandbox: commands cannot be isolated here.
        """
        runs = [await self._run_suite(suite, tree) for suite in self._plan.suites]
        if not runs:
            return TestRun("none", "")
        if len(runs) == 1:
            return runs[0]
        return _together(list(zip(self._plan.suites, runs, strict=True)))

    async def _run_suite(self, suite: Suite, tree: Tree) -> TestRun:
        first = await self._once(suite, tree, ())
        seconds = first.ended.seconds
        cases, status = dict(first.cases or {}), first.status
        failed = {name for name, outcome in cases.items() if outcome == "failed"}
        flaky: set[str] = set()
        for _ in range(RERUNS):
            if status != "failed":
                break
            again = await self._once(suite, tree, sorted(failed - flaky))
            seconds += again.ended.seconds
            if failed:
                flaky |= {name for name in failed if (again.cases or {}).get(name) == "passed"}
                status = "passed" if flaky == failed else status
            elif again.status == "passed":
                flaky, status = {suite.test}, "passed"
        cases |= dict.fromkeys(flaky & failed, "passed")
        return TestRun(status, suite.test, cases, frozenset(flaky), seconds, first.ended.tail)

    async def _once(self, suite: Suite, tree: Tree, failed: Sequence[str]) -> _Run:
        ended = await self._shell(suite.test_script(failed), tree, self._network)
        reports = StrangersFolder(tree.home / REPORTS)
        cases = await asyncio.to_thread(read_cases, suite.report, reports)
        if suite.report == "go" and ended.code != 0:
            ended = replace(ended, tail=await asyncio.to_thread(go_printed, reports) or ended.tail)
        return _Run(run_status(suite, ended, cases), cases, ended)

    async def _shell(self, script: str, tree: Tree, network: Network) -> Ended:
        return await self._sandbox.run(
            ["sh", "-c", script],
            tree,
            self._limits,
            network=network,
            environment=ENVIRONMENT,
            on_line=self._on_line,
        )


def broken_setup(ended: Ended) -> TestRun:
    """Return the run of tests that a set-up which failed leaves possible: none."""
    return TestRun("broken", "set-up", seconds=ended.seconds, tail=ended.tail)


def run_status(suite: Suite, ended: Ended, cases: dict[str, CaseOutcome] | None) -> RunStatus:
    """Return what a run is, from how its command ended and from its results, None where it has none per test."""
    if ended.code is None:
        return "cut off"
    if suite.report == "exit code":
        return "passed" if ended.code == 0 else "failed"
    if cases:
        return "failed" if ended.code != 0 or "failed" in cases.values() else "passed"
    if ended.code == suite.no_tests_code or (ended.code != 0 and any(words in ended.tail for words in suite.no_tests)):
        return "none"
    if ended.code == 0:
        return suite.silent_success if cases is None else "none"
    return "broken"


def _together(runs: Sequence[tuple[Suite, TestRun]]) -> TestRun:
    """Return the runs of several suites as one; each test has the name of its suite before its own."""
    marked = [(f"{suite.ecosystem}{f' in {suite.folder}' if suite.folder else ''}: ", run) for suite, run in runs]
    return TestRun(
        status=min((run.status for _, run in runs), key=_WORST.index),
        command="\n".join(run.command for _, run in runs),
        cases={f"{mark}{name}": outcome for mark, run in marked for name, outcome in run.cases.items()},
        flaky=frozenset(f"{mark}{name}" for mark, run in marked for name in run.flaky),
        seconds=sum(run.seconds for _, run in runs),
        tail="\n".join(run.tail for _, run in runs),
    )
