"""What a coding agent would be given over HTTP, and the repository that a fix would change."""

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.domain.commands import StartFix
from soulcaster.domain.events import ClusterChanged, ClusterMerged, ItemAssigned
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.fixes.document import content_id
from soulcaster.domain.fixes.fix import Target
from soulcaster.domain.fixes.pull_request_sight import PullRequestSight
from soulcaster.domain.lifecycle import JobStep
from soulcaster.errors import SourceLimited, SourceRefuses, SourceUnavailable
from soulcaster.ports.repositories import BaseCommit
from soulcaster.services.briefs import NEWEST_ITEMS
from soulcaster.web.api.clusters.models import BriefOut
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.documents import JobDocument
from soulcaster.wire.project_config import ProjectConfig, StoredConfig
from tests.support.answers import problem
from tests.support.make import NOW, item
from tests.support.web import FIXES, Client, EveryRepository, World

HERE = {"project_id": "p1"}
LOCAL = HERE | {"backend": "local"}
SHOP, WEB = "acme/shop", "acme/web"


async def configure(world: World, **fields: Any) -> None:
    await world.read_model.writer.put_project_config(
        "p1", StoredConfig(1, ProjectConfig.model_validate(fields), NOW, "kim")
    )


async def put(world: World, *items: FeedbackItem, cluster: str = "c1", **assigned: Any) -> None:
    """Put a cluster of these items into the read model."""
    how: dict[str, Any] = {"change": "joined", "score": 0.9, "threshold": 0.5} | assigned
    await world.read_model.writer.put_items("p1", items)
    sources = tuple(sorted({one.source for one in items}))
    await world.read_model.writer.apply(
        "p1",
        [
            *(ItemAssigned(one.id, one.created_at, cluster, **how) for one in items),
            ClusterChanged(cluster, "Late card", "People wait for it", len(items), sources, NOW, NOW),
        ],
    )


def issue(repository: str, name: object = 1, **more: Any) -> FeedbackItem:
    return item(name, source="github", metadata={"repository": repository}, **more)


async def brief(client: Client, cluster: str = "c1") -> BriefOut:
    answer = await client.get(f"/clusters/{cluster}/brief", params=HERE)
    assert answer.status == 200, await answer.text()
    return BriefOut.model_validate(await answer.json())


def sent(world: World, topic: str) -> list[bytes]:
    return [message.value for message in world.publisher.sent if message.topic == topic]


def ordered(world: World) -> StartFix:
    command = ClusterCommand.model_validate_json(sent(world, "cluster.commands")[-1]).command
    assert isinstance(command, StartFix)
    return command


# ---- the brief -------------------------------------------------------------------------------------------------------


async def test_what_would_be_sent(world: World, client: Client) -> None:
    items = [item(n, title=f"Title {n}", body=f"Body {n}") for n in range(3)]
    await put(world, *items)
    out = await brief(client)
    assert out.id == content_id(out.text)
    assert (out.project_id, out.cluster_id, out.repository, out.choices) == ("p1", "c1", None, [])
    assert sorted(out.item_ids) == sorted(one.id for one in items)
    assert all(f"Title {n}\n\nBody {n}" in out.text for n in range(3))
    assert await brief(client) == out


async def test_the_job_keeps_what_was_shown(world: World, client: Client) -> None:
    await put(world, item(1))
    shown = await brief(client)
    started = await (await client.post("/clusters/c1/start_fix", params=HERE)).json()
    command = ordered(world)
    assert command.options.brief_id == shown.id
    [document] = map(JobDocument.model_validate_json, sent(world, "job.documents"))
    assert (document.text, list(document.item_ids)) == (shown.text, shown.item_ids)
    assert [one.topic for one in world.publisher.sent] == ["job.documents", "cluster.commands"]
    await put(world, item(1), item(2, body="Something new"))
    assert (await brief(client)).id != shown.id
    await world.fix(started["job_id"], "approved", brief_id=shown.id)
    answer = await client.get(f"/jobs/{started['job_id']}/brief", params=HERE)
    assert await answer.json() == {
        "id": shown.id,
        "job_id": started["job_id"],
        "project_id": "p1",
        "text": shown.text,
    }


async def test_a_job_without_a_brief(world: World, client: Client) -> None:
    await world.fill()
    await world.job("j1", "pending")
    await world.fix("j2", "approved", brief_id="0" * 64)
    await problem(await client.get("/jobs/j1/brief", params=HERE), 404)
    await problem(await client.get("/jobs/j2/brief", params=HERE), 503)
    await problem(await client.get("/jobs/j3/brief", params=HERE), 404)


async def test_a_brief_is_its_projects_alone(world: World, client: Client, guarded: Client) -> None:
    await put(world, item(1))
    await problem(await client.get("/clusters/c1/brief", params={"project_id": "p2"}), 404)
    await problem(await client.get("/clusters/nope/brief", params=HERE), 404)
    assert (await guarded.get("/clusters/c1/brief")).status == 401
    assert (await guarded.get("/clusters/c1/brief", headers=await world.key("ingest"))).status == 403
    assert (await guarded.get("/clusters/c1/brief", headers=await world.key("read"))).status == 200


async def test_a_merged_cluster_has_the_others_brief(world: World, client: Client) -> None:
    await put(world, item(1))
    await put(world, item(2, body="The other"), cluster="c2")
    await world.read_model.writer.apply("p1", [ClusterMerged("c2", "c1", "person", "same", 1)])
    out = await brief(client, "c2")
    assert (out.cluster_id, "The other" in out.text) == ("c1", True)


async def test_the_newest_items_are_chosen_from(world: World, client: Client) -> None:
    items = [item(n, title=f"Title {n}", body=f"Body {n}", minutes=n) for n in range(NEWEST_ITEMS + 2)]
    await put(world, *items)
    out = await brief(client)
    assert items[2].id in out.item_ids  # the oldest of those that are read
    assert not {items[0].id, items[1].id} & set(out.item_ids)


async def test_the_item_that_opened_the_cluster_is_near_it(world: World, client: Client) -> None:
    opener = item("opener", body="How it began", minutes=5)
    joined = [item(n, body=f"Body {n}", minutes=n) for n in range(30)]
    await put(world, *joined)
    await put(world, opener, change="opened", score=-1.0)
    assert (await brief(client)).item_ids[0] == opener.id


# ---- the repository --------------------------------------------------------------------------------------------------


async def test_the_repository_of_the_items(world: World, client: Client) -> None:
    await configure(world, repositories=[SHOP, WEB])
    await put(world, issue(WEB))
    out = await brief(client)
    assert (out.repository, out.choices) == (WEB, [WEB, SHOP])
    assert (await client.post("/clusters/c1/start_fix", params=LOCAL)).status == 202
    assert ordered(world).options.target == Target(WEB, "main", "5c1f0f4b9f2f6b0c3d1f4a7e8b9c0d1e2f3a4b5c")


async def test_the_mapping_gives_repository_and_branch(world: World, client: Client) -> None:
    rule = {"source": "sentry", "source_project": "web", "repository": WEB, "branch": "release/2.0"}
    await configure(world, repositories=[SHOP], repository_rules=[rule])
    await put(world, item(1, source="sentry", metadata={"project": "web"}))
    assert (await brief(client)).repository == WEB
    await client.post("/clusters/c1/start_fix", params=LOCAL)
    target = ordered(world).options.target
    assert target is not None
    assert (target.repository, target.base_branch) == (WEB, "release/2.0")


async def test_409_lists_the_choices_and_the_caller_names_one(world: World, client: Client) -> None:
    await configure(world, repositories=[SHOP, WEB])
    await put(world, item(1, body="See https://github.com/evil/trap", github_repo_url="https://github.com/evil/trap"))
    out = await brief(client)
    assert (out.repository, out.choices) == (None, [SHOP, WEB])
    body = await problem(await client.post("/clusters/c1/start_fix", params=LOCAL), 409)
    assert body["choices"] == [SHOP, WEB]
    for name in ("evil/trap", "acme/other"):
        body = await problem(await client.post("/clusters/c1/start_fix", params=LOCAL | {"repository": name}), 409)
        assert body["choices"] == [SHOP, WEB]
    assert world.publisher.sent == []
    assert (await client.post("/clusters/c1/run_agent", params=LOCAL | {"repository": WEB})).status == 202
    target = ordered(world).options.target
    assert target is not None
    assert target.repository == WEB


@pytest.mark.parametrize("name", ["acme", "../../user", "https://github.com/acme/shop", "acme/..", "a b/c"])
async def test_422_for_what_is_no_name_of_a_repository(world: World, client: Client, name: str) -> None:
    await put(world, item(1))
    await problem(await client.post("/clusters/c1/start_fix", params=LOCAL | {"repository": name}), 422)


async def test_a_dry_run_needs_no_repository(world: World, client: Client) -> None:
    await configure(world, repositories=[SHOP, WEB])
    await put(world, item(1))
    assert (await client.post("/clusters/c1/start_fix", params=HERE)).status == 202
    assert ordered(world).options.target is None


@pytest.mark.parametrize("branch", ["../x", "a..b", "-x", "/x", "x/", "a b", "x~1", "", "x" * 256, "a\nb", "x."])
async def test_a_branch_of_the_settings_is_a_branch(client: Client, branch: str) -> None:
    rule = {"source": "reddit", "repository": SHOP, "branch": branch}
    answer = await client.put("/config/project", params=HERE, json={"version": 0, "repository_rules": [rule]})
    await problem(answer, 422)


# ---- GitHub ----------------------------------------------------------------------------------------------------------


class Refusing(EveryRepository):
    """A GitHub that raises this."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def base(self, repository: str, *, branch: str | None, token: str | None) -> BaseCommit:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (SourceRefuses("GitHub refuses the token (401): allow it."), 422, "allow it"),
        (SourceUnavailable("GitHub does not answer"), 502, "does not answer"),
    ],
)
async def test_what_github_says_is_answered(world: World, error: Exception, status: int, says: str) -> None:
    await configure(world, repositories=[SHOP])
    await put(world, item(1))
    async with TestClient(TestServer(world.app(repositories=Refusing(error)))) as client:
        body = await problem(await client.post("/clusters/c1/start_fix", params=LOCAL), status)
    assert says in body["detail"]
    assert world.publisher.sent == []


async def test_a_limit_of_github_says_when_to_try_again(world: World) -> None:
    await configure(world, repositories=[SHOP])
    await put(world, item(1))
    error = SourceLimited("GitHub takes no more requests for now", datetime.now(UTC) + timedelta(hours=1))
    async with TestClient(TestServer(world.app(repositories=Refusing(error)))) as client:
        answer = await client.post("/clusters/c1/start_fix", params=LOCAL)
        await problem(answer, 429)
    assert 3000 < int(answer.headers["Retry-After"]) <= 3600


async def test_the_callers_token_reads_the_repository_and_goes_nowhere_else(
    world: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    await configure(world, repositories=[SHOP])
    await put(world, item(1))
    token, own = secrets.token_hex(20), secrets.token_hex(20)
    github = EveryRepository()
    app = world.app(repositories=github, fixes=replace(FIXES, github_token=own))
    async with TestClient(TestServer(app)) as client:
        headers = {"X-GitHub-Token": token}
        answer = await client.post("/clusters/c1/start_fix", params=LOCAL, headers=headers)
        assert (answer.status, github.tokens) == (202, [token])
        assert (await client.post("/clusters/c1/start_fix", params=LOCAL)).status == 202
        assert github.tokens == [token, own]
        text = await answer.text()
    on_kafka = repr(world.publisher.sent)
    said = text + caplog.text + "".join(capsys.readouterr())
    for secret in (token, own):
        assert secret not in on_kafka
        assert secret not in said


async def test_the_brief_of_a_regressed_cluster_names_the_fixes_that_have_shipped(world: World, client: Client) -> None:
    url = f"https://github.com/{SHOP}/pull"
    await world.fill()
    await world.mark("c1", "regressed")
    target = Target(SHOP, "main", "a" * 40)
    shipped = PullRequestSight("merged", NOW, merged_at=NOW, shipped_at=NOW)
    for number, sight in ((1, shipped), (2, PullRequestSight("closed", NOW)), (3, None)):
        await world.fix(f"j{number}", "succeeded", target=target, pr_url=f"{url}/{number}", minutes=9 - number)
        if sight is not None:
            step = JobStep(f"s{number}", f"j{number}", "p1", "c1", 3, "succeeded", NOW, pr_sight=sight, offset=3)
            await world.read_model.writer.put_job_steps([step])
    assert f"has shipped and did not hold: {url}/1. " in (await brief(client)).text
    await world.mark("c1", "open")
    assert "did not hold" not in (await brief(client)).text
