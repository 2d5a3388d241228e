from datetime import UTC, datetime, timedelta

from soulcaster.domain.source_state import MAX_ERROR, Position, RepositoryState, SourceStatus, github_report

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def state(name: str, status: SourceStatus = "ok", *, error: str | None = None, minutes: int = 0) -> RepositoryState:
    at = NOW + timedelta(minutes=minutes)
    return RepositoryState(name, Position(NOW, at), status, at, at, error, None if error is None else at)


def test_nothing_was_read_yet() -> None:
    assert github_report([], ["acme/shop"]) is None


def test_the_worst_counts_and_what_is_blocked_is_told_first() -> None:
    states = [
        state("acme/a", error="was away", minutes=3),
        state("acme/b", "failing", error="is away", minutes=1),
        state("acme/c", "blocked", error="not there", minutes=2),
    ]
    report = github_report(states, ["acme/a", "ACME/b", "acme/C"])
    assert report is not None
    assert (report.status, report.last_error) == ("blocked", "acme/c: not there; acme/b: is away")
    assert (report.polled_at, report.last_error_at) == (NOW + timedelta(minutes=3), NOW + timedelta(minutes=2))
    assert report.cursor["acme/b"] == "2026-11-21T12:01:00+00:00"


def test_the_last_error_stays_when_all_is_well() -> None:
    report = github_report(
        [state("acme/a", error="older"), state("acme/b", error="newer", minutes=1)], ["acme/a", "acme/b"]
    )
    assert report is not None
    assert (report.status, report.last_error) == ("ok", "acme/b: newer")


def test_what_is_not_wanted_any_more_troubles_nobody() -> None:
    report = github_report([state("acme/a", "blocked", error="gone")], [])
    assert report is not None
    assert (report.status, report.last_error, report.polled_at) == ("ok", None, NOW)


def test_of_very_many_errors_the_beginning_is_told() -> None:
    names = [f"acme/{n}" for n in range(100)]
    report = github_report([state(name, "blocked", error="x" * 100) for name in names], names)
    assert report is not None
    assert report.last_error is not None
    assert len(report.last_error) == MAX_ERROR
