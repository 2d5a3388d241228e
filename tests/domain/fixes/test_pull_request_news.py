"""Which jobs a pull request is of, and what is new about it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from soulcaster.domain.fixes.fix import Fix, FixOptions, Target
from soulcaster.domain.fixes.github_events import PullRequestSeen
from soulcaster.domain.fixes.outcome import FixOutcome
from soulcaster.domain.fixes.pull_request_news import Note, is_of, notes, pull_request_of, shipped
from soulcaster.domain.fixes.pull_request_sight import PullRequestSight, after
from soulcaster.domain.lifecycle import Job
from tests.support.make import NOW

URL = "https://github.com/acme/shop/pull/12"
BRANCH = "soulcaster/fix-c1-1"
OPEN = PullRequestSight("open", NOW)
SEEN = PullRequestSeen("acme/shop", 12, URL, BRANCH, "acme/shop", OPEN)
LATER = NOW + timedelta(minutes=5)
MERGED = PullRequestSight("merged", LATER, merged_at=LATER)


def job(pr_url: str | None = URL, *, pushed_to: str | None = None, launch: int = 1) -> Job:
    fix = Fix(
        "j", "c1", "t", "kim", NOW, branch=BRANCH, options=FixOptions(target=Target("acme/shop", "main", "a" * 40))
    )
    outcome = FixOutcome(repository=pushed_to)
    return Job("j", "p1", "c1", "running", 1, NOW, NOW, pr_url, launch=launch, fix=fix, outcome=outcome)


def test_a_pull_request_is_that_which_the_job_has_reported() -> None:
    assert is_of(SEEN, job())
    assert is_of(replace(SEEN, repository="Acme/Shop", head_repository="bot/shop"), job())
    assert pull_request_of(job()) == ("acme/shop", 12)


@pytest.mark.parametrize(
    "other",
    [
        {"number": 13},
        {"number": 13, "head_repository": "stranger/shop"},
        {"repository": "acme/other"},
        {"branch": "soulcaster/fix-c2-1"},
    ],
)
def test_another_pull_request_is_not(other: dict[str, object]) -> None:
    assert not is_of(replace(SEEN, **other), job())  # type: ignore[arg-type]


def test_where_the_report_was_lost_the_branch_must_be_in_the_repository_that_the_job_pushed_to() -> None:
    assert is_of(SEEN, job(None))
    assert not is_of(replace(SEEN, head_repository="stranger/shop"), job(None))
    assert not is_of(replace(SEEN, head_repository=None), job(None))
    assert is_of(replace(SEEN, head_repository="bot/shop"), job(None, pushed_to="bot/shop"))
    assert not is_of(SEEN, job(None, pushed_to="bot/shop"))
    assert not is_of(SEEN, job(None, launch=0))


@pytest.mark.parametrize(
    "url",
    [None, "https://github.com/acme/other/pull/12", "https://github.com/acme/shop/issues/12", "acme/shop#12"],
)
def test_what_a_job_reports_is_a_pull_request_of_its_repository_or_none(url: str | None) -> None:
    assert pull_request_of(job(url)) is None
    assert pull_request_of(replace(job(), fix=None)) is None


def test_what_is_new() -> None:
    closed = PullRequestSight("closed", LATER)
    assert notes(None, OPEN) == [Note("opened", NOW, "", resolves=False)]
    assert notes(OPEN, replace(OPEN, as_of=LATER, checks="failed")) == []
    assert notes(OPEN, closed) == [Note("closed", LATER, NOW.isoformat(), resolves=False)]
    again = PullRequestSight("open", LATER + timedelta(minutes=1))
    assert notes(closed, again) == [Note("reopened", again.as_of, LATER.isoformat(), resolves=False)]


def test_a_merge_resolves_at_once_or_waits_for_the_release_that_follows() -> None:
    at_once = shipped(MERGED, "merge")
    assert at_once.shipped_at == LATER
    assert notes(OPEN, at_once) == [Note("merged", LATER, "", resolves=True)]
    waiting = shipped(MERGED, "release")
    assert waiting.shipped_at is None
    assert notes(OPEN, waiting) == [Note("merged", LATER, "", resolves=False)]
    released = after(waiting, replace(waiting, shipped_at=LATER + timedelta(days=1)))
    assert notes(waiting, released) == [Note("released", LATER + timedelta(days=1), "", resolves=True)]
    assert [note.news for note in notes(OPEN, released)] == ["merged", "released"]
    assert notes(released, released) == []
