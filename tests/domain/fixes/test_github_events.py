"""What GitHub's webhooks say of pull requests of ours."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.fixes.github_events import (
    GITHUB_EVENTS,
    Addressed,
    ChecksCompleted,
    PullRequestSeen,
    ReleasePublished,
    ReviewSubmitted,
    parse,
)
from soulcaster.domain.fixes.pull_request_sight import PullRequestSight
from tests.support.anything import anything
from tests.support.code_hosts import BRANCH, REPOSITORY, URL
from tests.support.github_webhooks import (
    checks_event,
    comment_event,
    examples_or_skip,
    pull_request_event,
    release_event,
    review_event,
)
from tests.support.make import NOW


@pytest.mark.parametrize(
    ("action", "merged_at", "state"),
    [
        ("opened", None, "open"),
        ("ready_for_review", None, "open"),
        ("reopened", None, "open"),
        ("closed", None, "closed"),
        ("closed", NOW, "merged"),
    ],
)
def test_a_pull_request_is_what_the_payload_shows(action: str, merged_at: datetime | None, state: Any) -> None:
    found = parse("pull_request", pull_request_event(action, merged_at=merged_at))
    sight = PullRequestSight(state, NOW, merged_at=merged_at)
    assert found == PullRequestSeen(REPOSITORY, 12, URL, BRANCH, REPOSITORY, sight)


def test_a_pull_request_from_a_deleted_fork_has_no_head_repository() -> None:
    payload = pull_request_event()
    payload["pull_request"]["head"]["repo"] = None
    found = parse("pull_request", payload)
    assert isinstance(found, PullRequestSeen)
    assert found.head_repository is None


@pytest.mark.parametrize("of", ["check_suite", "check_run"])
def test_checks_are_those_of_a_branch(of: str) -> None:
    assert parse(of, checks_event(of)) == ChecksCompleted(REPOSITORY, BRANCH)
    assert parse(of, checks_event(of, branch="main")) is None
    assert parse(of, {**checks_event(of), "action": "requested"}) is None


def test_a_review_and_its_comments_name_the_same_review() -> None:
    expected = ReviewSubmitted(REPOSITORY, 12, BRANCH, 7, "ada")
    assert parse("pull_request_review", review_event()) == expected
    assert parse("pull_request_review_comment", review_event(comment=True)) == expected
    assert parse("pull_request_review", {**review_event(), "action": "dismissed"}) is None
    assert parse("pull_request_review_comment", {**review_event(comment=True), "action": "edited"}) is None


@pytest.mark.parametrize(
    "body", ["@soulcaster rename it", "Hm.\n@Soulcaster, please", "(@soulcaster)", "ping @soulcaster"]
)
def test_a_comment_addresses_us(body: str) -> None:
    assert parse("issue_comment", comment_event(body)) == Addressed(REPOSITORY, 12, 5, "ada", body)


@pytest.mark.parametrize(
    "body", ["rename it", "me@soulcaster.example", "@soulcaster-fan", "@soulcaster/team", "a@soulcaster"]
)
def test_other_comments_do_not(body: str) -> None:
    assert parse("issue_comment", comment_event(body)) is None


def test_comments_that_are_edited_or_on_issues_are_not_for_us() -> None:
    assert parse("issue_comment", {**comment_event(), "action": "edited"}) is None
    assert parse("issue_comment", {**comment_event(), "issue": {"number": 12}}) is None


def test_a_release_counts_when_it_is_published_for_everybody() -> None:
    assert parse("release", release_event(NOW)) == ReleasePublished(REPOSITORY, NOW)
    assert parse("release", release_event(NOW, action="created")) is None
    assert parse("release", release_event(NOW, prerelease=True)) is None


def test_what_an_event_of_ours_lacks_is_named() -> None:
    payload = pull_request_event()
    del payload["pull_request"]["updated_at"]
    with pytest.raises(ValueError, match=r"no pull_request\.updated_at"):
        parse("pull_request", payload)


@given(st.sampled_from([*sorted(GITHUB_EVENTS), "push"]), anything)
def test_no_payload_is_too_odd(event: str, payload: Any) -> None:
    assert parse(event, payload) is None


@given(st.data(), st.sampled_from([pull_request_event(), comment_event(), review_event(), release_event(NOW)]))
def test_a_payload_with_something_odd_in_it_is_read_or_refused(data: st.DataObject, payload: dict[str, Any]) -> None:
    odd = json.loads(json.dumps(payload))
    place = odd
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        place[key] = data.draw(anything)
        break
    for event in GITHUB_EVENTS:
        with suppress(ValueError):
            parse(event, odd)


def test_the_examples_that_github_publishes_are_read() -> None:
    published = examples_or_skip()
    for event in GITHUB_EVENTS:
        for payload in published[event]:
            assert parse(event, payload) is None or event == "release", "their branches are none of ours"
    ours = {event: [parse(event, _on_our_branch(one)) for one in published[event]] for event in GITHUB_EVENTS}
    repository, at = "Codertocat/Hello-World", datetime(2019, 5, 15, 15, 20, 33, tzinfo=UTC)
    assert ours["pull_request"][0] == PullRequestSeen(
        repository,
        2,
        f"https://github.com/{repository}/pull/2",
        BRANCH,
        repository,
        PullRequestSight("open", at),
    )
    assert {found.sight.state for found in ours["pull_request"] if isinstance(found, PullRequestSeen)} >= {
        "open",
        "closed",
    }
    assert ours["check_suite"][0] == ours["check_run"][1] == ChecksCompleted(repository, BRANCH)
    review = ours["pull_request_review"][0]
    assert isinstance(review, ReviewSubmitted)
    assert (review.review_id, review.author) == (237895671, "Codertocat")
    assert ours["pull_request_review_comment"][0] == review
    releases = [found for found in ours["release"] if isinstance(found, ReleasePublished)]
    assert releases
    assert all(found.published_at < NOW - timedelta(days=1) for found in releases)


def _on_our_branch(example: dict[str, Any]) -> Any:
    return json.loads(json.dumps(example).replace('"changes"', f'"{BRANCH}"'))
