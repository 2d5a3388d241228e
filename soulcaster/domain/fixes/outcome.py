"""What a job made: the part of its result that people see on pages, in the API and in the pull request."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Annotated, Literal

from annotated_types import Interval
from pydantic import FailFast

from soulcaster.domain.fixes.strangers import plain_line
from soulcaster.domain.fixes.test_runs import RunStatus

PullRequestState = Literal["open", "merged", "closed"]

MAX_FILES = 100
MAX_REMARKS = 50
REMARK_CHARS = 500
LIST_BYTES = 32 * 1024
"""How much of an outcome is kept: files, flags, blocked hosts, the characters of each, the bytes of all of a list."""

Count = Annotated[int, Interval(ge=0, le=2**53)]
"""A number that JSON and msgpack can write."""

Texts = Annotated[tuple[str, ...], FailFast()]
"""Any number of texts, of which `cleaned` keeps some; the first that is none refuses them."""

CheckState = Literal["none", "pending", "passed", "failed"]
"""What the checks of a commit say together."""


@dataclass(frozen=True, slots=True)
class TestSummary:
    """A run of the tests in numbers; `flaky` counts tests that failed and passed in the same tree."""

    status: RunStatus
    passed: Count = 0
    failed: Count = 0
    skipped: Count = 0
    flaky: Count = 0

    __test__ = False  # no test class for pytest


@dataclass(frozen=True, slots=True)
class FixOutcome:
    """What a job made, as far as it came.

    `shows_bug` says whether a new test fails without the change, None where there is no new test. `flags` are remarks
    for the reviewer: a changed lock file, no tests. `blocked_hosts` are those that something in the sandbox tried to
    reach and could not. `commit` is the last commit of the pushed branch, `repository` where it was pushed to; they are
    told before the push, so that a branch is known whatever ends the program.
    """

    files: Texts = ()
    added: Count = 0
    deleted: Count = 0
    before: TestSummary | None = None
    after: TestSummary | None = None
    shows_bug: bool | None = None
    flags: Texts = ()
    blocked_hosts: Texts = ()
    tokens_in: Count = 0
    tokens_out: Count = 0
    repository: str | None = None
    commit: str | None = None


def cleaned(outcome: FixOutcome) -> FixOutcome:
    """Return an outcome that pages may show: what strangers can influence is plain text on one line, and not much."""
    return replace(
        outcome,
        files=_plain(outcome.files, MAX_FILES),
        flags=_plain(outcome.flags, MAX_REMARKS),
        blocked_hosts=_plain(outcome.blocked_hosts, MAX_REMARKS),
        repository=outcome.repository and plain_line(outcome.repository, REMARK_CHARS),
        commit=outcome.commit and plain_line(outcome.commit, REMARK_CHARS),
    )


def _plain(texts: Iterable[str], most: int) -> tuple[str, ...]:
    kept: list[str] = []
    room = LIST_BYTES
    for text in islice(texts, most):
        line = plain_line(text, REMARK_CHARS)
        room -= len(line.encode())
        if room < 0:
            break
        kept.append(line)
    return tuple(kept)
