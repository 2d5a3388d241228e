"""What the tests of a repository said, before and after a change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

CaseOutcome = Literal["passed", "failed", "skipped"]

RunStatus = Literal["passed", "failed", "none", "broken", "cut off"]
"""All tests passed; some failed; there are none; the command ended without running tests; a limit ended it."""


@dataclass(frozen=True, slots=True)
class TestRun:
    """One run of the tests of a tree.

    `cases` has the outcome of each test by its name (file or class, then the test), empty where the runner cannot tell;
    `flaky` are those that failed and passed in the same tree. `tail` is the end of what the run printed.
    """

    status: RunStatus
    command: str
    cases: Mapping[str, CaseOutcome] = field(default_factory=dict)
    flaky: frozenset[str] = frozenset()
    seconds: float = 0.0
    tail: str = ""

    __test__ = False  # no test class for pytest

    def count(self, outcome: CaseOutcome) -> int:
        """Return how many tests had this outcome."""
        return sum(one == outcome for one in self.cases.values())
