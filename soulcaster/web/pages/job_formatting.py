"""How jobs are written on pages: the filters of their templates."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from soulcaster.domain.fixes.fix import StopPoint
from soulcaster.domain.fixes.outcome import CheckState, TestSummary
from soulcaster.domain.fixes.test_runs import RunStatus
from soulcaster.domain.lifecycle import Job, JobState, active, waits_to_ship
from soulcaster.domain.text.normalize import visible

STATE_TEXTS: Mapping[JobState, str] = {
    "queued": "Waits for approval",
    "approved": "Waits for a launch",
    "launching": "Starting",
    "running": "At work",
    "publishing": "Opening the pull request",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "dead": "Gave up",
    "cancelled": "Cancelled",
}

STATE_EXPLANATIONS: Mapping[JobState, str] = {
    "queued": "Nothing runs and nothing is spent until somebody approves it.",
    "approved": "The launcher takes it as soon as it has a place.",
    "launching": "The backend starts the coding agent.",
    "running": "The coding agent works.",
    "publishing": "The coding agent is done; its changes are being published.",
    "succeeded": "It did its work.",
    "failed": "It reports that it could not do its work.",
    "dead": "No launch of it came to a result, so it is not tried again.",
    "cancelled": "A person ended it.",
}

STOP_TEXTS: Mapping[StopPoint, str] = {
    "brief": "stops before any work, for approval",
    "plan": "stops when there is a plan, for approval",
    "branch": "pushes a branch",
    "pr": "opens a draft pull request",
}


CHECK_TEXTS: Mapping[CheckState, str] = {
    "none": "no checks",
    "pending": "its checks run",
    "passed": "its checks passed",
    "failed": "its checks failed",
}


def pull_request_text(job: Job) -> str:
    """Return what the pull request of a job is, as far as anybody has said it."""
    sight = job.pr_sight
    match job.pr_state:
        case "open":
            return "Open" if sight is None or sight.checks is None else f"Open, {CHECK_TEXTS[sight.checks]}"
        case "merged":
            return "Merged, waits for a release" if waits_to_ship(job) else "Merged"
        case "closed":
            return "Closed without a merge"
        case None:
            return "Not followed"


TEST_TEXTS: Mapping[RunStatus, str] = {
    "passed": "all pass",
    "failed": "some fail",
    "none": "there are none",
    "broken": "they do not run",
    "cut off": "a limit ended them",
}


def tests_in_words(summary: TestSummary) -> str:
    """Return what a run of the tests said."""
    counts = [("passed", summary.passed), ("failed", summary.failed), ("skipped", summary.skipped)]
    told = [f"{count} {name}" for name, count in counts if count]
    flaky = [f"{summary.flaky} flaky"] if summary.flaky else []
    return ", ".join([*told, *flaky]) or TEST_TEXTS[summary.status]


def usd(value: float) -> str:
    """Return an amount of money to the cent."""
    return f"${value:,.2f}"


def duration(value: timedelta) -> str:
    """Return a duration in its two largest units, at least in seconds."""
    seconds = max(0, int(value.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def time_taken(job: Job, now: datetime) -> str:
    """Return how long a job took from its request to its end, or until now."""
    return duration((now if active(job) else job.ended_at or job.updated_at) - job.created_at)


def kilobytes(text: str) -> str:
    """Return how long a text is in UTF-8."""
    return f"{len(text.encode()) / 1024:.1f} KB"


def lines(texts: Sequence[str]) -> Sequence[str]:
    """Return the lines of a log's parts, without what a terminal would act on."""
    return visible("".join(texts)).splitlines()


FILTERS: Mapping[str, Callable[..., Any]] = {
    "state": STATE_TEXTS.__getitem__,
    "state_explained": STATE_EXPLANATIONS.__getitem__,
    "stop_point": STOP_TEXTS.__getitem__,
    "usd": usd,
    "duration": lambda seconds: duration(timedelta(seconds=seconds)),
    "pull_request_text": pull_request_text,
    "time_taken": time_taken,
    "tests_in_words": tests_in_words,
    "active": active,
    "kilobytes": kilobytes,
    "lines": lines,
    "visible": visible,
}
"""The filters by their names in the templates."""
