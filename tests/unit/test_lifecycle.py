import itertools
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
    start,
)
from soulcaster.errors import IllegalTransition
from tests.unit.make import NOW, step

STATUSES: tuple[JobStatus, ...] = get_args(JobStatus)

steps = st.lists(
    st.builds(
        step,
        st.integers(0, 12),
        st.sampled_from(STATUSES),
        pr_url=st.none() | st.just("https://example.org/pull/1"),
        error=st.none() | st.just("boom"),
    ),
    min_size=1,
    max_size=15,
)


def run(of: list[JobStep]) -> list[Job]:
    """The job after each step; one that is refused leaves it as it was."""
    states = [start(of[0])]
    for one in of[1:]:
        try:
            states.append(advance(states[-1], one))
        except IllegalTransition:
            states.append(states[-1])
    return states


@given(steps)
def test_what_has_ended_stays_as_it_ended(of: list[JobStep]) -> None:
    states = run(of)
    for before, after in itertools.pairwise(states):
        if before.status in {"success", "failed"}:
            assert after == before
        assert after.seq >= before.seq
        assert (after == before) == (after.seq == before.seq)
        assert after.created_at == states[0].created_at
        if before.status == "running":
            assert after.status != "pending"


@given(steps, st.data())
def test_steps_delivered_again_change_nothing(of: list[JobStep], data: st.DataObject) -> None:
    of.sort(key=lambda one: one.seq)
    once = run(of)[-1]
    again = []
    for n, one in enumerate(of):
        again.append(one)
        again += data.draw(st.lists(st.sampled_from(of[: n + 1]), max_size=3))  # a redelivery is of what was before
    assert run(again)[-1] == once


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
        if following in allowed:
            after = advance(job, step(1, following))
            assert (after.status, after.seq, after.updated_at) == (following, 1, step(1).at)
        else:
            with pytest.raises(IllegalTransition):
                advance(job, step(1, following))
    assert active(job) == (status in {"pending", "running"})
    assert set(NEXT) == set(STATUSES)


def test_the_same_step_twice_is_refused() -> None:
    job = advance(start(step(0, "pending")), step(1, "running"))
    with pytest.raises(IllegalTransition, match="already"):
        advance(job, step(1, "running"))
    with pytest.raises(IllegalTransition, match="already"):
        advance(job, step(0, "running"))


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
