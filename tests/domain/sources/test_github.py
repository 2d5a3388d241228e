from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from soulcaster.domain.sources import Delete, Nothing, Upsert
from soulcaster.domain.sources.github import parse, parse_issue
from tests.support.captured import load

ISSUES = {"x-github-event": "issues"}


def delivery(**issue: Any) -> dict[str, Any]:
    payload: dict[str, Any] = deepcopy(load("github", "issue_opened").payload)
    payload["issue"] |= issue
    return payload


def test_webhook_and_rest_tell_the_same_of_an_issue() -> None:
    payload = load("github", "rest_issue").payload
    from_rest = parse_issue(payload)
    assert from_rest == parse({}, payload)
    assert from_rest == parse(ISSUES, load("github", "issue_opened").payload)
    assert isinstance(from_rest[0], Upsert)


@pytest.mark.parametrize("action", ["opened", "edited", "pinned", "typed", "an action of tomorrow", None])
def test_whatever_happened_the_issue_stands_there(action: str | None) -> None:
    payload = delivery() | {"action": action}
    assert parse(ISSUES, payload) == parse_issue(payload["issue"])


def test_an_issue_keeps_its_id_when_its_repository_is_renamed() -> None:
    payload = delivery(html_url="https://github.com/acme/store/issues/17")
    before, after = parse(ISSUES, delivery())[0], parse(ISSUES, payload)[0]
    assert isinstance(before, Upsert)
    assert isinstance(after, Upsert)
    assert before.external_id == after.external_id
    assert after.github_repo_url == "https://github.com/acme/store"


def test_the_repository_comes_from_wherever_it_stands() -> None:
    bare = delivery(html_url=None)
    (told,) = parse(ISSUES, delivery())
    assert isinstance(told, Upsert)
    without_address = replace(told, url=None)
    assert parse_issue(bare["issue"]) == (without_address,)
    del bare["issue"]["repository_url"]
    assert parse(ISSUES, bare) == (without_address,)


def test_a_repository_of_ones_own_github() -> None:
    (told,) = parse(ISSUES, delivery(html_url="https://git.example/acme/shop/issues/17"))
    assert isinstance(told, Upsert)
    assert told.github_repo_url == "https://git.example/acme/shop"


@pytest.mark.parametrize("action", ["deleted", "transferred"])
def test_what_is_gone(action: str) -> None:
    payload = delivery(user={"login": "renovate[bot]", "type": "Bot"}) | {"action": action}
    (outcome,) = parse(ISSUES, payload)
    assert isinstance(outcome, Delete)
    payload["issue"]["pull_request"] = {"url": "https://api.github.com/repos/acme/shop/pulls/17"}
    assert parse(ISSUES, payload) == (Nothing("a pull request"),)


@pytest.mark.parametrize("author", [{"login": "renovate[bot]"}, {"login": "helper", "type": "Bot"}])
def test_bots(author: dict[str, str]) -> None:
    assert parse(ISSUES, delivery(user=author)) == (Nothing("by a bot"),)


def test_a_deleted_comment_deletes_no_issue() -> None:
    payload = delivery() | {"action": "deleted", "comment": {"id": 1}}
    assert isinstance(parse({"x-github-event": "issue_comment"}, payload)[0], Upsert)
    assert isinstance(parse({}, payload)[0], Upsert)
