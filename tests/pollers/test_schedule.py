"""Which listing is read when, with a clock that the test sets."""

import itertools
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.pollers.schedule import (
    BACKOFF_SECONDS,
    MAX_BACKOFF_SECONDS,
    MAX_RETRY_AFTER_SECONDS,
    SUBREDDIT_SECONDS,
    Listing,
    Schedule,
)

A, B, HOT = Listing("p1", "a", "new"), Listing("p1", "b", "new"), Listing("p1", "a", "hot")
OTHERS = Listing("p2", "a", "new")


def schedule(*listings: Listing, pause: float = 0.0, interval: float = 300.0, chance: float = 1.0) -> Schedule:
    made = Schedule(pause, lambda: chance)
    for project in {listing.project_id for listing in listings}:
        made.plan(project, [one for one in listings if one.project_id == project], interval, 0.0)
    return made


def all_of(made: Schedule, now: float) -> set[Listing]:
    """Read every listing that is due now, and return them."""
    asked = set()
    while (listing := made.next(now)) is not None:
        made.read(listing, now)
        asked.add(listing)
    return asked


def test_what_is_new_is_due_at_once_and_then_after_the_interval() -> None:
    made = schedule(A)
    assert made.next(0.0) == A
    made.sent(A, 0.0)
    made.read(A, 2.0)
    assert made.next(301.9) is None
    assert made.wait(2.0) == 300.0
    assert made.next(302.0) == A


def test_nothing_planned_is_no_wait_at_all() -> None:
    assert schedule().wait(0.0) is None


def test_one_request_a_second_for_a_subreddit_whosever_it_is() -> None:
    made = schedule(A, HOT, OTHERS, B)
    made.sent(A, 0.0)
    made.read(A, 0.1)
    assert made.next(0.1) == B
    made.sent(B, 0.1)
    made.read(B, 0.1)
    assert made.next(0.9) is None
    assert made.wait(0.9) == pytest.approx(SUBREDDIT_SECONDS - 0.9)
    assert made.next(SUBREDDIT_SECONDS) in {HOT, OTHERS}


def test_a_pause_between_any_two() -> None:
    made = schedule(A, B, pause=6.0)
    made.sent(A, 0.0)
    made.read(A, 0.0)
    assert made.next(5.9) is None
    assert made.next(6.0) == B


def test_a_listing_that_goes_on_waits_for_its_turn() -> None:
    made = schedule(A, B)
    made.sent(A, 0.0)
    made.more(A, 1.0)
    assert made.next(5.0) == B


def test_failures_are_waited_out_longer_and_longer() -> None:
    made = schedule(A)
    waits = [made.failed(A, 0.0) for _ in range(20)]
    assert waits[:4] == [BACKOFF_SECONDS * 2**n for n in range(4)]
    assert max(waits) == MAX_BACKOFF_SECONDS
    made.read(A, 0.0)
    assert made.failed(A, 0.0) == BACKOFF_SECONDS


def test_waits_have_jitter() -> None:
    assert schedule(A, chance=0.0).failed(A, 0.0) == BACKOFF_SECONDS / 2


def test_what_the_server_asks_for_is_granted_within_reason() -> None:
    made = schedule(A)
    assert made.failed(A, 0.0, retry_after=40.0) == 40.0
    assert made.next(39.9) is None
    assert made.next(40.0) == A
    assert made.failed(A, 0.0, retry_after=1e12) == MAX_RETRY_AFTER_SECONDS


def test_what_is_blocked_is_left_alone_and_others_go_on() -> None:
    made = schedule(A, B)
    made.block(A, 0.0, 3600.0)
    assert made.next(0.0) == B
    made.read(B, 0.0)
    assert made.next(3599.0) == B
    made.read(B, 3599.0)
    assert made.next(3600.0) == A


def test_a_kick_is_for_one_project_whatever_it_waits_for() -> None:
    made = schedule(A, B, OTHERS)
    for listing in (A, B, OTHERS):
        made.sent(listing, 0.0)
    made.block(A, 0.0, 3600.0)
    made.read(B, 0.0)
    made.read(OTHERS, 0.0)
    made.kick("p1", 10.0)
    assert all_of(made, 10.0) == {A, B}


def test_a_kick_does_not_break_the_rate_limit() -> None:
    made = schedule(A)
    made.hold(0.0, 60.0)
    made.kick("p1", 1.0)
    assert made.next(59.0) is None
    assert made.wait(1.0) == 59.0
    assert made.next(60.0) == A


def test_a_shorter_interval_counts_from_the_last_reading() -> None:
    made = schedule(A)
    made.read(A, 100.0)
    made.plan("p1", [A], 60.0, 120.0)
    assert made.next(159.0) is None
    assert made.next(160.0) == A


def test_a_changed_interval_does_not_end_a_wait() -> None:
    made = schedule(A)
    made.read(A, 0.0)
    made.block(A, 0.0, 3600.0)
    made.plan("p1", [A], 10.0, 100.0)
    assert made.next(3599.0) is None


def test_what_is_not_planned_any_more_is_not_asked_for() -> None:
    made = schedule(A, B, OTHERS)
    made.plan("p1", [B], 300.0, 0.0)
    made.read(A, 0.0)
    made.failed(A, 0.0)
    assert all_of(made, 0.0) == {B, OTHERS}


LISTINGS = [Listing(p, s, sort) for p in ("p1", "p2") for s in ("a", "b", "c") for sort in ("new", "hot")]


@given(
    st.lists(st.sampled_from(LISTINGS), min_size=1, unique=True),
    st.lists(st.tuples(st.sampled_from(["read", "more", "failed", "block", "hold", "kick"]), st.floats(0, 50))),
    st.floats(0, 10),
)
def test_whatever_happens_the_pace_is_kept_and_nobody_starves(
    listings: list[Listing], happening: list[tuple[str, float]], pause: float
) -> None:
    made = schedule(*listings, pause=pause, interval=100.0)
    now, requests = 0.0, []
    blocked: dict[Listing, float] = {}
    held = 0.0
    rounds = iter(happening)
    for _ in range(len(happening) + 12 * len(listings)):
        wait = made.wait(now)
        assert wait is not None
        now += wait + 1e-6
        listing = made.next(now)
        assert listing is not None, "it said how long to wait, and then there was nothing to do"
        assert now >= max(held, blocked.get(listing, 0.0))
        made.sent(listing, now)
        requests.append((now, listing))
        kind, seconds = next(rounds, ("read", 0.0))
        if kind == "hold":
            made.hold(now, seconds)
            held = max(held, now + seconds)
        elif kind == "kick":
            made.kick(listing.project_id, now)
            blocked = {one: until for one, until in blocked.items() if one.project_id != listing.project_id}
        if kind == "failed":
            made.failed(listing, now, seconds)
        elif kind == "block":
            made.block(listing, now, seconds)
            blocked[listing] = now + seconds
        elif kind == "more":
            made.more(listing, now)
        else:
            made.read(listing, now)
    by_subreddit = defaultdict(list)
    for at, listing in requests:
        by_subreddit[listing.subreddit].append(at)
    for times, least in [([at for at, _ in requests], pause), *((t, SUBREDDIT_SECONDS) for t in by_subreddit.values())]:
        assert all(later - earlier >= least - 1e-6 for earlier, later in itertools.pairwise(times))
    assert {listing for _, listing in requests} == set(listings)


def test_projects_take_turns_however_many_listings_one_has() -> None:
    many = [Listing("greedy", f"sub{n}", "new") for n in range(50)]
    made = schedule(*many, interval=1.0)
    for listing in many[:10]:
        made.sent(listing, 0.0)
    made.plan("neighbour", [Listing("neighbour", "a", "new"), Listing("neighbour", "b", "new")], 300.0, 100.0)
    asked = []
    for now in range(101, 107):
        due = made.next(float(now))
        assert due is not None
        made.sent(due, float(now))
        made.read(due, float(now))
        asked.append(due.project_id)
    assert asked == ["neighbour", "greedy", "neighbour", "greedy", "greedy", "greedy"]
