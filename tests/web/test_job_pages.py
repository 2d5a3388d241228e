"""Jobs on the pages: the panel of a cluster, the lists, one job, its forms, and the log that a page follows."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import get_args

import pytest
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.domain.commands import ApproveFix, StartFix
from soulcaster.domain.events import ClusterPullRequest
from soulcaster.domain.fixes.document import Document
from soulcaster.domain.fixes.fix import FollowUp, Target
from soulcaster.domain.fixes.job_log import LogChunk
from soulcaster.domain.fixes.order import AgentOrder
from soulcaster.domain.fixes.outcome import FixOutcome, TestSummary
from soulcaster.domain.fixes.plan import PlannedFix, new_plan
from soulcaster.domain.fixes.pull_request_sight import PullRequestSight
from soulcaster.domain.lifecycle import JobState, JobStep, ends
from soulcaster.domain.members import Role
from soulcaster.errors import SourceRefuses, SourceUnavailable
from soulcaster.ports.repositories import BaseCommit
from soulcaster.services import job_log_reading
from soulcaster.services.log_archive import archive_key
from soulcaster.web.dependencies import DEPENDENCIES
from soulcaster.web.pages import jobs, outcomes
from soulcaster.web.pages.job_formatting import STATE_TEXTS
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.project_config import PolicyConfig, ProjectConfig, StoredConfig
from tests.support.answers import page
from tests.support.archive import MemoryArchive
from tests.support.make import NOW
from tests.support.web import FIXES, Client, World

PROJECT = "/app/projects/p1"
CLUSTER = f"{PROJECT}/clusters/c1"
JOB = f"{PROJECT}/jobs/j1"
HOSTILE = "<img src=x onerror=alert(1)>\x1b[31mred\x1b[0m\u202e"
ENDS = [state for state in get_args(JobState) if ends(state)]
UNDER_WAY = [state for state in get_args(JobState) if not ends(state)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "OUTCOME_SECONDS", 0)
    monkeypatch.setattr(job_log_reading, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(job_log_reading, "QUIET_SECONDS", 0.05)


def csrf(html: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', html)
    assert found
    return found[1]


def buttons(html: str) -> set[str]:
    return set(re.findall(r"<button[^>]*>(Start [a-z ]*fix|Cancel this job|Approve|Try again)</button>", html))


async def post(client: Client, path: str, **fields: str) -> str:
    """Send a form, and return the page that follows."""
    token = csrf(await page(await client.get("/app/projects")))
    return await page(await client.post(path, data={"csrf_token": token, **fields}))


def started(world: World) -> StartFix:
    """Return the only command that was published; it must start a fix."""
    [command] = [
        ClusterCommand.model_validate_json(message.value)
        for message in world.publisher.sent
        if message.topic == "cluster.commands"
    ]
    assert command.project_id == "p1"
    assert isinstance(command.command, StartFix)
    return command.command


async def print_log(world: World, *lines: str) -> None:
    chunks = [LogChunk("j1", None, NOW + timedelta(seconds=n), f"{line}\n", n) for n, line in enumerate(lines, 1)]
    await world.read_model.writer.put_job_logs("p1", chunks)


async def policy(world: World, *, repositories: tuple[str, ...] = (), **fields: object) -> None:
    config = ProjectConfig(repositories=repositories, policy=PolicyConfig.model_validate(fields))
    await world.read_model.writer.put_project_config("p1", StoredConfig(1, config))


@pytest.fixture
async def browser(world: World) -> AsyncIterator[Client]:
    """A client of a project with one cluster; nobody is signed in."""
    await world.fill()
    async with TestClient(TestServer(world.app(keyless=False))) as client:
        yield client


async def enter(world: World, client: Client, role: Role) -> None:
    await world.member("me", role)
    await sign_in(world, client, "me")


async def sign_in(world: World, client: Client, user: str) -> None:
    await world.sign_in.offer("link", user, seconds=60)
    assert (await client.get("/app/sign-in", params={"token": "link"})).status == 200


# ---- the panel of a cluster -----------------------------------------------------------------------------------------


async def test_before_the_first_fix_the_page_says_what_it_may_take(world: World, owner: Client) -> None:
    await world.fill()
    text = await page(await owner.get(CLUSTER))
    assert buttons(text) == {"Start fix"}
    assert "up to $5.00" in text
    assert "at most 1 h" in text
    assert "opens a draft pull request" in text
    assert '<option value="dry-run" selected>dry-run</option><option value="local">local</option>' in text
    assert "<script" not in text
    await policy(world, stop_at="branch", backend="local", job_usd=0.5)
    text = await page(await owner.get(CLUSTER))
    assert "up to $0.50" in text
    assert "pushes a branch" in text
    assert '<option value="local" selected>' in text


async def test_a_backend_that_is_not_set_up_is_named(world: World, owner: Client) -> None:
    await world.fill()
    await policy(world, backend="moon")
    text = await page(await owner.get(CLUSTER))
    assert "moon, which is not set up" in text
    assert "No fix was started. moon is not set up" in await post(owner, f"{CLUSTER}/start-fix")
    assert world.publisher.sent == []


async def test_a_fix_starts_on_the_backend_that_was_chosen(world: World, owner: Client) -> None:
    await world.fill()
    assert "Fix requested. Reload" in await post(owner, f"{CLUSTER}/start-fix", backend="local")
    command = started(world)
    assert (command.cluster_id, command.requested_by) == ("c1", "owner")
    assert (command.options.backend, command.approved) == ("local", True)
    assert "Fix requested" not in await page(await owner.get(CLUSTER))


async def test_why_no_fix_starts_is_said(world: World, owner: Client) -> None:
    await world.fill()
    world.publisher.outcome, world.publisher.reason = "refused", "the cluster is <gone>"
    assert "This was not done: the cluster is &lt;gone&gt;" in await post(owner, f"{CLUSTER}/start-fix")
    await policy(world, jobs_per_day=0)
    assert "No fix was started. The jobs of the last 24 hours" in await post(owner, f"{CLUSTER}/start-fix")
    await world.mark("c1", "muted")
    text = await post(owner, f"{CLUSTER}/start-fix")
    assert "No fix was started. This cluster is muted" in text
    assert buttons(text) == set()
    assert "Reopen it first" in text
    await world.fix("j1", "running")
    assert "No fix was started. A fix of this cluster is under way" in await post(owner, f"{CLUSTER}/start-fix")
    assert started(world).cluster_id == "c1", "the first request was published, and no other"


async def test_the_brief_is_shown_before_the_button_and_kept_with_the_job(world: World, owner: Client) -> None:
    await world.fill()
    text = await page(await owner.get(CLUSTER))
    brief = unescape(text.partition('aria-label="Brief">')[2].partition("</pre>")[0])
    assert brief == (await owner.app[DEPENDENCIES].briefs.compose("p1", "c1")).text
    assert "It has been two weeks now." in brief
    assert text.index("<summary>Brief, ") < text.index(">Start fix<")
    await world.read_model.writer.put_documents([Document("b1", "p1", "c1", "brief", f"as it was {HOSTILE}", NOW)])
    await world.fix("j1", "running", brief_id="b1")
    text = await page(await owner.get(JOB))
    assert "as it was &lt;img src=x" in text
    assert "It has been two weeks now." not in text
    await world.fix("j2", "running", brief_id="b2")
    assert "<summary>Brief" not in await page(await owner.get(f"{PROJECT}/jobs/j2"))


async def test_a_person_chooses_the_repository_where_it_is_not_clear(world: World, owner: Client) -> None:
    await world.fill()
    assert "name no repository" in await page(await owner.get(CLUSTER))
    await policy(world, repositories=("acme/app",))
    text = await page(await owner.get(CLUSTER))
    assert 'Repository: <span class="address">acme/app</span>' in text
    assert 'name="repository"' not in text
    await policy(world, repositories=("acme/app", "acme/site"))
    text = await page(await owner.get(CLUSTER))
    assert '<option value="">Choose the repository</option>' in text
    assert '<option value="acme/site">acme/site</option>' in text
    text = await post(owner, f"{CLUSTER}/start-fix", backend="local", repository="")
    assert "No fix was started. Say which repository the fix changes: acme/app, acme/site." in text
    assert "Say which" in await post(owner, f"{CLUSTER}/start-fix", backend="local", repository="evil/fork")
    assert world.publisher.sent == []
    await post(owner, f"{CLUSTER}/start-fix", backend="local", repository="acme/site")
    target = started(world).options.target
    assert target is not None
    assert target.repository == "acme/site"


class NoRepository:
    """A GitHub that refuses to show a repository, or does not answer."""

    def __init__(self, error: SourceRefuses | SourceUnavailable) -> None:
        self.error = error

    async def base(self, repository: str, *, branch: str | None, token: str | None) -> BaseCommit:
        raise self.error


@pytest.mark.parametrize("error", [SourceRefuses("No such repository."), SourceUnavailable("GitHub is away.")])
async def test_what_github_says_of_the_repository_is_said(
    world: World, error: SourceRefuses | SourceUnavailable
) -> None:
    await world.fill()
    await policy(world, repositories=("acme/app",))
    async with TestClient(TestServer(world.app(repositories=NoRepository(error)))) as client:
        await sign_in(world, client, "owner")
        assert f"No fix was started. {error}" in await post(client, f"{CLUSTER}/start-fix", backend="local")
    assert world.publisher.sent == []


@pytest.mark.parametrize("state", UNDER_WAY)
async def test_a_job_under_way_is_shown_with_its_log(world: World, owner: Client, state: JobState) -> None:
    await world.fill()
    target = Target("acme/app", "main", "a" * 40)
    await world.fix(
        "j1", state, backend="local", target=target, budget_usd=5.0, cost_usd=0.42, task="task <7>", log="a step"
    )
    await print_log(world, "one", "two")
    text = await page(await owner.get(CLUSTER))
    assert f">{STATE_TEXTS[state]}</span>" in text
    assert buttons(text) == {"Cancel this job", *(["Approve"] if state == "queued" else [])}
    for part in (
        "$0.42 of at most $5.00",
        "soulcaster/fix-c1-1",
        "acme/app, from main at aaaaaaaaaa",
        "task &lt;7&gt;",
    ):
        assert part in text
    assert "<code>a step</code><code>one</code><code>two</code>" in text
    assert f'data-follow="{JOB}/log" data-after="3.1"' in text
    assert '<script src="/app/static/job.js" defer></script>' in text
    assert f'data-facts="{JOB}/facts"' in text


@pytest.mark.parametrize("state", ENDS)
async def test_after_an_end_another_fix_may_start(world: World, owner: Client, state: JobState) -> None:
    await world.fill()
    await world.fix("j1", state, error="it broke", pr_url="https://github.com/a/b/pull/1", log="the end", minutes=3)
    text = await page(await owner.get(CLUSTER))
    assert f">{STATE_TEXTS[state]}</span>" in text
    assert buttons(text) == {"Start another fix"}
    assert '<p class="error">it broke</p>' in text
    assert 'href="https://github.com/a/b/pull/1"' in text
    assert "<code>the end</code>" in text
    assert "3 min, $0.00" in text
    assert f'href="{JOB}"' in text
    assert "<script" not in text


# ---- who may do what ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", get_args(JobState))
async def test_a_viewer_sees_jobs_and_no_button(world: World, browser: Client, state: JobState) -> None:
    await enter(world, browser, "viewer")
    await world.fix("j1", state)
    for path in (CLUSTER, JOB):
        text = await page(await browser.get(path))
        assert STATE_TEXTS[state] in text
        assert buttons(text) == set()


@pytest.mark.parametrize(
    ("approvers", "role", "may"), [("admin", "member", False), ("admin", "owner", True), ("launch", "member", True)]
)
async def test_who_may_approve(world: World, browser: Client, approvers: str, role: Role, may: bool) -> None:
    await policy(world, approvers=approvers)
    await enter(world, browser, role)
    text = await page(await browser.get(CLUSTER))
    assert ("An owner has to approve it first." in text) == (not may)
    await world.fix("j1", "queued")
    for path in (CLUSTER, JOB):
        text = await page(await browser.get(path))
        assert buttons(text) == {"Cancel this job", *(["Approve"] if may else [])}
    token = csrf(text)
    answer = await browser.post(f"{JOB}/approve", data={"csrf_token": token, "page": "job"})
    text = await page(answer, 200 if may else 403)
    if not may:
        assert world.publisher.sent == []
        return
    assert answer.url.path == JOB
    assert "Approved. Reload" in text
    [message] = world.publisher.sent
    command = ClusterCommand.model_validate_json(message.value).command
    assert isinstance(command, ApproveFix)
    assert (command.job_id, command.requested_by) == ("j1", "me")


async def test_what_cannot_be_approved_is_said(world: World, owner: Client) -> None:
    await world.fill()
    await world.fix("j1", "queued")
    world.publisher.outcome, world.publisher.reason = "refused", "it was cancelled"
    assert "This was not done: it was cancelled" in await post(owner, f"{JOB}/approve")
    await world.fix("j2", "running", minutes=-1)
    assert "does not wait for approval" in await post(owner, f"{PROJECT}/jobs/j2/approve")


async def test_what_a_member_starts_may_wait_for_an_owner(world: World, browser: Client) -> None:
    await policy(world, approvers="admin")
    await enter(world, browser, "member")
    await post(browser, f"{CLUSTER}/start-fix")
    assert not started(world).approved


# ---- cancel and retry -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", UNDER_WAY)
@pytest.mark.parametrize(("on", "shown"), [("cluster", CLUSTER), ("job", JOB)])
async def test_a_job_is_cancelled(world: World, owner: Client, state: JobState, on: str, shown: str) -> None:
    await world.fill()
    await world.fix("j1", state)
    token = csrf(await page(await owner.get(shown)))
    answer = await owner.post(f"{JOB}/cancel", data={"csrf_token": token, "page": on})
    text = await page(answer)
    assert answer.url.path == shown
    assert "The job is cancelled." in text
    assert "cancelled by owner" in text
    job = await world.read_model.jobs.get("j1")
    assert job is not None
    assert job.state == "cancelled"


async def test_what_has_ended_is_not_cancelled(world: World, owner: Client) -> None:
    await world.fill()
    await world.fix("j1", "succeeded")
    assert "The job has ended: it is success." in await post(owner, f"{JOB}/cancel")
    assert world.publisher.sent == []


async def test_a_job_of_another_project_is_not_here(world: World, owner: Client) -> None:
    await world.fill()
    await world.fill(project="p2", cluster="c2")
    await world.fix("j1", "running", project="p2", cluster="c2")
    token = csrf(await page(await owner.get(CLUSTER)))
    for form in ("cancel", "approve", "retry"):
        await page(await owner.post(f"{JOB}/{form}", data={"csrf_token": token}), 404)
    for path in (JOB, f"{JOB}/facts", f"{JOB}/log"):
        await page(await owner.get(path), 404)
    assert world.publisher.sent == []


async def test_another_try_makes_the_same_choices(world: World, owner: Client) -> None:
    await world.fill()
    plan = new_plan("p1", "c1", PlannedFix("Send it", "Find where it waits."), by="kim", at=NOW)
    newer = new_plan("p1", "c1", PlannedFix("Another", "Find where it waits."), by="kim", at=NOW)
    await world.read_model.writer.put_documents([plan.document(), newer.document()])
    await world.fix("j1", "dead", backend="local", stop_at="branch", plan_id=plan.id)
    assert buttons(await page(await owner.get(JOB))) == {"Try again"}
    assert "Fix requested" in await post(owner, f"{JOB}/retry")
    command = started(world)
    options = command.options
    assert (command.cluster_id, options.backend, options.stop_at, options.plan_id) == (
        "c1",
        "local",
        "branch",
        plan.id,
    )


async def test_a_recorded_job_is_tried_by_a_fix(world: World, owner: Client) -> None:
    await world.fill()
    await world.job("j1", "pending", "failed")
    assert "Recorded job" in await page(await owner.get(JOB))
    assert "Fix requested" in await post(owner, f"{JOB}/retry")
    assert started(world).cluster_id == "c1"


# ---- one job --------------------------------------------------------------------------------------------------------


async def test_one_job(world: World, owner: Client) -> None:
    await world.fill()
    await world.fix("j1", "publishing", cost_usd=1.5, budget_usd=5.0, minutes=70, log="a step")
    await print_log(world, "one")
    text = await page(await owner.get(JOB))
    assert "<h1>Fix 1</h1>" in text
    assert f'<a href="{CLUSTER}">Late card</a>' in text
    assert ">Opening the pull request</span>" in text
    assert "<dd>1 h 10 min</dd>" in text
    assert "<code>a step</code><code>one</code>" in text
    assert "requested by another person" in text
    facts = await page_part(owner, f"{JOB}/facts")
    assert ">Opening the pull request</span>" in facts
    assert "$1.50 of at most $5.00" in facts
    assert "<html" not in facts


async def page_part(client: Client, path: str) -> str:
    answer = await client.get(path)
    assert (answer.status, answer.content_type) == (200, "text/html")
    return await answer.text()


async def test_a_notice_is_not_taken_by_the_facts(world: World, owner: Client) -> None:
    await world.fill()
    await world.fix("j1", "succeeded")
    token = csrf(await page(await owner.get(CLUSTER)))
    await owner.post(f"{JOB}/cancel", data={"csrf_token": token}, allow_redirects=False)
    assert "The job has ended" not in await page_part(owner, f"{JOB}/facts")
    assert "The job has ended" in await page(await owner.get(JOB))


async def test_a_long_log_is_read_in_parts_without_the_script(
    world: World, owner: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LOG_BYTES", 4)
    await world.fill()
    await world.fix("j1", "succeeded")
    await print_log(world, "one", "two", "three")
    shown, path = [], JOB
    while path:
        text = await page(await owner.get(path))
        shown += re.findall(r"<code>(\w+)</code>", text)
        following = re.search(r'href="([^"]+)">More of the log</a>', text)
        path = unescape(following[1]) if following else ""
        assert ("job.js" in text) == bool(path)
    assert shown == ["one", "two", "three"]
    assert ">From the beginning</a>" in text


async def test_a_log_in_the_archive(world: World) -> None:
    await world.fill()
    await world.fix("j1", "failed", archive_url="memory:j1")
    archive = MemoryArchive()
    archive.put(archive_key("p1", "j1"), "kept\n")
    async with TestClient(TestServer(world.app(log_archive=archive))) as client:
        await sign_in(world, client, "owner")
        assert "<code>kept</code>" in await page(await client.get(JOB))
        archive.away = True
        assert "The archive of logs does not answer." in await page(await client.get(JOB))
        await page(await client.get(CLUSTER))


# ---- the live log ---------------------------------------------------------------------------------------------------


async def test_a_page_follows_a_log_to_its_end(world: World, owner: Client) -> None:
    await world.fill()
    await world.fix("j1", "succeeded", log="a step")
    await print_log(world, "one", f"two {HOSTILE}")
    async with owner.get(f"{JOB}/log", params={"after": "2.0"}) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        events = (await answer.text()).replace("\r\n", "\n")
    data = json.loads(re.findall(r"event: log\ndata: (.*)", events)[0])
    assert data == {"text": "a step\ntwo <img src=x onerror=alert(1)>red\n", "dropped": 0}
    assert "event: end" in events
    async with owner.get(f"{JOB}/log", headers={"Last-Event-ID": "3.1"}) as answer:
        assert "event: log" not in await answer.text()


async def test_a_log_is_followed_by_members_only(world: World, browser: Client) -> None:
    await world.fix("j1", "running")
    await print_log(world, "one")
    await page(await browser.get(f"{JOB}/log"), 401)
    await sign_in(world, browser, "stranger")
    for path in (f"{JOB}/log", f"{JOB}/facts", JOB):
        await page(await browser.get(path), 404)


async def test_the_script_is_served_and_allowed_where_it_is_used(world: World, owner: Client) -> None:
    answer = await owner.get("/app/static/job.js")
    assert answer.status == 200
    assert answer.content_type in {"text/javascript", "application/javascript"}
    await world.fill()
    for path, allowed in ((PROJECT, False), ("/jobs?project_id=p1", False), (CLUSTER, True)):
        assert ("script-src 'self'" in (await owner.get(path)).headers["Content-Security-Policy"]) == allowed


# ---- everybody's words ----------------------------------------------------------------------------------------------


async def test_what_jobs_print_is_text(world: World, owner: Client) -> None:
    await world.fill(title=HOSTILE)
    await world.fix("j1", "running", log=HOSTILE, error=HOSTILE, task=HOSTILE, pr_url="javascript:alert(1)")
    await world.fix("j2", "failed", log=HOSTILE, error=HOSTILE, pr_url="javascript:alert(1)", minutes=5)
    await print_log(world, HOSTILE)
    for path in (CLUSTER, JOB, f"{PROJECT}/jobs", "/app/jobs", f"{PROJECT}/jobs/j2"):
        text = await page(await owner.get(path))
        assert "<img src=x" not in text
        assert 'href="javascript:' not in text
        assert "&lt;img src=x onerror=alert(1)&gt;red" in text
    facts = await page_part(owner, f"{JOB}/facts")
    assert "<img src=x" not in facts
    assert "\x1b" not in facts
    for path in (CLUSTER, JOB):
        log = (await page(await owner.get(path))).partition('<pre class="log"')[2].partition("</pre>")[0]
        assert "&lt;img" in log
        assert not {"\x1b", "\u202e"} & set(log)


async def test_what_a_job_made_is_shown_as_text(world: World, owner: Client) -> None:
    await world.fill()
    outcome = FixOutcome(
        files=("a.py", HOSTILE),
        added=12,
        deleted=3,
        before=TestSummary("failed", 9, 1),
        after=TestSummary("passed", 11, flaky=2),
        shows_bug=True,
        flags=(HOSTILE, "the lock file changed"),
        blocked_hosts=("evil.example",),
        tokens_in=12_345,
        repository="kim/shop",
        commit="c" * 40,
    )
    await world.fix("j1", "succeeded", outcome=outcome)
    for path in (JOB, f"{JOB}/facts"):
        text = await page_part(owner, path)
        assert f"kim/shop at {'c' * 10}" in text
        for part in ("2 files, +12 ", "9 passed, 1 failed", "11 passed, 2 flaky", "evil.example", "12,345 in"):
            assert part in text
        assert "It fails without the change." in text
        assert "the lock file changed" in text
        assert "<img src=x" not in text
    await world.fix("j2", "failed", outcome=FixOutcome(before=TestSummary("none")))
    assert "there are none" in await page_part(owner, f"{PROJECT}/jobs/j2")


async def test_the_page_says_what_a_fix_needs(world: World, owner: Client) -> None:
    await world.fill()
    assert "No coding agent is set up" in await page(await owner.get(CLUSTER))
    agent = AgentOrder("opencode", "some-model", "openai", usd_per_million=(1.0, 2.0))
    fixes = replace(FIXES, agent=agent, price_known=True, keeps_tokens=True)
    async with TestClient(TestServer(world.app(fixes=fixes))) as client:
        await world.sign_in.offer("again", "owner", seconds=60)
        assert (await client.get("/app/sign-in", params={"token": "again"})).status == 200
        text = await page(await client.get(CLUSTER))
        assert "No coding agent is set up" not in text
        assert "no fix can start: add one" in text
        await policy(world, repositories=("acme/app",))
        assert "No fix was started. Nobody may push here" in await post(client, f"{CLUSTER}/start-fix", backend="local")


PULL = "https://github.com/acme/shop/pull/12"


@pytest.mark.parametrize(
    ("sight", "says", "badge"),
    [
        (PullRequestSight("open", NOW), "Open", "Pull request open"),
        (PullRequestSight("open", NOW, "failed"), "Open, its checks failed", "Pull request open"),
        (PullRequestSight("merged", NOW, merged_at=NOW), "Merged, waits for a release", "Pull request open"),
        (PullRequestSight("merged", NOW, merged_at=NOW, shipped_at=NOW), "Merged", "New"),
        (PullRequestSight("closed", NOW), "Closed without a merge", "New"),
    ],
)
async def test_cluster_and_job_show_what_became_of_the_pull_request(
    world: World, owner: Client, sight: PullRequestSight, says: str, badge: str
) -> None:
    await world.fill()
    await world.fix("j1", "succeeded", target=Target("acme/shop", "main", "a" * 40), pr_url=PULL)
    seen = JobStep("seen", "j1", "p1", "c1", 3, "succeeded", NOW, pr_sight=sight, offset=3)
    await world.read_model.writer.put_job_steps([seen])
    cluster = await page(await owner.get(CLUSTER))
    assert f'{PULL}" rel="noopener noreferrer">Open the pull request</a> <span class="muted">{says}</span>' in cluster
    assert f">{badge}<" in cluster
    job = await page(await owner.get(JOB))
    assert re.search(rf"<dt>Pull request</dt><dd>{re.escape(says)}[<,]", job)
    assert f"<span>{says}</span>" in await page(await owner.get(f"{PROJECT}/jobs"))


async def test_a_follow_up_says_whose_words_it_follows(world: World, owner: Client) -> None:
    await world.fill()
    follow_up = FollowUp(12, HOSTILE, HOSTILE, "soulcaster/fix-c1-1", PULL)
    await world.fix("j1", "running", target=Target("acme/shop", "main", "a" * 40), pr_url=PULL, follow_up=follow_up)
    text = await page(await owner.get(JOB))
    assert "pull request 12, as &lt;img" in text
    assert "<img src=x" not in text


async def test_the_history_of_a_cluster_has_its_pull_requests_with_links(world: World, owner: Client) -> None:
    await world.fill()
    merged = ClusterPullRequest("c1", "merged", f"acme/shop#12 is merged {HOSTILE}", PULL, NOW, "k1")
    closed = ClusterPullRequest("c1", "closed", "acme/shop#11 is closed", "javascript:alert(1)", NOW)
    await world.read_model.writer.apply("p1", [merged, closed])
    text = await page(await owner.get(CLUSTER))
    link = f'<a href="{PULL}" rel="noopener noreferrer">Pull request</a>'
    assert re.search(rf"The pull request was merged\.\s*{re.escape(link)}", text)
    assert "The pull request was closed without a merge." in text
    assert "javascript:" not in text
    assert "<img src=x" not in text
    assert re.findall(r'name="command_id" value="(\w+)"', text) == ["k1"]  # only what resolved the cluster is undone
