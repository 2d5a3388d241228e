"""A suite: the tests of one ecosystem in one folder of a repository, as commands."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from soulcaster.fixer.ecosystems.reading import StrangersFolder

ReportKind = Literal["exit code", "junit", "go", "jest", "cargo", "unittest"]
"""What a test command leaves in the folder of reports: nothing, JUnit XML, `go test -json`, Jest's JSON, or what
`cargo test` or `unittest -v` prints."""

REPORTS = "test-reports"
"""The folder of reports in the home, so outside of the repository; shell code calls it `$REPORTS`."""

PRINTED = '"$REPORTS/printed.txt"'
"""Where a command puts what it prints, as shell code, when that is the report."""


def nothing_selected(failed: Sequence[str]) -> str | None:
    """Return None: this runner cannot run single tests, so all of them run again."""
    return None


@dataclass(frozen=True, slots=True)
class Suite:
    """The tests of one ecosystem in one folder.

    `why` says what was found, for the log. The commands are POSIX shell code that starts in the folder: `prelude`
    (variables and PATH) comes before all others, `environment` makes what `setup` installs into. `collect` copies
    reports to `$REPORTS`, whatever the tests say.
    `rerun` returns the command for single tests, given the names of failed ones, or None to run all.
    `no_tests` are words that the runner prints, or `no_tests_code` is its exit code, where it finds no test.
    `silent_success` is what it means that the command succeeds and reports no test.
    """

    ecosystem: str
    folder: str
    why: str
    setup: str
    test: str
    report: ReportKind = "exit code"
    prelude: str = ""
    environment: str = ""
    collect: str = ""
    rerun: Callable[[Sequence[str]], str | None] = field(default=nothing_selected, compare=False)
    no_tests: tuple[str, ...] = ()
    no_tests_code: int | None = None
    silent_success: Literal["none", "passed"] = "none"

    def setup_script(self) -> str:
        """Return the whole script of the set-up."""
        return f"set -e\n{self._start()}\n{self.environment}\n{self.setup}\n"

    def test_script(self, failed: Sequence[str] = ()) -> str:
        """Return the whole script of a run: of all tests, or of the failed ones where the runner can select them."""
        command = (self.rerun(failed) if failed else None) or self.test
        return (
            f"{self._start()}\n"
            f'rm -rf "$REPORTS"; mkdir -p "$REPORTS" || exit 125\n'
            f"(\n{command}\n)\ncode=$?\n{self.collect}\nexit $code\n"
        )

    def _start(self) -> str:
        enter = f"cd ./{shlex.quote(self.folder)} || exit 125\n" if self.folder else ""
        return f'REPORTS="$HOME/{REPORTS}"\n{enter}{self.prelude}'


@dataclass(frozen=True, slots=True)
class Ecosystem:
    """An ecosystem.

    `manifests` are the files that say what must be installed, lock files among them, as patterns of `fnmatch` over
    their names: a change of one needs a new set-up.
    """

    name: str
    detect: Callable[[StrangersFolder, str], Suite | None]
    manifests: tuple[str, ...]


def joined(folder: str, name: str) -> str:
    """Return the path of a file in a folder of the root, whose path is empty."""
    return f"{folder}/{name}" if folder else name
