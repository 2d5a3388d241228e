"""Names of tests: strangers' words, on one line and of a limited length."""

from soulcaster.domain.fixes.strangers import plain_line
from soulcaster.domain.fixes.test_runs import CaseOutcome

MAX_CASES = 100_000
"""Tests that are read of one run."""

MAX_NAME = 300
"""Characters of a test's name."""

Case = tuple[str, CaseOutcome]
"""The name of a test, and its outcome."""


def named(*parts: str) -> str:
    """Return the name of a test from its file or class and its own name; empty parts are left out."""
    return plain_line("::".join(part[: 4 * MAX_NAME] for part in parts if part), MAX_NAME) or "(no name)"
