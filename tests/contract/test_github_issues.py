import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from soulcaster.adapters.github.issues import GitHubIssues
from soulcaster.domain.source_state import Position
from soulcaster.errors import SourceLimited, SourceRefuses, SourceUnavailable
from soulcaster.ports.issues import IssuesPage
from soulcaster.services.github_paging import MAX_PAGES, read_changes
from tests.support.github_issues import START, GitHub

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
REPOSITORY = "acme/shop"


@pytest.fixture
async def github() -> AsyncIterator[GitHub]:
    async with GitHub() as server:
        yield server


@pytest.fixture
async def issues(github: GitHub) -> AsyncIterator[GitHubIssues]:
    async with GitHubIssues(github.url, lambda: NOW, timeout=3) as client:
        yield client


class Reader:
    """Whoever syncs: what was accepted, and the position that was kept."""

    def __init__(self, issues: GitHubIssues, *, connected_at: datetime = START, token: str | None = None) -> None:
        self.issues = issues
        self.token = token
        self.position = Position(connected_at)
        self.accepted: list[Any] = []
        self.too_large = 0
        self.dies_after: int | None = None
        self.now = datetime.max.replace(tzinfo=UTC)

    @property
    def newest(self) -> dict[int, str]:
        """Return the newest title accepted of each issue."""
        versions: dict[int, tuple[str, str]] = {}
        for issue in self.accepted:
            version = (issue["updated_at"], issue["title"])
            versions[issue["number"]] = max(version, versions.get(issue["number"], version))
        return {number: title for number, (_, title) in versions.items()}

    async def sync(self) -> bool:
        async def accept(page: IssuesPage) -> None:
            self.accepted += page.issues
            self.too_large += page.too_large

        async def keep(position: Position) -> None:
            if self.dies_after is not None:
                self.dies_after -= 1
                if self.dies_after < 0:
                    raise asyncio.CancelledError
            self.position = position

        return await read_changes(
            self.issues, REPOSITORY, self.position, now=self.now, token=self.token, accept=accept, keep=keep
        )


async def test_a_thousand_issues_come_once_each_while_some_are_edited(github: GitHub, issues: GitHubIssues) -> None:
    for number in range(1000):
        github.put(number)
    github.put(1000, pull_request={"url": "..."})
    edits = iter(range(0, 1000, 90))

    def edit() -> None:
        number = next(edits, None)
        if number is not None:
            github.put(number, title=f"edited {number}", after=timedelta(hours=1))

    reader = Reader(issues, connected_at=github.now + timedelta(hours=1))  # what was before is not read a second time
    github.before_each = edit
    assert await reader.sync()
    assert await reader.sync()
    assert reader.newest == {number: issue["title"] for number, issue in github.issues.items()}
    assert sum(title.startswith("edited") for title in reader.newest.values()) >= 11


async def test_an_issue_of_the_future_hides_no_later_change(github: GitHub, issues: GitHubIssues) -> None:
    github.put(1)
    reader = Reader(issues)
    await reader.sync()
    reader.now = github.now + timedelta(hours=1)
    github.put(2, after=timedelta(days=9_999))
    await reader.sync()
    position = reader.position
    assert position.since is not None
    assert position.since <= reader.now
    reader.position = replace(position, since=reader.now + timedelta(days=9_999))  # an older version kept that
    await reader.sync()
    assert reader.position.since == reader.now


async def test_after_being_cut_off_anywhere_it_goes_on_from_the_last_page(github: GitHub, issues: GitHubIssues) -> None:
    for number in range(450):
        github.put(number)
    reader = Reader(issues)
    for pages in (0, 1, 0, 2):
        reader.dies_after = pages
        with pytest.raises(asyncio.CancelledError):
            await reader.sync()
    reader.dies_after = None
    calls = len(github.calls)
    assert await reader.sync()
    assert len(github.calls) - calls <= 3  # what was kept is not read from the beginning
    assert reader.newest == {number: issue["title"] for number, issue in github.issues.items()}


async def test_the_first_sync_takes_what_is_open_and_the_next_every_change(
    github: GitHub, issues: GitHubIssues
) -> None:
    github.put(1, state="closed")
    github.put(2)
    reader = Reader(issues, connected_at=github.now + timedelta(hours=1))
    await reader.sync()
    assert [issue["number"] for issue in reader.accepted] == [2]
    github.put(2, after=timedelta(hours=2), state="closed")
    await reader.sync()
    assert reader.accepted[-1]["state"] == "closed"
    assert 1 not in reader.newest


async def test_a_repository_without_open_issues_is_known_from_then_on(github: GitHub, issues: GitHubIssues) -> None:
    github.put(1, state="closed")
    reader = Reader(issues, connected_at=github.now + timedelta(hours=1))
    assert await reader.sync()
    assert await reader.sync()
    assert reader.accepted == []


async def test_a_page_of_one_time_is_gone_on_from_by_its_link(github: GitHub, issues: GitHubIssues) -> None:
    for number in range(350):
        github.put(number, after=timedelta(0))
    reader = Reader(issues)
    assert await reader.sync()
    assert len(reader.newest) == 350


async def test_what_is_unchanged_is_not_read_again_by_who_has_a_token(github: GitHub, issues: GitHubIssues) -> None:
    github.token = secrets.token_hex(8)
    github.put(1)
    reader = Reader(issues, token=github.token)
    for _ in range(4):
        assert await reader.sync()
    assert github.statuses[-1] == 304
    assert set(github.authorizations) == {f"Bearer {github.token}"}
    count = len(reader.accepted)
    github.put(1, title="changed", after=timedelta(hours=1))
    assert await reader.sync()
    assert reader.newest == {1: "changed"}
    assert len(reader.accepted) == count + 1


async def test_without_a_token_a_304_would_be_counted_so_it_is_not_asked_for(
    github: GitHub, issues: GitHubIssues
) -> None:
    github.put(1)
    reader = Reader(issues)
    for _ in range(4):
        await reader.sync()
    assert set(github.statuses) == {200}


async def test_more_than_a_sync_may_read_is_read_by_the_next(
    github: GitHub, issues: GitHubIssues, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soulcaster.services.github_paging.MAX_PAGES", 2)
    assert MAX_PAGES > 2
    for number in range(450):
        github.put(number)
    reader = Reader(issues)
    assert not await reader.sync()
    assert not await reader.sync()
    assert await reader.sync()
    assert len(reader.newest) == 450


@pytest.mark.parametrize(
    ("status", "headers", "body", "until"),
    [
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW.timestamp()) + 90)}, "", 90),
        (429, {"Retry-After": "30"}, "", 30),
        (403, {"Retry-After": "5"}, "", 5),
        (403, {}, "You have exceeded a secondary rate limit.", 60),
        (429, {}, "", 60),
        (429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "0"}, "", 0),
        (429, {"Retry-After": "9" * 5_000}, "", 86_400),
        (429, {"Retry-After": "٣"}, "", 60),
        (429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 5_000}, "", 86_400),
    ],
)
async def test_a_limit_says_until_when(
    github: GitHub, issues: GitHubIssues, status: int, headers: dict[str, str], body: str, until: int
) -> None:
    github.answers = [web.json_response({"message": body}, status=status, headers=headers)]
    with pytest.raises(SourceLimited) as raised:
        await Reader(issues).sync()
    assert raised.value.until == NOW + timedelta(seconds=until)


@pytest.mark.parametrize("status", [401, 403, 404, 410, 451])
async def test_what_needs_somebody_is_refused(github: GitHub, issues: GitHubIssues, status: int) -> None:
    github.answers = [web.json_response({"message": "no"}, status=status)]
    with pytest.raises(SourceRefuses, match=str(status)):
        await Reader(issues).sync()


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=500),
        web.Response(text="<html>"),
        web.Response(text='{"message": "hello"}'),
        web.Response(text="[" * 100_000),
    ],
)
async def test_what_is_no_list_of_issues_is_as_good_as_no_answer(
    github: GitHub, issues: GitHubIssues, answer: web.Response
) -> None:
    github.answers = [answer]
    with pytest.raises(SourceUnavailable):
        await Reader(issues).sync()


@pytest.mark.parametrize(
    ("following", "why"),
    [
        ("http://127.0.0.1:9/repos/acme/shop/issues?page=2", "is on another server"),
        ("file:///etc/passwd", "is on another server"),
        ("mailto:a@b", "is on another server"),
        ("http://[::", "has no address"),
        ("http://a:99999/", "has no address"),
    ],
)
async def test_a_link_to_another_server_or_to_none_is_not_followed_with_our_token(
    github: GitHub, issues: GitHubIssues, following: str, why: str
) -> None:
    github.put(1)
    github.answers = [web.json_response([], headers={"Link": f'<{following}>; rel="next"'})]
    with pytest.raises(SourceUnavailable, match=f"next page {why}"):
        await Reader(issues).sync()


async def test_a_github_that_is_not_there_does_not_answer() -> None:
    async with GitHubIssues("http://127.0.0.1:9", lambda: NOW) as issues:
        with pytest.raises(SourceUnavailable, match="does not answer"):
            await Reader(issues).sync()


async def test_issues_without_a_time_do_not_hold_up_the_others(github: GitHub, issues: GitHubIssues) -> None:
    github.put(1, updated_at="2026-03-09T00:00:00Z")
    github.answers = [web.json_response([{"number": 7}, None, {"updated_at": "yesterday"}, github.issues[1]])]
    reader = Reader(issues)
    assert await reader.sync()
    assert len(reader.accepted) == 4


@pytest.mark.parametrize("told", ["0001-01-01T00:00:00+00:00", "0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59Z"])
async def test_an_issue_from_before_there_was_software_holds_up_no_sync(
    github: GitHub, issues: GitHubIssues, told: str
) -> None:
    """Not even where the first page has no other, and another page follows it."""
    for number in range(150):
        github.put(number)
    following = f"{github.url}/repos/{REPOSITORY}/issues?state=open&sort=updated&direction=asc&per_page=100&page=1"
    page = [{**github.issues[1], "updated_at": told}]
    github.answers = [web.json_response(page, headers={"Link": f'<{following}>; rel="next"'})]
    reader = Reader(issues)
    assert await reader.sync()
    assert reader.newest.keys() == github.issues.keys()


@pytest.fixture
async def frugal(github: GitHub) -> AsyncIterator[GitHubIssues]:
    """Reads few bytes of a page."""
    async with GitHubIssues(github.url, lambda: NOW, timeout=10, most_bytes=20_000) as client:
        yield client


async def test_a_page_that_is_too_large_is_read_in_smaller_ones(github: GitHub, frugal: GitHubIssues) -> None:
    for number in range(1, 131):
        github.put(number, body="x" * (3_000 if number % 40 == 7 else 100))
    reader = Reader(frugal)
    assert await reader.sync()
    assert reader.newest.keys() == github.issues.keys()
    assert reader.too_large == 0
    assert {call.query["per_page"] for call in github.calls} >= {"100", "25"}


async def test_smaller_pages_of_one_time_are_gone_on_from_by_their_links(github: GitHub, frugal: GitHubIssues) -> None:
    for number in range(1, 121):
        github.put(number, after=timedelta(0), body="x" * 100)
    reader = Reader(frugal)
    assert await reader.sync()
    assert reader.newest.keys() == github.issues.keys()


@pytest.mark.parametrize("large", [{1}, {7, 8}, {30}, {1, 15, 30}])
async def test_an_issue_that_is_too_large_is_passed_over_and_counted(
    github: GitHub, frugal: GitHubIssues, large: set[int]
) -> None:
    for number in range(1, 31):
        github.put(number, body="x" * (30_000 if number in large else 100))
    reader = Reader(frugal)
    assert await reader.sync()
    assert reader.newest.keys() == github.issues.keys() - large
    assert reader.too_large >= len(large)
    assert await reader.sync()
    github.put(31)
    assert await reader.sync()
    assert 31 in reader.newest
