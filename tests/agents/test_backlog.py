"""How far agents are behind, and when a worker counts as dead."""

from agents.runtime.backlog import Backlog, Behind, Look
from agents.runtime.progress import Position
from agents.runtime.stalls import STALL_SECONDS, Stalls
from tests.telemetry.test_liveness import Clock

RAW, ITEMS = ("feedback.raw", 0), ("feedback.items", 0)
AGENTS = {"normalize": ["feedback.raw"], "embed": ["feedback.items"], "project": ["feedback.items"]}
NOWHERE: dict[str, dict[tuple[str, int], Position]] = {"normalize": {}, "embed": {}, "project": {}}


def test_nothing_left_is_no_backlog() -> None:
    behind = Backlog(AGENTS).take(Look(100.0, {RAW: 5, ITEMS: 3}, {RAW: 5, ITEMS: 3}), NOWHERE)
    assert behind["normalize"] == Behind({"feedback.raw": 0}, 0.0, 0.0)


def test_after_a_start_with_a_backlog_kafka_is_asked_for_the_time_of_the_oldest_record_once() -> None:
    backlog = Backlog(AGENTS)
    look = Look(100.0, {RAW: 9}, {RAW: 4})
    assert backlog.unknown(look, NOWHERE) == {RAW: 4}
    backlog.learn(RAW, 4, 40.0)
    assert backlog.unknown(look, NOWHERE) == {}
    assert backlog.take(look, NOWHERE)["normalize"] == Behind({"feedback.raw": 5}, 60.0, 0.0)


def test_what_arrives_after_a_look_that_found_nothing_is_no_older_than_that_look() -> None:
    backlog = Backlog(AGENTS)
    long_ago = NOWHERE | {"normalize": {RAW: Position(5, 1.0)}}
    backlog.take(Look(100.0, {RAW: 5}, {RAW: 5}), long_ago)
    look = Look(105.0, {RAW: 7}, {RAW: 5})
    assert backlog.unknown(look, long_ago) == {}
    assert backlog.take(look, long_ago)["normalize"].backlog_seconds == 5.0


def test_who_works_through_a_backlog_is_as_far_behind_as_the_record_it_did_last() -> None:
    backlog = Backlog(AGENTS)
    look = Look(100.0, {RAW: 9}, {RAW: 4})
    at_work = NOWHERE | {"normalize": {RAW: Position(6, 70.0)}}
    assert backlog.unknown(look, at_work) == {}
    assert backlog.take(look, at_work)["normalize"] == Behind({"feedback.raw": 3}, 30.0, 0.0)


def test_a_position_from_before_the_partition_was_elsewhere_says_nothing() -> None:
    backlog = Backlog(AGENTS)
    stale = NOWHERE | {"normalize": {RAW: Position(6, 1.0)}}
    look = Look(100.0, {RAW: 9}, {RAW: 8})
    assert backlog.unknown(look, stale) == {RAW: 8}


def test_the_commit_of_a_shared_topic_is_the_age_of_the_agent_that_holds_it_up() -> None:
    backlog = Backlog(AGENTS)
    for at in (100.0, 130.0):
        project_is_done = NOWHERE | {"embed": {ITEMS: Position(2, 90.0)}, "project": {ITEMS: Position(9, 95.0)}}
        behind = backlog.take(Look(at, {ITEMS: 9}, {ITEMS: 2}), project_is_done)
    assert (behind["embed"].commit_age, behind["project"].commit_age) == (30.0, 0.0)
    assert (behind["embed"].lag, behind["project"].lag) == ({"feedback.items": 7}, {"feedback.items": 0})
    assert (behind["embed"].backlog_seconds, behind["project"].backlog_seconds) == (40.0, 0.0)


def test_a_commit_that_fails_although_all_is_done_is_everybodys() -> None:
    backlog = Backlog(AGENTS)
    done = NOWHERE | {"embed": {ITEMS: Position(9, 95.0)}, "project": {ITEMS: Position(9, 95.0)}}
    for at in (100.0, 130.0):
        behind = backlog.take(Look(at, {ITEMS: 9}, {ITEMS: 2}), done)
    assert (behind["embed"].commit_age, behind["project"].commit_age) == (30.0, 30.0)
    moved = backlog.take(Look(135.0, {ITEMS: 9}, {ITEMS: 4}), done)
    assert moved["embed"].commit_age == 0.0


def still(age: float) -> dict[str, Behind]:
    return {"embed": Behind({"feedback.items": 7}, age, age)}


def test_a_worker_that_stands_still_is_dead() -> None:
    clock = Clock()
    stalls = Stalls(clock)
    assert stalls.liveness().live
    clock.now += STALL_SECONDS + 10
    stalls.note(still(STALL_SECONDS - 1))
    assert stalls.liveness().live
    stalls.note(still(STALL_SECONDS + 1))
    dead = stalls.liveness()
    assert not dead.live
    assert dead.why == "there is lag, and nothing was committed for 181 s"
    assert dead.facts["lag"] == {"embed": 7}
    stalls.note(still(0.0))
    assert stalls.liveness().live


def test_waiting_is_not_standing_still_and_neither_is_the_time_after_it() -> None:
    clock = Clock()
    stalls = Stalls(clock)
    for _ in range(100):
        clock.now += 5
        stalls.excuse("it waits for redis")
        assert stalls.liveness().live
    assert stalls.liveness().facts["excuse"] == "it waits for redis"
    clock.now += 5
    stalls.note(still(500.0))  # Redis is back, and the batch under way is not committed yet
    assert stalls.liveness().live
    clock.now += STALL_SECONDS
    stalls.note(still(700.0))
    assert not stalls.liveness().live


def test_a_worker_at_which_nobody_looks_any_more_is_dead() -> None:
    clock = Clock()
    stalls = Stalls(clock)
    clock.now += STALL_SECONDS + 1
    assert not stalls.liveness().live
