"""Which ecosystems a repository has, and what its project says instead."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from soulcaster.domain.fixes.order import FixRules
from soulcaster.domain.fixes.patch import Patch
from soulcaster.domain.fixes.patch_check import is_lock_file
from soulcaster.fixer.ecosystems import go, java, make, node, python, rust
from soulcaster.fixer.ecosystems.java import collect_reports
from soulcaster.fixer.ecosystems.reading import StrangersFolder
from soulcaster.fixer.ecosystems.suite import Ecosystem, Suite, joined

ECOSYSTEMS: tuple[Ecosystem, ...] = tuple(module.ECOSYSTEM for module in (python, node, go, rust, java, make))
"""All ecosystems; make comes last, because the Makefile of a repository of another one calls its tools."""

MAX_SUITES = 4
"""Suites of one repository; those of further folders are left out, and named."""

_NO_PROJECTS = frozenset(
    {"docs", "doc", "examples", "example", "fixtures", "testdata", "samples", "templates", "scripts", "node_modules"}
)


@dataclass(frozen=True, slots=True)
class TestPlan:
    """The suites of a repository, as its base has them: what an agent leaves in a tree changes no command.

    `setups` are the scripts of the set-up, in their order; `manifests` are patterns of the names of files that say what
    they install. `notes` say what was chosen and why, and what was left out, for the log.
    """

    suites: tuple[Suite, ...]
    setups: tuple[str, ...]
    notes: tuple[str, ...]
    manifests: tuple[str, ...] = ()

    __test__ = False  # no test class for pytest

    def needs_setup(self, patch: Patch) -> bool:
        """Return whether a patch changes what must be installed: a manifest or a lock file."""
        paths = {path for change in patch.changes for path in (change.path, change.old_path)}
        return any(matches(path, self.manifests) or is_lock_file(path) for path in paths)


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Return whether the name of a file matches one of the patterns of an ecosystem."""
    name = path.rpartition("/")[2]
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def plan_tests(work: Path, rules: FixRules) -> TestPlan:
    """Return how the tests of the repository in `work` are set up and run. Nothing in it can make this raise.

    The root counts first: all ecosystems there. Without any, the folders in it count, and then those in these. What
    `rules` say replaces what is detected.
    """
    suites, left_out = _detected(StrangersFolder(work))
    notes = [f"{suite.ecosystem} in {suite.folder or 'the root'}: {suite.why}" for suite in suites]
    notes += [f"left out: {suite.ecosystem} in {suite.folder}: {suite.why}" for suite in left_out]
    setups = [suite.setup_script() for suite in suites]
    names = {suite.ecosystem for suite in suites}
    manifests = tuple(pattern for one in ECOSYSTEMS if one.name in names for pattern in one.manifests)
    if rules.setup is not None:
        setups = [replace(suite, setup="").setup_script() for suite in suites]
        setups.append(f"set -e\n{_preludes(suites)}\n{rules.setup}\n")
        notes.append("the project's settings say how it is set up")
    if rules.test is not None:
        suites = [_ordered(rules.test, rules.test_report, suites)]
        notes.append("the project's settings say how the tests run")
    notes = notes or ["no ecosystem is recognised, so no tests"]
    return TestPlan(tuple(suites), tuple(setups), tuple(notes), manifests)


def _detected(tree: StrangersFolder) -> tuple[list[Suite], list[Suite]]:
    folders = [""]
    for _ in range(3):
        found = [suite for folder in folders for suite in _in_folder(tree, folder)]
        if found:
            return found[:MAX_SUITES], found[MAX_SUITES:]
        folders = [
            joined(folder, name)
            for folder in folders
            for name in tree.names(folder)[1]
            if name not in _NO_PROJECTS and not name.startswith(".")
        ][:200]
    return [], []


def _in_folder(tree: StrangersFolder, folder: str) -> list[Suite]:
    found: list[Suite] = []
    for ecosystem in ECOSYSTEMS:
        if ecosystem is make.ECOSYSTEM and found:
            continue
        suite = ecosystem.detect(tree, folder)
        if suite is not None:
            found.append(suite)
    return found


def _ordered(test: str, report: str | None, detected: list[Suite]) -> Suite:
    """Return the suite that the project's settings say, in the environment that the detected ones have."""
    pattern = None if report is None else "./" + report.removeprefix("./").replace("**/*", "*").replace("**/", "*")
    remove = "" if pattern is None else f"find . -path {shlex.quote(pattern)} -type f -exec rm -f {{}} +\n"
    return Suite(
        ecosystem=detected[0].ecosystem if detected else "settings",
        folder="",
        why="the project's settings",
        setup="",
        test=f"{remove}{test}",
        report="exit code" if pattern is None else "junit",
        prelude=_preludes(detected),
        collect="" if pattern is None else collect_reports(pattern),
        silent_success="passed",
    )


def _preludes(suites: list[Suite]) -> str:
    return "\n".join(suite.prelude for suite in suites)
