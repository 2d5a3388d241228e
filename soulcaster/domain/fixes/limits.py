"""The limits of a project's jobs. The project's single writer applies them; others may ask first, to answer sooner."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from annotated_types import Interval

from soulcaster.domain.fixes.fix import Usd
from soulcaster.domain.lifecycle import Job, active
from soulcaster.errors import QuotaExceeded

WINDOW = timedelta(days=1)
"""Jobs and money are counted over the last 24 hours."""


@dataclass(frozen=True, slots=True)
class FixLimits:
    """The most jobs of a project that run at once, jobs that start within 24 hours, and money that these may spend."""

    concurrent: Annotated[int, Interval(ge=0, le=10_000)]
    per_day: Annotated[int, Interval(ge=0, le=100_000)]
    usd_per_day: Usd


def check_limits(limits: FixLimits, jobs: Iterable[Job], *, budget_usd: float, now: datetime) -> None:
    """Return if a project with these jobs may have one more, which may spend `budget_usd`.

    A job under way counts with its whole budget, because it may still spend it; an ended one with what it spent.

    Raises:
        QuotaExceeded: one of the limits is reached.
    """
    known = list(jobs)
    under_way = sum(1 for job in known if active(job))
    if under_way >= limits.concurrent:
        raise QuotaExceeded(f"{under_way} jobs of this project are under way", under_way, limits.concurrent)
    today = of_today(known, now)
    if len(today) >= limits.per_day:
        raise QuotaExceeded("The jobs of the last 24 hours reach the daily limit", len(today), limits.per_day)
    spent = sum(_counted_usd(job) for job in today)
    if budget_usd and spent + budget_usd > limits.usd_per_day:
        raise QuotaExceeded(
            f"Jobs of the last 24 hours may spend ${spent:.2f}, and this one ${budget_usd:.2f} more",
            round(spent, 2),
            limits.usd_per_day,
        )


def of_today(jobs: Iterable[Job], now: datetime) -> list[Job]:
    """Return the jobs that count over the last 24 hours: those that began since, and all that are under way."""
    return [job for job in jobs if active(job) or job.created_at > now - WINDOW]


def _counted_usd(job: Job) -> float:
    budget = job.fix.options.budget_usd if job.fix is not None else 0.0
    return max(budget, job.cost_usd) if active(job) else job.cost_usd
