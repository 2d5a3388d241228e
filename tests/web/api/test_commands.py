"""What a person asks of clusters through the API."""

import asyncio
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from soulcaster.domain.commands import (
    MAX_IDS,
    Cleanup,
    Command,
    Configure,
    Merge,
    Move,
    Mute,
    Pin,
    Rebalance,
    Rename,
    Reopen,
    Reset,
    Resolve,
    RoundFinished,
    Split,
    Undo,
)
from soulcaster.domain.events import ClusteringStatus, ClusterMerged, CommandDone, Proposal, ProposalsChanged
from soulcaster.domain.ids import command_id_for
from soulcaster.errors import KafkaUnavailable
from soulcaster.web.api.clustering.models import ClusteringOut
from soulcaster.web.api.commands.models import CommandOut, CommandSentOut
from soulcaster.wire.cluster_commands import ClusterCommand
from tests.support.answers import problem
from tests.support.make import NOW, uid
from tests.support.web import Client, World

ONE, TWO = uid("i"), uid("j")

HERE = {"project_id": "p1"}
OF = {"requested_by": "local owner", "requested_at": NOW}

FINE, AUTO = partial(Configure, granularity="fine"), partial(Configure, granularity="auto")

# The route, what is posted there, and the command that comes of it; the id is put in when it is known.
ROUTES: dict[str, tuple[str, str, Any, Any]] = {
    "merge": ("POST", "/clusters/c1/merge", {"cluster_ids": ["c2", "c3"]}, (Merge, "c1", ("c2", "c3"))),
    "split": ("POST", "/clusters/c1/split", {"item_ids": [ONE], "title": " Late "}, (Split, "c1", (ONE,), "Late")),
    "move": ("POST", "/clusters/c1/move", {"item_ids": [ONE, TWO]}, (Move, (ONE, TWO), "c1")),
    "rename": ("POST", "/clusters/c1/rename", {"title": "<b>Grüße</b> 🙂"}, (Rename, "c1", "<b>Grüße</b> 🙂")),
    "name back": ("POST", "/clusters/c1/rename", {"title": None}, (Rename, "c1", None)),
    "pin": ("POST", "/clusters/c1/pin", {}, (Pin, "c1", True)),
    "unpin": ("POST", "/clusters/c1/pin", {"pinned": False}, (Pin, "c1", False)),
    "mute": ("POST", "/clusters/c1/mute", None, (Mute, "c1")),
    "resolve": ("POST", "/clusters/c1/resolve", None, (Resolve, "c1")),
    "reopen": ("POST", "/clusters/c1/reopen", None, (Reopen, "c1")),
    "undo": ("POST", "/clusters/c1/undo", {"command_id": "k0"}, (Undo, "k0")),
    "rebalance": ("POST", "/clusters/rebalance", None, (Rebalance,)),
    "cleanup": ("POST", "/clusters/cleanup", {"proposal_ids": ["p", "q"]}, (Cleanup, ("p", "q"))),
    "reset": ("POST", "/clusters/reset", None, (Reset,)),
    "configure": (
        "PUT",
        "/clustering/config",
        {"threshold": 0.5, "granularity": "fine"},
        (FINE, 0.5),
    ),
    "configure anew": ("PUT", "/clustering/config", {}, (AUTO, None)),
}
every_route = pytest.mark.parametrize("name", ROUTES)


async def send(client: Client, name: str, *, headers: dict[str, str] | None = None, **query: str) -> Any:
    method, path, body, _ = ROUTES[name]
    return await client.request(method, path, params=HERE | query, json=body, headers=headers)


def sent(world: World) -> list[Command | RoundFinished]:
    assert {(m.topic, m.key) for m in world.publisher.sent} <= {("cluster.commands", b"p1")}
    return [ClusterCommand.model_validate_json(m.value).command for m in world.publisher.sent]


@every_route
async def test_it_is_a_command_on_kafka(world: World, client: Client, name: str) -> None:
    await world.fill()
    answer = await send(client, name)
    assert answer.status == 202, await answer.text()
    body = await answer.json()
    CommandSentOut.model_validate(body)
    kind, *fields = ROUTES[name][3]
    [command] = sent(world)
    assert command == kind(body["command_id"], "local owner", NOW, *fields)
    assert UUID(body["command_id"]).version == 4
    assert (body["project_id"], body["outcome"], body["reason"]) == ("p1", None, None)
    assert body["cluster_id"] == ("c1" if "/c1/" in ROUTES[name][1] else None)
    assert "asked for" in body["message"]


@every_route
async def test_a_project_is_needed_and_kafka(world: World, client: Client, name: str) -> None:
    await world.fill()
    method, path, body, _ = ROUTES[name]
    await problem(await client.request(method, path, json=body), 400)
    world.publisher.fail = KafkaUnavailable()
    await problem(await send(client, name), 503)


@every_route
async def test_a_foreign_page_cannot_ask(world: World, client: Client, name: str) -> None:
    await world.fill()
    await problem(await send(client, name, headers={"Origin": "https://evil.example"}), 403)
    assert world.publisher.sent == []


@pytest.mark.parametrize("name", [name for name, route in ROUTES.items() if "/c1/" in route[1]])
async def test_404_for_a_cluster_that_is_not_here(world: World, client: Client, name: str) -> None:
    await world.fill(project="p2")
    await problem(await send(client, name), 404)
    assert world.publisher.sent == []


async def test_of_a_merged_cluster_it_is_asked_of_the_other(world: World, client: Client) -> None:
    await world.fill(cluster="c1")
    await world.fill(cluster="c0")
    await world.read_model.writer.apply("p1", [ClusterMerged("c1", "c0", "person", "same", 1)])
    assert (await (await send(client, "rename")).json())["cluster_id"] == "c0"
    [command] = sent(world)
    assert isinstance(command, Rename)
    assert command.cluster_id == "c0"


@pytest.mark.parametrize(
    ("name", "body", "field"),
    [
        ("merge", {}, "cluster_ids"),
        ("merge", {"cluster_ids": []}, "cluster_ids"),
        ("merge", {"cluster_ids": ["a:b"]}, "cluster_ids.0"),
        ("merge", {"cluster_ids": ["x" * 65]}, "cluster_ids.0"),
        ("split", {"item_ids": [uid(n) for n in range(MAX_IDS + 1)]}, "item_ids"),
        ("split", {"item_ids": [ONE], "title": " "}, "title"),
        ("split", {"item_ids": [ONE], "title": "\u200b"}, "title"),
        ("move", {"item_ids": ONE}, "item_ids"),
        ("move", {"item_ids": ["i"]}, "item_ids.0"),
        ("split", {"item_ids": ["i"]}, "item_ids.0"),
        ("rename", {}, "title"),
        ("rename", {"title": "x" * 201}, "title"),
        ("pin", {"pinned": "perhaps"}, "pinned"),
        ("undo", {}, "command_id"),
        ("cleanup", {"proposal_ids": []}, "proposal_ids"),
        ("configure", {"threshold": 1.5}, "threshold"),
        ("configure", {"granularity": "coarse"}, "granularity"),
    ],
)
async def test_a_bad_field_is_named(world: World, client: Client, name: str, body: Any, field: str) -> None:
    await world.fill()
    method, path, _, _ = ROUTES[name]
    details = await problem(await client.request(method, path, params=HERE, json=body), 422)
    assert details["errors"][0]["field"] == field
    await problem(await client.request(method, path, params=HERE, data="pinned=1"), 415)
    assert world.publisher.sent == []


# ---- ids and waiting -----------------------------------------------------------------------------------------------


async def test_the_same_key_is_the_same_command(world: World, client: Client) -> None:
    key = {"Idempotency-Key": "my key 🙂"}
    asked = [(await (await send(client, "rebalance", headers=key)).json())["command_id"] for _ in range(2)]
    assert asked == [command_id_for("p1", "my key 🙂")] * 2
    other = await client.post("/clusters/rebalance", params={"project_id": "p2"}, headers=key)
    assert (await other.json())["command_id"] not in asked


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_that_cannot_be(world: World, client: Client, key: str) -> None:
    await problem(await send(client, "rebalance", headers={"Idempotency-Key": key}), 422)
    assert world.publisher.sent == []


@every_route
async def test_who_waits_is_told_that_it_was_done(world: World, client: Client, name: str) -> None:
    await world.fill()
    world.publisher.outcome, world.publisher.reason = "applied", "as you wished"
    answer = await send(client, name, wait="30")
    assert answer.status == 200
    body = await answer.json()
    assert (body["outcome"], body["reason"]) == ("applied", "as you wished")


@pytest.mark.parametrize(
    ("reason", "detail"), [("<b>it is pinned</b>", "<b>it is pinned</b>"), ("", "This was refused.")]
)
async def test_who_waits_is_told_why_it_was_refused(world: World, client: Client, reason: str, detail: str) -> None:
    await world.fill()
    world.publisher.outcome, world.publisher.reason = "refused", reason
    assert (await problem(await send(client, "merge", wait="30"), 409))["detail"] == detail


@pytest.mark.parametrize("outcome", [None, "waiting"])
async def test_who_waits_in_vain_is_told_what_is_known(world: World, client: Client, outcome: Any) -> None:
    await world.fill()
    world.publisher.outcome = outcome
    answer = await send(client, "split", wait="0.01")
    assert (answer.status, (await answer.json())["outcome"]) == (202, outcome)


async def test_what_waits_first_and_is_done_later(world: World, client: Client) -> None:
    await world.fill()
    world.publisher.outcome = "waiting"
    asking = asyncio.create_task(send(client, "split", wait="30", headers={"Idempotency-Key": "k"}))
    while await world.read_model.commands.get("p1", command_id_for("p1", "k")) is None:
        await asyncio.sleep(0)
    await world.read_model.writer.apply("p1", [CommandDone(command_id_for("p1", "k"), "applied", "", NOW)])
    assert (await asking).status == 200


async def test_one_may_wait_beyond_the_time_limit(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soulcaster.web.problems.REQUEST_SECONDS", 0.2)
    assert (await send(client, "rebalance", wait="0.6")).status == 202


@pytest.mark.parametrize("wait", ["-1", "31", "x", "nan"])
async def test_a_bad_wait_is_named(world: World, client: Client, wait: str) -> None:
    details = await problem(await send(client, "rebalance", wait=wait), 422)
    assert [error["field"] for error in details["errors"]] == ["wait"]
    assert world.publisher.sent == []


# ---- reading -------------------------------------------------------------------------------------------------------


async def test_what_became_of_a_command(world: World, client: Client) -> None:
    await problem(await client.get("/commands/k1", params=HERE), 404)
    await world.read_model.writer.apply("p1", [CommandDone("k1", "refused", "<b>pinned</b>", NOW)])
    body = await (await client.get("/commands/k1", params=HERE)).json()
    CommandOut.model_validate(body)
    assert body == {
        "command_id": "k1",
        "outcome": "refused",
        "reason": "<b>pinned</b>",
        "at": "2026-11-21T12:00:00Z",
        "project_id": "p1",
    }
    await problem(await client.get("/commands/k1", params={"project_id": "p2"}), 404)
    await problem(await client.get("/commands/k1"), 400)


async def test_how_the_clustering_stands(world: World, client: Client) -> None:
    body = await (await client.get("/clustering/status", params=HERE)).json()
    assert body == {"status": None, "proposals": [], "project_id": "p1"}
    status = ClusteringStatus("running", 7, "merged <1>", NOW, 0.5, 100, 90, 8, 0.25, 0.62, 4)
    proposal = Proposal("p", "merge", ("c1", "c2"), 0.75, "alike")
    await world.read_model.writer.apply("p1", [status, ProposalsChanged((proposal,))])
    body = await (await client.get("/clustering/status", params=HERE)).json()
    ClusteringOut.model_validate(body)
    assert body["status"] == {
        "state": "running",
        "round": 7,
        "outcome": "merged <1>",
        "at": "2026-11-21T12:00:00Z",
        "seconds": 0.5,
        "items": 100,
        "groups": 90,
        "clusters": 8,
        "moved_share": 0.25,
        "threshold": 0.62,
        "calibration": 4,
        "foreign": [],
    }
    assert body["proposals"] == [
        {"id": "p", "kind": "merge", "cluster_ids": ["c1", "c2"], "score": 0.75, "reason": "alike"}
    ]
    await problem(await client.get("/clustering/status"), 400)
