import itertools
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from functools import reduce
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.fixes.fix import Fix, FixOptions, Target
from soulcaster.domain.fixes.outcome import FixOutcome, PullRequestState
from soulcaster.domain.fixes.pull_request_sight import PullRequestSight
from soulcaster.domain.lifecycle import (
    MAX_LAUNCHES,
    STATUSES,
    ClusterStatus,
    Job,
    JobState,
    JobStatus,
    JobStep,
    Triage,
    active,
    advance,
    cluster_status,
    ends,
    follows_pull_request,
    may_become,
    start,
    state_of,
    waits_to_ship,
)
from soulcaster.errors import IllegalTransition
from tests.support.make import NOW, step

STATES: tuple[JobState, ...] = get_args(JobState)
ORDER = {"queued": 0, "approved": 1, "launching": 2, "running": 3, "publishing": 4}
PULL = "https://example.org/pull/1"

steps = st.lists(
    st.builds(
        lambda seq, state, **more: replace(step(seq), state=state, **more),
        st.integers(0, 12),
        st.sampled_from(STATES),
        log=st.none() | st.sampled_from("ab"),
        pr_url=st.none() | st.sampled_from([PULL, "https://example.org/pull/2"]),
        error=st.none() | st.sampled_from(["boom", "bang"]),
        token=st.none() | st.integers(0, 30),
        launch=st.none() | st.integers(1, 4),
        cost_usd=st.none() | st.floats(0, 9),
        pr_state=st.none() | st.sampled_from(get_args(PullRequestState)),
        outcome=st.none() | st.builds(FixOutcome, added=st.integers(0, 3)),
    ),
    min_size=1,
    max_size=15,
)


def in_log(of: Iterable[JobStep]) -> list[JobStep]:
    """The steps as they lie on the partition, other records between them."""
    return [replace(one, offset=2 * place) for place, one in enumerate(of)]


def job_of(of: Iterable[JobStep]) -> Job:
    first, *others = of
    return reduce(advance, others, start(first))


def claim(launch: int, token: int | None = None) -> JobStep:
    return replace(step(launch), state="launching", launch=launch, token=token)


def report(state: JobState, token: int | None, **more: object) -> JobStep:
    return replace(step(50), state=state, token=token, **more)  # type: ignore[arg-type]


@given(steps, st.randoms(use_true_random=False))
def test_steps_that_are_delivered_again_change_nothing(of: list[JobStep], chance: random.Random) -> None:
    log = in_log(of)
    delivered: list[JobStep] = []
    for place in range(1, len(log) + 1):
        delivered += log[chance.randrange(place) : place]  # from some place before, as after a crash
    assert job_of(delivered) == job_of(log)
    assert job_of([*log, *log]) == job_of(log)


@given(steps)
def test_whatever_the_order_of_steps_a_job_moves_only_as_it_may(of: list[JobStep]) -> None:
    log = in_log(of)
    for before, one, after in _moves(log):
        if not active(before):
            assert (after.state, after.error, after.launch, after.fence) == (
                before.state, before.error, before.launch, before.fence,
            )  # fmt: skip
        if one.token is not None and one.token != before.fence:
            assert replace(after, offset=before.offset) == before, "a report with another token changed something"
        if after.launch != before.launch:
            assert (after.launch, after.fence) == (before.launch + 1, one.offset)
            assert before.state == "approved" or (before.launch == 0 and before.state != "queued")
        elif active(after) and ORDER[after.state] < ORDER[before.state]:
            assert after.state == "approved"
            assert one.token == before.fence, "only the present launch gives itself up"
        assert after.cost_usd >= before.cost_usd
        assert after.fence >= before.fence


@given(steps)
def test_of_several_ends_the_first_in_the_log_counts(of: list[JobStep]) -> None:
    log = [replace(one, token=None, launch=None) for one in in_log(of)]
    last = job_of(log)
    assert last.created_at == min(one.at for one in log)
    assert last.seq == max(one.seq for one in log)
    assert last.pr_url == next((one.pr_url for one in reversed(log) if one.pr_url), None)
    ended = [one for one in log if ends(one.state)]
    if ended:
        assert (last.state, last.error) == (ended[0].state, ended[0].error)


@given(steps)
def test_the_newest_outcome_counts_and_what_is_merged_stays_so(of: list[JobStep]) -> None:
    log = [replace(one, token=None, launch=None) for one in in_log(of)]
    last = job_of(log)
    assert last.outcome == next((one.outcome for one in reversed(log) if one.outcome), None)
    states = [one.pr_state for one in log if one.pr_state]
    assert last.pr_state == ("merged" if "merged" in states else next(reversed(states), None))


def _moves(log: list[JobStep]) -> Iterable[tuple[Job, JobStep, Job]]:
    states = list(itertools.accumulate(log[1:], advance, initial=start(log[0])))
    return zip(states, log[1:], states[1:], strict=False)


def test_two_launchers_claim_one_launch_and_the_first_has_it() -> None:
    job = job_of(in_log([step(0, "pending"), claim(1), claim(1)]))
    assert (job.state, job.launch, job.fence) == ("launching", 1, 2)


def test_a_launch_of_before_reports_in_vain() -> None:
    log = in_log([step(0, "pending"), claim(1), report("approved", 2, error="lost"), claim(2, 2)])
    job = job_of(log)
    assert (job.state, job.launch, job.fence, job.error) == ("launching", 2, 6, None)
    late = replace(report("succeeded", 2, pr_url=PULL, cost_usd=3.0), offset=8)
    assert advance(job, late) == replace(job, offset=8)
    done = advance(job, replace(report("succeeded", 6, pr_url=PULL, cost_usd=3.0), offset=8))
    assert (done.state, done.pr_url, done.cost_usd) == ("succeeded", PULL, 3.0)


def test_a_launch_that_was_given_up_may_still_be_the_one_that_did_it() -> None:
    log = in_log([step(0, "pending"), claim(1), report("approved", 2), report("succeeded", 2), claim(2, 2)])
    assert (job_of(log).state, job_of(log).launch) == ("succeeded", 1)


def test_a_job_that_waits_for_approval_is_not_launched() -> None:
    job = job_of(in_log([replace(step(0), state="queued"), claim(1)]))
    assert (job.state, job.launch) == ("queued", 0)
    for state in ("approved", "running", "publishing"):  # others than the clusterer cannot approve it
        assert advance(job, replace(step(3), state=state, offset=9)).state == "queued"
    approval = replace(step(3), state="approved", offset=9, fix=Fix("j1", "c1", "T", "kim", NOW))
    assert advance(job, approval).state == "approved"
    assert advance(job, replace(step(3), state="cancelled", offset=9)).state == "cancelled"


def test_there_are_no_more_launches_than_allowed() -> None:
    log = [step(0, "pending")]
    for launch in range(1, MAX_LAUNCHES + 3):
        job = job_of(in_log(log))
        log += [claim(launch, job.fence if job.launch else None), report("approved", 2 * len(log))]
    assert job_of(in_log(log)).launch == MAX_LAUNCHES


def test_what_each_launch_spends_adds_up() -> None:
    log = [step(0, "pending"), claim(1), report("running", 2, cost_usd=2.0), report("approved", 2), claim(2, 2)]
    job = job_of(in_log(log))
    assert (job.cost_usd, job.earlier_usd) == (2.0, 2.0)
    assert advance(job, replace(report("running", 8, cost_usd=0.5), offset=10)).cost_usd == 2.5
    ended = job_of(in_log([*log, step(9, "failed")]))
    assert advance(ended, replace(report("failed", 8, cost_usd=0.75), offset=99)).cost_usd == 2.75


def test_a_job_that_is_said_to_run_but_was_never_launched_is_launched() -> None:
    job = job_of(in_log([step(0, "pending"), step(1, "running"), claim(1), claim(1)]))
    assert (job.state, job.launch, job.fence) == ("launching", 1, 4)
    running = advance(job, replace(report("running", 4), offset=8))
    assert advance(running, replace(claim(2), offset=10)).launch == 1


def test_a_cancelled_job_stays_cancelled() -> None:
    cancel = replace(step(9), state="cancelled", error="cancelled by kim")
    job = job_of(in_log([step(0, "pending"), cancel, step(1, "running"), claim(1), step(2, "success")]))
    assert (job.state, job.status, job.error) == ("cancelled", "failed", "cancelled by kim")


def test_a_job_whose_first_step_was_lost_begins_with_its_claim() -> None:
    job = start(replace(claim(1), offset=7))
    assert (job.state, job.launch, job.fence, job.launched_at) == ("launching", 1, 7, claim(1).at)


@pytest.mark.parametrize("status", get_args(JobStatus))
def test_every_public_status_from_every_other(status: JobStatus) -> None:
    allowed = {
        "pending": {"pending", "running", "success", "failed"},
        "running": {"running", "success", "failed"},
        "success": set(),
        "failed": set(),
    }[status]
    job = start(step(0, status))
    for following in get_args(JobStatus):
        after = advance(job, step(1, following))
        if following in allowed:
            may_become(job, state_of(following))
            assert after.status == following
        else:
            assert after.status == status
            if following != status:
                with pytest.raises(IllegalTransition, match=f"is {status}.*become {following}"):
                    may_become(job, state_of(following))
    may_become(job, state_of(status))  # the present one may be reported again
    assert active(job) == (status in {"pending", "running"})
    assert set(STATUSES) == set(STATES)


def test_an_end_that_comes_after_the_end_changes_neither_status_nor_error() -> None:
    job = job_of([step(1, "success"), step(2, "failed", error="cancelled by kim")])
    assert (job.status, job.error) == ("success", None)


def test_a_pull_request_once_reported_is_kept() -> None:
    job = start(step(0, "running", pr_url=PULL))
    job = advance(job, step(1, "success"))
    assert job.pr_url == PULL
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


def sight(state: PullRequestState, minutes: int, **more: Any) -> PullRequestSight:
    return PullRequestSight(state, NOW + timedelta(minutes=minutes), **more)


def test_what_github_shows_of_the_pull_request_changes_nothing_else_of_a_job() -> None:
    job = advance(start(step(0, "pending")), step(1, "running"))
    seen = advance(job, replace(step(2, "success"), pr_sight=sight("open", 1)))
    assert (seen.state, seen.pr_state, seen.ended_at) == ("running", "open", None)
    ended = advance(seen, step(3, "success"))
    later = advance(ended, replace(step(9, "failed"), pr_sight=sight("merged", 2, merged_at=NOW)))
    assert (later.state, later.pr_state, later.ended_at) == ("succeeded", "merged", step(3).at)


def test_what_github_shows_outweighs_what_programs_report_of_the_same_pull_request() -> None:
    url, other = "https://github.com/o/n/pull/1", "https://github.com/o/n/pull/2"
    job = advance(start(step(0, pr_url=url)), replace(step(1), pr_sight=sight("closed", 1)))
    assert advance(job, replace(step(2, pr_url=url), pr_state="open")).pr_state == "closed"
    anew = advance(job, replace(step(2, pr_url=other), pr_state="open"))
    assert (anew.pr_state, anew.pr_sight) == ("open", None)


def test_a_pull_request_that_an_ordered_job_reports_is_open_and_followed_until_the_last_thing_is_done() -> None:
    target = Target("o/n", "main", "a" * 40)
    fix = Fix("j1", "c1", "t", "owner", NOW, options=FixOptions(target=target))
    url = "https://github.com/o/n/pull/1"
    job = advance(start(replace(step(0, "pending"), fix=fix)), step(1, "success", pr_url=url))
    assert (job.pr_state, follows_pull_request(job), waits_to_ship(job)) == ("open", True, False)
    assert cluster_status(job, "open") == cluster_status(job, "regressed") == "pr_opened"
    merged = advance(job, replace(step(2), pr_sight=sight("merged", 1, merged_at=NOW)))
    assert (follows_pull_request(merged), waits_to_ship(merged), cluster_status(merged)) == (True, True, "pr_opened")
    shipped = advance(merged, replace(step(3), pr_sight=sight("merged", 1, shipped_at=NOW)))
    assert (follows_pull_request(shipped), waits_to_ship(shipped), cluster_status(shipped)) == (True, False, "new")
    assert cluster_status(shipped, "regressed") == "regressed"
    done = advance(shipped, replace(step(4), pr_sight=sight("merged", 1, announced_at=NOW)))
    assert not follows_pull_request(done)
    closed = advance(job, replace(step(2), pr_sight=sight("closed", 1)))
    assert (follows_pull_request(closed), cluster_status(closed)) == (False, "new")
    recorded = start(step(0, "success", pr_url=url))
    assert (recorded.pr_state, follows_pull_request(recorded)) == (None, False)


@pytest.mark.parametrize(
    ("job", "triage", "expected"),
    [
        (None, "regressed", "regressed"),
        ("success", "regressed", "regressed"),
        ("failed", "regressed", "regressed"),
        ("running", "regressed", "fixing"),
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
