"""`ports.CodeHost` over a GitHub on loopback whose answers are those that GitHub describes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from soulcaster.adapters.github.code_host import GitHubCodeHost, _pull_request
from soulcaster.errors import SourceLimited, SourceRefuses, SourceUnavailable
from tests.support.github_server import Fault, GitHubServer

TOKEN = "token-of-mona"  # noqa: S105
NOW = datetime(2026, 11, 1, tzinfo=UTC)


class Setting:
    """A GitHub with one repository, and the host as mona reaches it, who may push."""

    def __init__(self, server: GitHubServer) -> None:
        self.server = server
        self.waits: list[float] = []

    def host(self, token: str = TOKEN) -> GitHubCodeHost:
        return GitHubCodeHost(self.server.api_url, token, lambda: NOW, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.fixture
async def setting(tmp_path: Path) -> AsyncIterator[Setting]:
    async with GitHubServer(tmp_path, described=True) as server:
        server.token(TOKEN, "mona")
        server.add("acme/shop", {"a.py": "1\n"}, people={"mona": "write", "carl": "read"})
        server.git.commit("acme/shop", {"b.py": "2\n"}, branch="soulcaster/fix-1")
        yield Setting(server)


async def test_access_says_who_may_push_and_what_a_repository_is_called_now(setting: Setting) -> None:
    setting.server.token("token-of-carl", "carl")
    setting.server.token("ghs_app", "soulcaster[bot]", bot=True)
    setting.server.add("acme/empty")
    async with setting.host() as host:
        access = await host.access("acme/shop")
        assert (access.name, access.default_branch, access.private, access.may_push) == (
            "acme/shop",
            "main",
            False,
            True,
        )
        assert (await host.access("acme/empty")).default_branch == ""
        setting.server.rename("acme/shop", "acme/store")
        assert (await host.access("acme/shop")).name == "acme/store"
    async with setting.host("token-of-carl") as host:
        assert not (await host.access("acme/store")).may_push
    async with setting.host("ghs_app") as host:
        assert (await host.access("acme/store")).may_push


async def test_an_archived_repository_is_refused(setting: Setting) -> None:
    setting.server.repositories["acme/shop"].archived = True
    async with setting.host() as host:
        with pytest.raises(SourceRefuses, match="archived"):
            await host.access("acme/shop")


async def test_a_fork_is_waited_for(setting: Setting) -> None:
    setting.server.forks_are_late = 2
    async with setting.host() as host:
        fork = await host.fork("acme/shop")
        assert (fork.name, fork.default_branch, fork.may_push) == ("mona/shop", "main", True)
    assert len(setting.waits) == 2


async def test_an_app_is_told_that_it_cannot_fork(setting: Setting) -> None:
    setting.server.token("ghs_app", "soulcaster[bot]", bot=True)
    async with setting.host("ghs_app") as host:
        with pytest.raises(SourceRefuses, match="cannot fork"):
            await host.fork("acme/shop")


async def test_branches_are_found_and_deleted_any_number_of_times(setting: Setting) -> None:
    setting.server.add("acme/empty", people={"mona": "write"})
    async with setting.host() as host:
        assert await host.branch_commit("acme/shop", "main") == setting.server.git.branch("acme/shop", "main")
        assert await host.branch_commit("acme/shop", "none") is None
        assert await host.branch_commit("acme/empty", "main") is None
        await host.delete_branch("acme/shop", "soulcaster/fix-1")
        await host.delete_branch("acme/shop", "soulcaster/fix-1")
    assert list(setting.server.git.branches("acme/shop")) == ["main"]


async def test_a_draft_is_opened_found_and_updated(setting: Setting) -> None:
    async with setting.host() as host:
        assert await host.find("acme/shop", head="acme:soulcaster/fix-1") is None
        made = await host.open("acme/shop", head="acme:soulcaster/fix-1", base="main", title="A fix", body="Words")
        assert (made.number, made.state, made.draft, made.base) == (1, "open", True, "main")
        assert made.head_repository == "acme/shop"
        assert await host.find("acme/shop", head="acme:soulcaster/fix-1") == made
        assert await host.get("acme/shop", 1) == made
        await host.update("acme/shop", 1, body="Other words")
        setting.server.merge("acme/shop", 1)
        assert (await host.get("acme/shop", 1)).state == "merged"
    assert setting.server.pulls("acme/shop")[0].body == "Other words"


async def test_where_drafts_are_not_allowed_the_title_says_so(setting: Setting) -> None:
    setting.server.repositories["acme/shop"].drafts = False
    async with setting.host() as host:
        made = await host.open("acme/shop", head="acme:soulcaster/fix-1", base="main", title="A fix", body="Words")
    assert not made.draft
    assert setting.server.pulls("acme/shop")[0].title == "[Draft] A fix"


async def test_an_open_pull_request_comes_before_a_newer_closed_one(setting: Setting) -> None:
    async with setting.host() as host:
        for base in ("main", "next"):
            if base == "next":
                setting.server.git.git("acme/shop", "branch", "next", "main")
            await host.open("acme/shop", head="acme:soulcaster/fix-1", base=base, title="A fix", body="")
        setting.server.close("acme/shop", 2)
        found = await host.find("acme/shop", head="acme:soulcaster/fix-1")
    assert found is not None
    assert found.number == 1


async def test_a_second_pull_request_of_one_branch_is_refused_in_githubs_words(setting: Setting) -> None:
    async with setting.host() as host:
        await host.open("acme/shop", head="acme:soulcaster/fix-1", base="main", title="A fix", body="")
        with pytest.raises(SourceRefuses, match="already exists for acme:soulcaster/fix-1"):
            await host.open("acme/shop", head="acme:soulcaster/fix-1", base="main", title="A fix", body="")


async def test_a_comment_is_made_once_and_a_strangers_with_the_marker_does_not_count(setting: Setting) -> None:
    number = setting.server.add_issue("acme/shop", "carl", "A bug", "Words")["number"]
    for count in range(150):
        setting.server.add_comment("acme/shop", number, "carl", f"{count} <!-- soulcaster 1 -->")
    async with setting.host() as host:
        for _ in range(2):
            await host.comment("acme/shop", number, "Fixed.", marker="<!-- soulcaster 1 -->")
    bodies = [one["body"] for one in setting.server.repositories["acme/shop"].comments[number]]
    assert bodies[150:] == ["Fixed.\n\n<!-- soulcaster 1 -->"]


async def test_an_issue_is_opened_once_and_a_strangers_with_the_marker_does_not_count(setting: Setting) -> None:
    setting.server.add_issue("acme/shop", "carl", "Mine", "<!-- soulcaster job 1 --> <!-- soulcaster cluster 7 -->")
    assert [await ensure_issue(setting, job=1) for _ in range(2)] == [2, 2]


async def test_a_closed_issue_is_that_of_its_own_job_and_of_no_later_one(setting: Setting) -> None:
    first = await ensure_issue(setting, job=1)
    assert await ensure_issue(setting, job=2) == first, "the open issue of a cluster is that of all of its jobs"
    setting.server.repositories["acme/shop"].issues[first]["state"] = "closed"
    assert await ensure_issue(setting, job=1) == first
    assert await ensure_issue(setting, job=3) == first + 1


async def ensure_issue(setting: Setting, job: int) -> int:
    async with setting.host() as host:
        return await host.ensure_issue(
            "acme/shop",
            title="A bug",
            body="Words",
            marker=f"<!-- soulcaster job {job} -->",
            shared="<!-- soulcaster cluster 7 -->",
        )


async def test_access_says_whether_issues_are_turned_off(setting: Setting) -> None:
    async with setting.host() as host:
        assert (await host.access("acme/shop")).has_issues
        setting.server.repositories["acme/shop"].has_issues = False
        assert not (await host.access("acme/shop")).has_issues


@pytest.mark.parametrize(
    ("runs", "status", "expected"),
    [
        ((), None, "none"),
        (("success", "skipped"), None, "passed"),
        (("success", None), None, "pending"),
        ((None, "timed_out"), "success", "failed"),
        ((), "success", "passed"),
        (("success",), "pending", "pending"),
        ((), "error", "failed"),
    ],
)
async def test_checks_and_statuses_of_a_commit_are_one_state(
    setting: Setting, runs: tuple[str | None, ...], status: str | None, expected: str
) -> None:
    commit = setting.server.git.commit("acme/shop", {"c": "3"}, branch="x")
    for number, run in enumerate(runs):
        setting.server.add_check("acme/shop", commit, f"check {number}", run)
    if status is not None:
        setting.server.repositories["acme/shop"].statuses[commit] = status
    async with setting.host() as host:
        assert await host.checks("acme/shop", commit) == expected


async def test_only_people_with_write_permission_may_write_and_no_bot_whatever_its_name(setting: Setting) -> None:
    people = setting.server.repositories["acme/shop"].people
    people |= {"ada": "maintain", "tim": "triage", "robot": "admin"}
    setting.server.bots.add("robot")
    async with setting.host() as host:
        may = {
            login: await host.may_write("acme/shop", login)
            for login in ("mona", "ada", "tim", "carl", "robot", "x[bot]")
        }
    assert may == {"mona": True, "ada": True, "tim": False, "carl": False, "robot": False, "x[bot]": False}


async def test_reviews_come_with_their_comments_and_releases_with_their_time(setting: Setting) -> None:
    async with setting.host() as host:
        await host.open("acme/shop", head="acme:soulcaster/fix-1", base="main", title="A fix", body="")
        identity = setting.server.add_review(
            "acme/shop", 1, "carl", "CHANGES_REQUESTED", "Please", [("b.py", 3, "Why?")]
        )
        review = await host.review("acme/shop", 1, identity)
        assert (review.author, review.verdict, review.words) == ("carl", "changes_requested", "Please\n\nb.py:3: Why?")
        assert await host.latest_release("acme/shop") is None
        setting.server.add_release("acme/shop", "v1")
        release = await host.latest_release("acme/shop")
    assert release is not None
    assert (release.tag, release.published_at.date().isoformat()) == ("v1", "2026-11-01")


async def test_an_answer_in_another_form_is_an_error_of_ours(setting: Setting) -> None:
    odd = Fault(200, "An answer of another kind")
    setting.server.faults = {("GET", "/{repo}"): [odd], ("GET", "/pulls/{pull_number}"): [odd]}
    async with setting.host() as host:
        with pytest.raises(SourceUnavailable, match="no Repository"):
            await host.access("acme/shop")
        with pytest.raises(SourceUnavailable, match="no PullRequest"):
            await host.get("acme/shop", 1)


@pytest.mark.parametrize("time", ["soon", "2026-11-01T00:00:00", "9" * 5_000, "2026-11-01T00:00:00+99:99"])
def test_a_pull_request_has_times_with_a_zone(time: str) -> None:
    given = {"number": 1, "html_url": "https://github.com/a/b/pull/1", "state": "open"}
    given |= {end: {"label": "a:b", "ref": "b", "sha": "1"} for end in ("head", "base")}
    assert _pull_request({**given, "updated_at": "2026-11-01T00:00:00Z"}).updated_at == "2026-11-01T00:00:00Z"
    with pytest.raises(SourceUnavailable):
        _pull_request({**given, "updated_at": time})


async def test_reading_is_repeated_when_github_does_not_answer_and_opening_is_not(setting: Setting) -> None:
    setting.server.faults = {
        ("GET", "/{repo}"): [Fault(502), Fault(lost=True)],
        ("POST", "/pulls"): [Fault(502)],
    }
    async with setting.host() as host:
        assert (await host.access("acme/shop")).name == "acme/shop"
        with pytest.raises(SourceUnavailable, match="502"):
            await host.open("acme/shop", head="acme:soulcaster/fix-1", base="main", title="A fix", body="")
    assert [call.status for call in setting.server.calls if call.operation.endswith("/pulls")] == [502]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(429, "Too many", {"Retry-After": "30"}),
        Fault(403, "You have exceeded a secondary rate limit. Please wait.", {"Retry-After": "30"}),
        Fault(403, "API rate limit exceeded", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}),
        Fault(403, "You have exceeded a secondary rate limit."),
    ],
)
async def test_a_limited_call_is_made_again_after_the_wait_that_github_asks_for(setting: Setting, fault: Fault) -> None:
    setting.server.faults[("POST", "/pulls")] = [fault]
    async with setting.host() as host:
        await host.open("acme/shop", head="acme:soulcaster/fix-1", base="main", title="A fix", body="")
    assert setting.waits[0] >= 1
    assert len(setting.server.pulls("acme/shop")) == 1


@pytest.mark.parametrize(
    ("digits", "error"), [(13, SourceLimited), (14, SourceUnavailable), (5_000, SourceUnavailable)]
)
async def test_a_limit_of_any_length_is_an_error_of_ours(setting: Setting, digits: int, error: type[Exception]) -> None:
    setting.server.faults[("GET", "/{repo}")] = [Fault(429, "Too many", {"Retry-After": "9" * digits})] * 3
    async with setting.host() as host:
        with pytest.raises(error):
            await host.access("acme/shop")


async def test_a_long_limit_is_an_error_that_says_until_when(setting: Setting) -> None:
    setting.server.faults[("GET", "/{repo}")] = [Fault(429, "Too many", {"Retry-After": "1800"})]
    async with setting.host() as host:
        with pytest.raises(SourceLimited, match="2026-11-01T00:30:00"):
            await host.access("acme/shop")
    assert setting.waits == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(401, "Bad credentials"), "wrong or expired"),
        (Fault(403, "Resource not accessible by integration"), "permissions contents, pull requests and issues"),
        (Fault(404, "Not Found"), "has no access"),
        (Fault(409, "Git Repository is empty."), "409: Git Repository is empty"),
        (Fault(422, "Validation Failed", errors=[{"message": "No commits between main and x"}]), "No commits between"),
    ],
)
async def test_a_refusal_says_what_to_do_and_never_shows_the_token(setting: Setting, fault: Fault, words: str) -> None:
    setting.server.faults[("POST", "/pulls")] = [fault]
    async with setting.host() as host:
        with pytest.raises(SourceRefuses, match=words) as raised:
            await host.open("acme/shop", head="acme:soulcaster/fix-1", base="main", title="A fix", body="")
    assert TOKEN not in f"{raised.value} {raised.value.__cause__} {raised.value.__context__}"
