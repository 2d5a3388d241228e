"""A project's settings, and what is polled of Reddit, as the predecessor's clients ask for it."""

import asyncio
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.domain.commands import Command, Configure, RoundFinished
from soulcaster.domain.events import ClusteringConfigured
from soulcaster.errors import KafkaUnavailable
from soulcaster.web.api.project_config.models import ProjectConfigOut, SubredditsOut
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.control import ProjectConfigured, control_message
from soulcaster.wire.project_config import RedditPolling
from tests.support.answers import problem
from tests.support.make import NOW
from tests.support.web import Client, World

HERE = {"project_id": "p1"}
REPOSITORIES = {"version": 0, "repositories": ["a/b"]}


async def put(client: Client, body: dict[str, Any], **params: str) -> ClientResponse:
    return await client.put("/config/project", params={**HERE, **params}, json=body)


async def get(client: Client) -> dict[str, Any]:
    answer = await client.get("/config/project", params=HERE)
    assert answer.status == 200, await answer.text()
    body: dict[str, Any] = await answer.json()
    ProjectConfigOut.model_validate(body)
    return body


def commands(world: World) -> list[Command | RoundFinished]:
    return [
        ClusterCommand.model_validate_json(m.value).command
        for m in world.publisher.sent
        if m.topic == "cluster.commands"
    ]


def configured(world: World) -> list[ProjectConfigured]:
    found = [control_message(m.value) for m in world.publisher.sent if m.topic == "control"]
    return [message for message in found if isinstance(message, ProjectConfigured)]


# ---- all settings --------------------------------------------------------------------------------------------------


async def test_before_any_were_set(client: Client) -> None:
    assert await get(client) == {
        "repositories": [],
        "repository_rules": [],
        "sources": {
            "reddit": {"enabled": True, "subreddits": None, "sorts": None, "interval_seconds": None},
            "sentry": {"enabled": True, "environments": None, "levels": None},
            "github": {"enabled": True, "labels": None, "state": "all"},
        },
        "mask_personal_data": True,
        "policy": {
            "automatic": {
                "enabled": False,
                "min_items": 10,
                "min_items_per_day": 0,
                "sources": None,
                "max_age_days": 14,
                "jobs_per_day": 3,
                "approval": True,
            },
            "approvers": "launch",
            "stop_at": "pr",
            "backend": None,
            "concurrent_jobs": None,
            "jobs_per_day": None,
            "usd_per_day": None,
            "job_usd": None,
            "follow_ups": 3,
            "resolve_on": "merge",
            "comment_on_issues": False,
        },
        "fix": {
            "setup": None,
            "test": None,
            "test_report": None,
            "hosts": [],
            "fork": False,
            "issue": False,
            "protected": [],
        },
        "threshold": None,
        "granularity": "auto",
        "version": 0,
        "updated_at": None,
        "updated_by": None,
        "command_id": None,
        "project_id": "p1",
    }


async def test_what_was_read_is_changed_and_sent_back(world: World, client: Client) -> None:
    body = await get(client)
    body["repositories"] = ["a/b"]
    body["sources"]["sentry"] = {"environments": ["prod"], "levels": ["error"], "enabled": False}
    body["mask_personal_data"] = False
    answer = await put(client, body)
    assert answer.status == 202
    after = await get(client)
    assert await answer.json() == after
    assert (after["version"], after["updated_by"]) == (1, "local owner")
    assert after["repositories"] == ["a/b"]
    assert after["sources"]["sentry"] == {"environments": ["prod"], "levels": ["error"], "enabled": False}
    assert after["sources"]["github"] == {"enabled": True, "labels": None, "state": "all"}
    assert not after["mask_personal_data"]
    [sent] = [m for m in world.publisher.sent if m.topic == "control"]
    assert sent.key == b"config:p1"
    assert commands(world) == []  # how it is clustered stays as it is
    assert (await (await client.get("/config/project", params={"project_id": "p2"})).json())["version"] == 0


async def test_what_is_left_out_has_its_default(client: Client) -> None:
    await put(client, {**REPOSITORIES, "sources": {"github": {"state": "open"}}})
    assert (await put(client, {"version": 1})).status == 202
    after = await get(client)
    assert (after["version"], after["repositories"], after["sources"]["github"]["state"]) == (2, [], "all")


async def test_who_changes_what_has_changed_is_refused(world: World, client: Client) -> None:
    assert (await put(client, REPOSITORIES)).status == 202
    details = await problem(await put(client, {"version": 0}), 409)
    assert "Somebody else" in details["detail"]
    assert (await get(client))["repositories"] == ["a/b"]
    assert len(configured(world)) == 1
    await problem(await put(client, {"version": 7}), 409)
    await problem(await put(client, {"repositories": []}), 422)


async def test_of_many_at_once_one_is_told_yes(world: World, client: Client) -> None:
    """Though none of them can be read yet."""
    world.publisher.delivers = False
    answers = await asyncio.gather(*(put(client, {"version": 0, "repositories": [f"a/b{n}"]}) for n in range(8)))
    assert sorted(answer.status for answer in answers) == [202] + [409] * 7
    assert len(configured(world)) == 1


async def test_what_kafka_did_not_take_may_be_sent_again(world: World, client: Client) -> None:
    world.publisher.fail = KafkaUnavailable()
    await problem(await put(client, REPOSITORIES), 503)
    world.publisher.fail = None
    assert (await put(client, REPOSITORIES)).status == 202


async def test_who_waits_may_read_it(world: World, client: Client) -> None:
    assert (await put(client, REPOSITORIES, wait="30")).status == 200
    world.publisher.delivers = False
    assert (await put(client, {"version": 1}, wait="0.01")).status == 202


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"repositories": ["a"]}, "repositories.0"),
        ({"sources": {"reddit": {"sorts": ["best"]}}}, "sources.reddit.sorts.0"),
        ({"sources": {"reddit": {"subreddits": ["a/b"]}}}, "sources.reddit.subreddits.0"),
        ({"sources": {"sentry": {"levels": []}}}, "sources.sentry.levels"),
        ({"threshold": 2}, "threshold"),
        ({"granularity": "coarse"}, "granularity"),
        ({"mask_personal_data": "perhaps"}, "mask_personal_data"),
        ({"version": -1}, "version"),
    ],
)
async def test_what_cannot_be_names_its_field(world: World, client: Client, body: dict[str, Any], field: str) -> None:
    details = await problem(await put(client, {"version": 0, **body}), 422)
    assert details["errors"][0]["field"] == field
    assert world.publisher.sent == []


# ---- how it is clustered: the clusterer's word -----------------------------------------------------------------------


async def test_another_threshold_is_a_command_and_its_truth_the_clusterers(world: World, client: Client) -> None:
    answer = await put(client, {**REPOSITORIES, "threshold": 0.75, "granularity": "fine"})
    [command] = commands(world)
    assert isinstance(command, Configure)
    assert (command.type, command.threshold, command.granularity) == ("configure", 0.75, "fine")
    assert (await answer.json())["command_id"] == command.id
    before = await get(client)
    assert (before["threshold"], before["granularity"], before["version"]) == (None, "auto", 1)
    await world.read_model.writer.apply("p1", [ClusteringConfigured(0.75, "fine", NOW, command.id)])
    after = await get(client)
    assert (after["threshold"], after["granularity"]) == (0.75, "fine")
    await put(client, {**after, "repositories": []})
    assert len(commands(world)) == 1  # nothing else is asked for
    assert b"0.75" not in b"".join(m.value for m in world.publisher.sent if m.topic == "control")


async def test_what_the_clusterer_refuses_is_not_set_at_all(world: World, client: Client) -> None:
    world.publisher.outcome, world.publisher.reason = "refused", "another threshold needs a reset"
    details = await problem(await put(client, {**REPOSITORIES, "threshold": 0.75}, wait="5"), 409)
    assert details["detail"] == "another threshold needs a reset"
    assert configured(world) == []
    assert (await put(client, REPOSITORIES)).status == 202  # the version is free again


async def test_what_the_clusterer_takes_is_set(world: World, client: Client) -> None:
    world.publisher.outcome = "applied"
    answer = await put(client, {**REPOSITORIES, "threshold": 0.75}, wait="5")
    assert answer.status == 200
    assert (await answer.json())["threshold"] == 0.75


# ---- Reddit, in the predecessor's shapes -----------------------------------------------------------------------------


async def subreddits(client: Client) -> dict[str, Any]:
    answer = await client.get("/config/reddit/subreddits", params=HERE)
    body: dict[str, Any] = await answer.json()
    SubredditsOut.model_validate(body)
    return body


async def post(client: Client, body: dict[str, Any]) -> ClientResponse:
    return await client.post("/config/reddit/subreddits", params=HERE, json=body)


async def test_the_environments_until_the_project_has_its_own(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await subreddits(client) == {
        "subreddits": ["all"],
        "sorts": ["new"],
        "interval_seconds": 300,
        "enabled": True,
        "project_id": "p1",
    }
    monkeypatch.setattr("tests.support.web.POLLING", RedditPolling(("foo", "bar"), ("top",), 60))
    async with TestClient(TestServer(world.app())) as other:
        shown = await subreddits(other)
        assert (shown["subreddits"], shown["sorts"], shown["interval_seconds"]) == (["foo", "bar"], ["top"], 60)


async def test_names_are_cleaned_and_read_back(world: World, client: Client) -> None:
    await put(client, REPOSITORIES)
    answer = await post(client, {"subreddits": [" Test ", "test", "", "other"]})
    assert answer.status == 200
    assert (await answer.json())["subreddits"] == ["test", "other"]
    assert (await subreddits(client))["subreddits"] == ["test", "other"]
    after = await get(client)
    assert (after["version"], after["repositories"]) == (2, ["a/b"])  # everything else stays
    await post(client, {"subreddits": ["one"], "sorts": ["hot"], "interval_seconds": 60})
    await post(client, {"subreddits": ["two"]})
    shown = await subreddits(client)
    assert (shown["subreddits"], shown["sorts"], shown["interval_seconds"]) == (["two"], ["hot"], 60)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"subreddits": []}, 400),
        ({"subreddits": [" ", ""]}, 400),
        ({}, 422),
        ({"subreddits": "one"}, 422),
        ({"subreddits": ["a/../../b"]}, 422),
        ({"subreddits": ["one"], "interval_seconds": 1}, 422),
    ],
)
async def test_without_a_subreddit_nothing_is_set(
    world: World, client: Client, body: dict[str, Any], status: int
) -> None:
    await problem(await post(client, body), status)
    assert world.publisher.sent == []


async def test_it_is_set_over_what_somebody_sets_at_the_same_time(world: World, client: Client) -> None:
    assert await world.read_model.project_config.claim("p1", 1)  # about to be set by another

    async def by_another() -> None:
        await asyncio.sleep(0.05)
        await world.read_model.project_config.release("p1", 1)

    posted, _ = await asyncio.gather(post(client, {"subreddits": ["one"]}), by_another())
    assert posted.status == 200
    assert await world.read_model.project_config.claim("p1", 2)
    answer = await client.post(
        "/config/reddit/subreddits", params={**HERE, "wait": "0.01"}, json={"subreddits": ["two"]}
    )
    await problem(answer, 409)


async def test_settings_are_an_administrators(guarded: Client, world: World) -> None:
    write, admin = await world.key("write", "read"), await world.key("admin")
    for headers, status in ((write, 403), (admin, 202)):
        answer = await guarded.put("/config/project", json=REPOSITORIES, headers=headers)
        assert answer.status == status
    assert (await (await guarded.get("/config/project", headers=write)).json())["updated_by"] == "key test"
