"""The short form of `make faults`: several faults, one after the other, in one run with a small load."""

import random
from pathlib import Path

import pytest

from tests.faults.catalog import FAULTS
from tests.faults.fault import Fault, Outcome, run
from tests.faults.process_faults import WorkerKilled, WorkersComeAndGo
from tests.faults.results import Result, Results, sources, table
from tests.faults.site import SHORT, Site
from tests.faults.system_faults import RedisAway


class OneKill(WorkerKilled):
    kills = 1


class OneComesOneGoes(WorkersComeAndGo):
    turns, turn_seconds = 2, 3.0


class RedisAwayShortly(RedisAway):
    seconds = 3.0


class Several(Fault):
    number = 0
    name = "several"

    async def strike(self, site: Site, chance: random.Random) -> None:
        for fault in (OneKill(), RedisAwayShortly(), OneComesOneGoes()):
            await fault.strike(site, chance)


@pytest.mark.integration
async def test_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    outcome = await run(Several(), 1, SHORT, tmp_path / "run")
    assert outcome.clean, outcome.findings
    assert outcome.recovered is not None
    assert outcome.items > 50


def test_the_faults_of_the_issue_are_there() -> None:
    assert set(FAULTS) == set(range(1, 21))


def outcome(fault: int, seed: int, *, lost: int = 0, recovered: float | None = 3.0, stall: float = 1.0) -> Outcome:
    return Outcome(fault, seed, False, 1_000, lost, 0, 0, seed, stall, recovered, 0, 60.0, ())


def test_the_table_sums_what_must_be_0_and_shows_the_worst_of_the_rest() -> None:
    made = table(
        [outcome(1, 0, lost=2), outcome(1, 1, lost=3, recovered=12.4, stall=9.6), outcome(2, 0, recovered=None)],
        {1: "a", 2: "b", 3: "c"},
    )
    assert made.splitlines()[2:] == [
        "| 1. a | 2 | 2,000 | 5 | 0 | 0 | 1 | 10 s | 12 s |",
        "| 2. b | 1 | 1,000 | 0 | 0 | 0 | 0 | 1 s | never |",
        "| 3. c | 0 | | | | | | | |",
    ]


def test_a_clean_result_is_kept_and_another_one_is_made_again_with_other_code(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl")
    assert results.done("old") == set()
    results.add(Result(outcome(1, 0), "old", "2026-01-01"))
    results.add(Result(outcome(1, 1, lost=1), "old", "2026-01-02"))
    assert results.done("old") == {(1, 0), (1, 1)}
    assert results.done("new") == {(1, 0)}
    results.add(Result(outcome(1, 1), "new", "2026-01-03"))
    assert [(one.outcome.seed, one.outcome.lost, one.code) for one in results.newest()] == [
        (0, 0, "old"),
        (1, 0, "new"),
    ]
    assert sources(results.newest(), results.late()) == (
        "Runs by the hash of their code: 1 with old (2026-01-01), 1 with new (2026-01-03). "
        "Runs that recovered too late and were made again: 0."
    )


def test_a_late_result_is_made_again_and_counted(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl")
    results.add(Result(outcome(1, 0, recovered=55.0), "old", "2026-01-01"))
    assert results.done("old") == set()
    results.add(Result(outcome(1, 0, recovered=None, lost=1), "new", "2026-01-02"))
    assert results.done("new") == {(1, 0)}
    assert results.late() == 1
    results.add(Result(outcome(1, 0, recovered=15.0), "newer", "2026-01-03"))
    assert results.done("newest") == {(1, 0)}
    assert results.late() == 2
