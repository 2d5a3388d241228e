from dataclasses import replace
from datetime import timedelta

import pytest

from soulcaster.domain.fixes.fix import Fix, FixOptions
from soulcaster.domain.fixes.limits import FixLimits, check_limits
from soulcaster.domain.lifecycle import Job, JobState, start
from soulcaster.errors import QuotaExceeded
from tests.support.make import NOW, step

LIMITS = FixLimits(concurrent=2, per_day=3, usd_per_day=10.0)


def job(name: str, state: JobState, *, hours: float = 0, cost: float = 0.0, budget: float = 2.0) -> Job:
    fix = Fix(name, "c1", "T", "kim", NOW, options=FixOptions(budget_usd=budget))
    at = NOW - timedelta(hours=hours)
    return start(replace(step(0, job=name), state=state, at=at, cost_usd=cost, fix=fix))


def check(*jobs: Job, budget: float = 1.0) -> None:
    check_limits(LIMITS, jobs, budget_usd=budget, now=NOW)


def test_below_all_limits_one_more_may_start() -> None:
    check()
    check(job("a", "running"), job("b", "succeeded", cost=7.0), job("c", "failed", hours=25, cost=99.0))


def test_no_more_at_once_than_allowed() -> None:
    with pytest.raises(QuotaExceeded, match="2 jobs of this project are under way; the limit is 2") as raised:
        check(job("a", "queued"), job("b", "publishing"))
    assert (raised.value.current, raised.value.limit) == (2, 2)


def test_no_more_in_a_day_than_allowed_however_they_ended() -> None:
    ended = [job("a", "dead"), job("b", "cancelled", hours=23.9), job("c", "succeeded")]
    with pytest.raises(QuotaExceeded, match="24 hours"):
        check(*ended)
    check(*ended[:2], job("c", "succeeded", hours=24.1))


def test_a_job_under_way_counts_with_what_it_may_still_spend() -> None:
    check(job("a", "running", budget=9.0, cost=1.0))
    with pytest.raises(QuotaExceeded, match=r"may spend \$9\.50.*\$1\.00 more; the limit is 10"):
        check(job("a", "running", budget=9.5, cost=1.0))
    check(job("a", "succeeded", budget=9.5, cost=1.0))
    with pytest.raises(QuotaExceeded):
        check(job("a", "succeeded", budget=2.0, cost=9.5))


def test_a_job_of_a_day_ago_that_still_runs_counts() -> None:
    with pytest.raises(QuotaExceeded, match="under way"):
        check(job("a", "running", hours=30), job("b", "running", hours=30))


def test_a_job_that_may_spend_nothing_needs_no_money() -> None:
    check(job("a", "succeeded", cost=11.0), budget=0.0)
