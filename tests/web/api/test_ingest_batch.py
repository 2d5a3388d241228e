"""Batches, and Idempotency-Key: what is sent twice is there once, and a batch is taken whole or not at all."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.ids import item_id
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.messaging import Outgoing, Record
from soulcaster.services.intake import read
from soulcaster.web.api.ingest.models import MAX_ITEMS
from soulcaster.web.problems import MAX_FAULTS
from tests.support.answers import problem
from tests.support.make import NOW_MS
from tests.support.publisher import PARTITIONS
from tests.support.web import Client, World

HERE = {"project_id": "p1"}
KEY = {"Idempotency-Key": "a7f0-1"}


def some(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"source": "app", "external_id": str(n), "body": f"It crashes {n}"} | more for n in range(count)]


def items(sent: Sequence[Outgoing]) -> list[FeedbackItem]:
    """Return the items of what was sent, none of which is refused."""
    found = []
    for offset, message in enumerate(sent):
        assert message.topic == "feedback.raw"
        accepted, refused, _ = read(Record(message.topic, 0, offset, NOW_MS, message.key, message.value))
        assert refused == []
        found += [one.item for one in accepted]
    return found


async def test_a_batch_is_one_request_to_kafka_and_answers_each_item_in_its_place(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    publish = world.publisher.publish

    async def counted(messages: Sequence[Outgoing]) -> None:
        nonlocal calls
        calls += 1
        await publish(messages)

    monkeypatch.setattr(world.publisher, "publish", counted)
    answer = await client.post("/ingest/feedback", params=HERE, json={"items": some(MAX_ITEMS)})
    assert answer.status == 202, await answer.text()
    told = await answer.json()
    assert told == {
        "status": "ok",
        "items": [{"id": item_id("p1", "app", str(n)), "project_id": "p1"} for n in range(MAX_ITEMS)],
    }
    assert calls == 1
    assert len(world.publisher.sent) == PARTITIONS
    assert {item.id for item in items(world.publisher.sent)} == {one["id"] for one in told["items"]}


async def test_a_batch_of_one_is_answered_as_a_batch(world: World, client: Client) -> None:
    answer = await client.post("/ingest/reddit", params=HERE, json={"items": [{"title": "It crashes"}]})
    [told] = (await answer.json())["items"]
    [item] = items(world.publisher.sent)
    assert (told["id"], item.source) == (item.id, "reddit")


async def test_items_of_a_batch_may_name_their_projects(world: World, client: Client) -> None:
    batch = {"items": [*some(1, project_id="p2"), *some(1, project_id="p3")]}
    told = await (await client.post("/ingest/feedback", json=batch)).json()
    assert [one["project_id"] for one in told["items"]] == ["p2", "p3"]
    assert {item.project_id for item in items(world.publisher.sent)} == {"p2", "p3"}


async def test_a_batch_without_a_project_says_which_item_lacks_it(world: World, client: Client) -> None:
    batch = {"items": [*some(1, project_id="p2"), *some(1)]}
    details = await problem(await client.post("/ingest/feedback", json=batch), 400)
    assert [error["field"] for error in details["errors"]] == ["items.1.project_id"]
    assert world.publisher.sent == []


async def test_a_batch_with_an_item_of_another_project_is_not_there(world: World, guarded: Client) -> None:
    headers = await world.key("ingest")
    before = len(world.publisher.sent)
    batch = {"items": [*some(1), *some(1, project_id="p2")]}
    await problem(await guarded.post("/ingest/feedback", json=batch, headers=headers), 404)
    assert len(world.publisher.sent) == before


async def test_too_many_items_are_told_how_many_there_may_be(world: World, client: Client) -> None:
    details = await problem(await client.post("/ingest/feedback", params=HERE, json={"items": some(1001)}), 422)
    assert [error["field"] for error in details["errors"]] == ["items"]
    assert "1,000" in details["detail"]
    assert world.publisher.sent == []


async def test_of_many_faults_the_first_are_named_and_the_rest_counted(client: Client) -> None:
    for wrong in ({"title": 3}, {"source": "x", "title": "\x00"}):
        details = await problem(await client.post("/ingest/feedback", params=HERE, json={"items": [wrong] * 1000}), 422)
        assert len(details["errors"]) == MAX_FAULTS
        assert "more" in details["detail"]
        assert details["errors"][0]["field"].startswith("items.0.")


async def test_an_item_too_large_for_itself_is_named(world: World, client: Client) -> None:
    batch = {"items": [*some(2), {"source": "x", "body": "x" * 300_000}]}
    details = await problem(await client.post("/ingest/feedback", params=HERE, json=batch), 422)
    assert [error["field"] for error in details["errors"]] == ["items.2"]
    assert world.publisher.sent == []


async def test_the_newest_version_in_a_batch_comes_last(world: World, client: Client) -> None:
    versions = [{"source": "app", "external_id": "7", "body": f"version {n}"} for n in range(50)]
    await client.post("/ingest/feedback", params=HERE, json={"items": versions})
    assert len({message.key for message in world.publisher.sent}) == 1
    assert [item.body for item in items(world.publisher.sent)] == [one["body"] for one in versions]


# ---- sent twice ------------------------------------------------------------------------------------------------------

BODIES: list[tuple[str, dict[str, Any]]] = [
    ("/ingest/manual", {"text": "Me too"}),
    ("/ingest/feedback", {"source": "app", "body": "Me too"}),
    ("/ingest/reddit", {"body": "Me too"}),
    ("/ingest/feedback", {"items": [{"source": "app", "body": "Me too"}] * 60}),
    ("/ingest/reddit", {"items": [{"body": "Me too"}, {"body": "Me too", "external_id": "7"}]}),
]


@pytest.mark.parametrize(("path", "body"), BODIES, ids=lambda one: str(one)[:30])
async def test_the_same_key_twice_is_the_same_items_after_a_restart_too(
    world: World, path: str, body: dict[str, Any]
) -> None:
    told = []
    for _ in range(2):
        async with TestClient(TestServer(world.app())) as client:
            answer = await client.post(path, params=HERE, json=body, headers=KEY)
            assert answer.status == 202
            told.append(await answer.json())
    assert told[0] == told[1]
    count = len(body.get("items", [body]))
    assert len({item.id for item in items(world.publisher.sent)}) == count
    assert len(items(world.publisher.sent)) == 2 * count


async def test_another_key_or_another_project_is_another_item(world: World, client: Client) -> None:
    body = {"text": "Me too"}
    for params, key in ((HERE, "1"), (HERE, "2"), ({"project_id": "p2"}, "1")):
        await client.post("/ingest/manual", params=params, json=body, headers={"Idempotency-Key": key})
    assert len({item.id for item in items(world.publisher.sent)}) == 3
    assert len({item.external_id for item in items(world.publisher.sent)}) == 3


async def test_an_items_own_id_comes_before_the_key(world: World, client: Client) -> None:
    body = {"source": "app", "title": "x", "external_id": "7", "id": "8"}
    for wanted in ("7", "8"):
        answer = await client.post("/ingest/feedback", params=HERE, json=body, headers=KEY)
        assert (await answer.json())["id"] == item_id("p1", "app", wanted)
        del body["external_id" if wanted == "7" else "id"]


async def test_the_same_key_with_another_body_is_a_newer_version(world: World, client: Client) -> None:
    told = []
    for text in ("It crashes", "It crashes on start"):
        answer = await client.post("/ingest/manual", params=HERE, json={"text": text}, headers=KEY)
        told.append((await answer.json())["id"])
    first, second = items(world.publisher.sent)
    assert told == [first.id, second.id] == [first.id] * 2
    assert (first.body, second.body) == ("It crashes", "It crashes on start")


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_has_a_length(world: World, client: Client, key: str) -> None:
    headers = {"Idempotency-Key": key}
    for path, body in BODIES:
        await problem(await client.post(path, params=HERE, json=body, headers=headers), 422)
    assert world.publisher.sent == []


@pytest.mark.parametrize("kept", [0, 1, PARTITIONS - 1])
@pytest.mark.parametrize("with_ids", [True, False])
async def test_kafka_fails_in_the_middle_and_the_retry_adds_nothing_twice(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch, kept: int, with_ids: bool
) -> None:
    """Some messages are in, the answer is 503; the same request again completes it."""
    batch = [one if with_ids else {"source": one["source"], "body": one["body"]} for one in some(200)]
    headers = {} if with_ids else KEY
    publish = world.publisher.publish

    async def breaks_off(messages: Sequence[Outgoing]) -> None:
        await publish(messages[:kept])
        raise KafkaUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(world.publisher, "publish", breaks_off)
        answer = await client.post("/ingest/feedback", params=HERE, json={"items": batch}, headers=headers)
        await problem(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0
    assert len(world.publisher.sent) == kept
    answer = await client.post("/ingest/feedback", params=HERE, json={"items": batch}, headers=headers)
    assert answer.status == 202
    ids = {one["id"] for one in (await answer.json())["items"]}
    assert len(ids) == 200
    assert {item.id for item in items(world.publisher.sent)} == ids


async def test_503_when_kafka_cannot_tell_the_partitions(world: World, client: Client) -> None:
    world.publisher.fail = KafkaUnavailable()
    await problem(await client.post("/ingest/feedback", params=HERE, json={"items": some(2)}), 503)
    assert json.dumps(world.publisher.sent) == "[]"
