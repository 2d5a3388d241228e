"""Changing and deleting an item through the API."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from soulcaster.domain.events import CommandDone
from soulcaster.domain.feedback.items import Deleted, FeedbackItem
from soulcaster.domain.feedback.versions import newest
from soulcaster.domain.ids import command_id_for
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.messaging import Record
from soulcaster.services.intake import read
from soulcaster.web.api.commands.models import CommandSentOut
from soulcaster.web.api.feedback.models import FeedbackEditOut
from soulcaster.wire.feedback import ItemsEnvelope
from tests.support.answers import problem
from tests.support.make import NOW
from tests.support.web import Client, World, item

HERE = {"project_id": "p1"}
GIVEN = replace(
    item("review-1", url="https://example.org/1", metadata={"stars": 1, "status": "open"}),
    author="kim",
    github_repo_url="https://github.com/a/b",
)


def sent_item(world: World) -> FeedbackItem:
    """What the worker will make of the one message that was sent."""
    [message] = world.publisher.sent
    assert (message.topic, message.key) == ("feedback.raw", GIVEN.id.encode())
    received = int(NOW.timestamp() * 1000)
    [accepted], refused, _ = read(Record(message.topic, 0, 0, received, message.key, message.value))
    assert refused == []
    return accepted.item


async def put(world: World, client: Client, body: Any, given: FeedbackItem = GIVEN) -> Any:
    await world.read_model.writer.put_items("p1", [given])
    return await client.put(f"/feedback/{given.id}", params=HERE, json=body)


# ---- changing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"title": " New <b>title</b> 🙂 "}, {"title": "New <b>title</b> 🙂"}),
        ({"body": "It came."}, {"body": "It came."}),
        ({"title": None}, {"title": "It has been two weeks now."}),
        ({"body": None}, {"body": "My card is late"}),
        ({"github_repo_url": None}, {"github_repo_url": None}),
        ({"metadata": {"a": [1]}}, {"metadata": {"a": [1]}}),
        ({"metadata": None}, {"metadata": {}}),
        ({"status": "closed"}, {"metadata": {"stars": 1, "status": "closed"}}),
        ({"status": None}, {"metadata": {"stars": 1}}),
        ({"repo": "c/d"}, {"metadata": {"stars": 1, "status": "open", "repo": "c/d"}}),
        ({"metadata": {"x": 1}, "raw_text": "t"}, {"metadata": {"x": 1, "raw_text": "t"}}),
        ({"title": "T", "body": "B", "nix": 1}, {"title": "T", "body": "B"}),
    ],
)
async def test_it_is_a_new_version_of_the_same_item(
    world: World, client: Client, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    answer = await put(world, client, body)
    assert answer.status == 202, await answer.text()
    shown = FeedbackEditOut.model_validate(await answer.json())
    assert replace(sent_item(world), language=None) == replace(GIVEN, received_at=NOW, **expected)
    assert (shown.id, shown.item.id, shown.item.title) == (GIVEN.id, GIVEN.id, sent_item(world).title)


async def test_it_is_newer_than_what_the_source_said_and_older_than_what_it_says_next(
    world: World, client: Client
) -> None:
    given = replace(GIVEN, updated_at=NOW - timedelta(hours=1))
    assert (await put(world, client, {"body": "Mended"}, given)).status == 202
    changed = sent_item(world)
    assert newest(given, changed).body == newest(changed, given).body == "Mended"
    at = NOW + timedelta(hours=1)
    later = replace(given, body="Said later", received_at=at, updated_at=at)
    assert newest(changed, later).body == newest(later, changed).body == "Said later"


async def test_a_title_that_was_made_from_the_body_is_made_anew(world: World, client: Client) -> None:
    given = replace(GIVEN, title="It is late.", body="It is late.\nVery.")
    await put(world, client, {"body": "It came."}, given)
    assert sent_item(world).title == "It came."


async def test_a_repository_is_taken_from_its_name_where_there_is_none(world: World, client: Client) -> None:
    await put(world, client, {"repo": "c/d"}, replace(GIVEN, github_repo_url=None))
    assert sent_item(world).github_repo_url == "https://github.com/c/d"


@pytest.mark.parametrize("body", [{}, {"title": GIVEN.title, "body": GIVEN.body}, {"metadata": GIVEN.metadata}])
async def test_what_changes_nothing_is_not_sent(world: World, client: Client, body: dict[str, Any]) -> None:
    answer = await put(world, client, body)
    assert answer.status == 200
    assert FeedbackEditOut.model_validate(await answer.json()).item.title == GIVEN.title
    assert world.publisher.sent == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": None, "body": None}, "body"),
        ({"title": " ", "body": "\u200b"}, "body"),
        ({"title": 7}, "title"),
        ({"metadata": []}, "metadata"),
        ({"metadata": json.loads("[" * 20 + "]" * 20)}, "metadata"),
        ({"metadata": {"a": json.loads("[" * 17 + "]" * 17)}}, "metadata"),
    ],
)
async def test_what_cannot_be_an_item_is_refused(
    world: World, client: Client, body: dict[str, Any], field: str
) -> None:
    details = await problem(await put(world, client, body), 422)
    assert details["errors"][0]["field"] == field
    assert world.publisher.sent == []


async def test_a_number_that_is_too_large_and_an_item_that_is_too_large(world: World, client: Client) -> None:
    await world.read_model.writer.put_items("p1", [GIVEN])
    for body in ('{"metadata": {"a": 1e999}}', json.dumps({"metadata": {"a": "\u00e9" * 100_000}})):
        answer = await client.put(
            f"/feedback/{GIVEN.id}", params=HERE, data=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status in {413, 422}
    assert world.publisher.sent == []


async def test_an_item_that_is_not_here_cannot_be_changed(world: World, client: Client) -> None:
    await world.fill(project="p2")
    [of_p2] = (await world.read_model.feedback.list("p2", source=None, cluster_id=None, limit=1, offset=0)).items
    await problem(await client.put(f"/feedback/{of_p2.item.id}", params=HERE, json={"title": "T"}), 404)
    await problem(await client.put("/feedback/nope", params=HERE, json={"title": "T"}), 404)
    assert world.publisher.sent == []


async def test_without_kafka_nothing_is_changed(world: World, client: Client) -> None:
    world.publisher.fail = KafkaUnavailable()
    await problem(await put(world, client, {"title": "T"}), 503)


# ---- deleting ------------------------------------------------------------------------------------------------------


async def test_it_is_a_tombstone_in_the_log(world: World, client: Client) -> None:
    items = await world.fill()
    answer = await client.delete(f"/feedback/{items[0].id}", params=HERE)
    assert answer.status == 202
    asked = CommandSentOut.model_validate(await answer.json())
    assert UUID(asked.command_id).version == 4
    assert (asked.cluster_id, asked.outcome, asked.message) == ("c1", None, "Deletion asked for")
    [message] = world.publisher.sent
    assert (message.topic, message.key) == ("feedback.items", b"p1")
    assert ItemsEnvelope.model_validate_json(message.value) == ItemsEnvelope(
        project_id="p1", items=(), deleted=(Deleted(items[0].id, NOW, asked.command_id),)
    )


async def test_who_waits_is_told_when_it_is_gone(world: World, client: Client) -> None:
    items = await world.fill()
    world.publisher.outcome = "applied"
    answer = await client.delete(f"/feedback/{items[0].id}", params=HERE | {"wait": "30"})
    assert (answer.status, (await answer.json())["outcome"]) == (200, "applied")
    await problem(await client.get(f"/feedback/{items[0].id}", params=HERE), 404)
    assert (await (await client.get("/stats", params=HERE)).json())["total_feedback"] == 2


async def test_the_same_request_again_is_answered_as_before_and_another_is_not(world: World, client: Client) -> None:
    items = await world.fill()
    world.publisher.outcome = "applied"
    key = {"Idempotency-Key": "k"}
    for _ in range(2):
        answer = await client.delete(f"/feedback/{items[0].id}", params=HERE | {"wait": "30"}, headers=key)
        assert answer.status == 200
        assert (await answer.json())["command_id"] == command_id_for("p1", "k")
    assert len(world.publisher.sent) == 1
    await problem(await client.delete(f"/feedback/{items[0].id}", params=HERE), 404)


async def test_an_item_that_is_not_here_cannot_be_deleted(world: World, client: Client) -> None:
    [of_p2, *_] = await world.fill(project="p2")
    await problem(await client.delete(f"/feedback/{of_p2.id}", params=HERE), 404)
    await problem(await client.delete("/feedback/nope", params=HERE), 404)
    await problem(await client.delete(f"/feedback/{of_p2.id}"), 400)
    assert world.publisher.sent == []


async def test_without_kafka_nothing_is_deleted(world: World, client: Client) -> None:
    items = await world.fill()
    world.publisher.fail = KafkaUnavailable()
    await problem(await client.delete(f"/feedback/{items[0].id}", params=HERE), 503)


# ---- what is muted or resolved -------------------------------------------------------------------------------------


async def test_what_people_made_of_a_cluster_shows(world: World, client: Client) -> None:
    await world.fill()
    told = (await world.read_model.clusters.list("p1", limit=1, offset=0)).items[0]
    assert told.status == "new"
    await world.mark("c1", "resolved")
    await world.read_model.writer.apply("p1", [CommandDone("k", "applied", "resolved", NOW, "resolve", ("c1",))])
    [listed] = await (await client.get("/clusters", params=HERE)).json()
    shown = await (await client.get("/clusters/c1", params=HERE)).json()
    stats = await (await client.get("/stats", params=HERE)).json()
    assert (listed["status"], shown["status"], stats["by_status"]) == (
        "resolved",
        "resolved",
        {"resolved": 1, "new": 0},
    )
    assert [entry["kind"] for entry in shown["history"]] == ["resolve"]
