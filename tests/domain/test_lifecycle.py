import itertools
import random
from collections.abc import Iterable
from functools import reduce
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.lifecycle import (
    NEXT,
    ClusterStatus,
    Job,
    JobStatus,
    JobStep,
    Triage,
    active,
    advance,
    cluster_status,
    may_become,
    start,
)
from soulcaster.errors import IllegalTransition
from tests.support.make import NOW, step

STATUSES: tuple[JobStatus, ...] = get_args(JobStatus)

steps = st.lists(
    st.builds(
        step,
        st.integers(0, 12),
        st.sampled_from(STATUSES),
        log=st.none() | st.sampled_from("ab"),
        pr_url=st.none() | st.sampled_from(["https://example.org/pull/1", "https://example.org/pull/2"]),
        error=st.none() | st.sampled_from(["boom", "bang"]),
    ),
    min_size=1,
    max_size=15,
)


def job_of(of: Iterable[JobStep]) -> Job:
    first, *others = of
    return reduce(advance, others, start(first))


@given(steps, st.randoms(use_true_random=False))
def test_a_job_is_what_its_steps_make_of_it_whatever_their_order(of: list[JobStep], chance: random.Random) -> None:
    shuffled = [*of, *of[::2]]  # some delivered again
    chance.shuffle(shuffled)
    assert job_of(shuffled) == job_of(of)


@given(steps)
def test_a_job_never_goes_back_and_of_several_ends_the_earliest_counts(of: list[JobStep]) -> None:
    of.sort(key=lambda one: one.place)
    states = list(itertools.accumulate(of[1:], advance, initial=start(of[0])))
    for before, after in itertools.pairwise(states):
        assert after.status in NEXT[before.status] or after.status == before.status
        if before.status in {"success", "failed"}:
            assert (after.status, after.error) == (before.status, before.error)
    last = states[-1]
    assert (last.created_at, last.updated_at) == (of[0].at, of[-1].at)
    assert last.seq == max(one.seq for one in of)
    assert last.pr_url == next((one.pr_url for one in reversed(of) if one.pr_url), None)
    ends = [one for one in of if one.status in {"success", "failed"}]
    if ends:
        assert (last.status, last.error) == (ends[0].status, ends[0].error)


@pytest.mark.parametrize("status", STATUSES)
def test_every_step_from_every_status(status: JobStatus) -> None:
    allowed = {
        "pending": {"pending", "running", "success", "failed"},
        "running": {"running", "success", "failed"},
        "success": set(),
        "failed": set(),
    }[status]
    job = start(step(0, status))
    for following in STATUSES:
        after = advance(job, step(1, following))
        if following in allowed:
            may_become(job, following)
            assert after.status == following
        else:
            assert after.status == status
            if following != status:
                with pytest.raises(IllegalTransition, match=f"is {status}.*become {following}"):
                    may_become(job, following)
    may_become(job, status)  # the one it has may be told again
    assert active(job) == (status in {"pending", "running"})
    assert set(NEXT) == set(STATUSES)


def test_two_steps_of_one_seq_both_count() -> None:
    told, cancelled = step(4, "running", log="compiling"), step(4, "failed", error="cancelled by kim")
    job = job_of([told, cancelled])
    assert (job.status, job.error, job.seq) == ("failed", "cancelled by kim", 4)


def test_an_end_that_comes_after_the_end_changes_neither_status_nor_error() -> None:
    job = job_of([step(1, "success"), step(2, "failed", error="cancelled by kim")])
    assert (job.status, job.error) == ("success", None)


def test_a_pull_request_once_told_of_is_kept() -> None:
    job = start(step(0, "running", pr_url="https://example.org/pull/1"))
    job = advance(job, step(1, "success"))
    assert job.pr_url == "https://example.org/pull/1"
    assert (job.created_at, job.updated_at) == (NOW, step(1).at)


@pytest.mark.parametrize(
    ("status", "pr_url", "expected"),
    [
        ("pending", None, "fixing"),
        ("running", "https://example.org/pull/1", "fixing"),
        ("success", "https://example.org/pull/1", "pr_opened"),
        ("success", None, "new"),
        ("failed", "https://example.org/pull/1", "failed"),
    ],
)
def test_what_a_job_makes_of_its_cluster(status: JobStatus, pr_url: str | None, expected: str) -> None:
    assert cluster_status(start(step(0, status, pr_url=pr_url))) == expected


@pytest.mark.parametrize(
    ("job", "triage", "expected"),
    [
        (None, "open", "new"),
        (None, "muted", "muted"),
        (None, "resolved", "resolved"),
        ("pending", "muted", "fixing"),
        ("running", "resolved", "fixing"),
        ("failed", "open", "failed"),
        ("failed", "resolved", "resolved"),
        ("success", "muted", "muted"),
        ("success", "open", "pr_opened"),
    ],
)
def test_what_is_under_way_comes_before_what_people_said_and_that_before_how_it_ended(
    job: JobStatus | None, triage: Triage, expected: ClusterStatus
) -> None:
    of = None if job is None else start(step(0, job, pr_url="https://example.org/pull/1"))
    assert cluster_status(of, triage) == expected
