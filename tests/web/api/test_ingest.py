import asyncio
from typing import Any

import pytest

from soulcaster.domain.ids import item_id
from soulcaster.errors import InvalidMessage, KafkaUnavailable
from soulcaster.ports.messaging import Outgoing, Record
from soulcaster.services.intake import read
from soulcaster.wire.feedback import RawFeedback
from soulcaster.wire.project_config import ProjectConfig
from tests.support.agents import headers, normalizer, records, run_batches
from tests.support.answers import problem
from tests.support.make import NOW_MS
from tests.support.publisher import RecordingPublisher
from tests.support.web import Client, World

HERE = {"project_id": "p1"}


def the_item(sent: list[Outgoing]) -> RawFeedback:
    [message] = sent
    assert message.topic == "feedback.raw"
    raw = RawFeedback.model_validate_json(message.value)
    accepted, refused, _ = read(Record(message.topic, 0, 0, NOW_MS, message.key, message.value))
    assert refused == []
    assert message.key == accepted[0].item.id.encode()
    return raw


async def test_manual_is_published_before_it_is_answered(world: World, client: Client) -> None:
    answer = await client.post("/ingest/manual", params=HERE, json={"text": "The export is broken\nsince Monday"})
    assert answer.status == 202
    raw = the_item(world.publisher.sent)
    assert (raw.project_id, raw.source, raw.body) == ("p1", "manual", "The export is broken\nsince Monday")
    assert raw.external_id
    assert await answer.json() == {
        "status": "ok",
        "id": item_id("p1", "manual", raw.external_id),
        "project_id": "p1",
    }


async def test_the_same_words_twice_are_two_items(world: World, client: Client) -> None:
    ids = set()
    for _ in range(2):
        answer = await client.post("/ingest/manual", params=HERE, json={"text": "Me too"})
        ids.add((await answer.json())["id"])
    assert len(ids) == len(world.publisher.sent) == 2


async def test_manual_keeps_a_title(world: World, client: Client) -> None:
    await client.post("/ingest/manual", params=HERE, json={"text": "It is slow", "title": "Slow"})
    assert the_item(world.publisher.sent).title == "Slow"


async def test_feedback_with_everything(world: World, client: Client) -> None:
    body = {
        "source": "Intercom",
        "title": "Cannot pay",
        "body": "The card is refused",
        "metadata": {"plan": "pro", "tags": ["pay", {"n": 1}]},
        "external_id": "42",
        "created_at": "2026-11-20T10:00:00Z",
        "author": "Ada",
        "url": "https://example.com/42",
        "github_repo_url": "https://github.com/a/b",
        "updated_at": "2026-11-20T11:00:00Z",
        "occurrence_id": "event-1",
        "words": "sample",
    }
    answer = await client.post("/ingest/feedback", params=HERE, json=body)
    assert answer.status == 202
    assert (await answer.json())["id"] == item_id("p1", "intercom", "42")
    raw = the_item(world.publisher.sent)
    sent = raw.model_dump(mode="json", exclude={"project_id"})
    assert sent == body | {"source": "intercom"}


async def test_the_predecessors_item_is_taken(world: World, client: Client) -> None:
    body: dict[str, Any] = {
        "id": "7f3f1f6e-9d0c-4b57-8a5e-0d3c6f1f2a11",
        "project_id": "p9",
        "source": "github",
        "external_id": None,
        "title": "Crash",
        "body": "It crashes",
        "raw_text": "Crash It crashes",
        "metadata": {},
        "created_at": "2026-11-20T10:00:00",
        "repo": "naga-k/soulcaster",
        "github_issue_number": 7,
        "github_issue_url": "https://github.com/naga-k/soulcaster/issues/7",
        "status": "open",
    }
    answer = await client.post("/ingest/feedback", json=body)
    assert answer.status == 202
    raw = the_item(world.publisher.sent)
    assert (raw.project_id, raw.external_id) == ("p9", body["id"])
    assert raw.url == body["github_issue_url"]
    assert raw.github_repo_url == "https://github.com/naga-k/soulcaster"
    assert raw.metadata == {
        k: body[k] for k in ("raw_text", "repo", "github_issue_number", "github_issue_url", "status")
    }
    assert raw.created_at is not None
    assert raw.created_at.isoformat() == "2026-11-20T10:00:00+00:00"


async def test_a_source_of_another_form_is_kept_as_generic(world: World, client: Client) -> None:
    body = {"source": "App Store", "external_id": "7", "title": "It crashes"}
    answer = await client.post("/ingest/feedback", params=HERE, json=body)
    assert answer.status == 202
    assert (await answer.json())["id"] == item_id("p1", "generic", "app store/7")
    assert the_item(world.publisher.sent).source == "App Store"


async def test_the_predecessors_poller_posts_to_reddit(world: World, client: Client) -> None:
    body = {
        "id": "7f3f1f6e-9d0c-4b57-8a5e-0d3c6f1f2a11",
        "source": "reddit",
        "external_id": "1abcd",
        "title": "Editor crashes",
        "body": "Since today it crashes.",
        "metadata": {"subreddit": "PlayCanvas", "score": 3, "created_utc": 1_700_000_000.0, "url": ""},
        "created_at": "2023-11-14T22:13:20+00:00",
    }
    answers = [await client.post("/ingest/reddit", params=HERE, json=body | {"id": str(n)}) for n in range(2)]
    assert [answer.status for answer in answers] == [202, 202]
    told = [await answer.json() for answer in answers]
    assert told == [{"status": "ok", "id": item_id("p1", "reddit", "1abcd"), "project_id": "p1"}] * 2
    raw = the_item(world.publisher.sent[:1])
    assert (raw.title, raw.body, raw.metadata) == (body["title"], body["body"], body["metadata"])


async def test_what_names_no_source_is_from_reddit(world: World, client: Client) -> None:
    await client.post("/ingest/reddit", params=HERE, json={"title": "Editor crashes"})
    assert the_item(world.publisher.sent).source == "reddit"


async def test_the_project_in_the_query_comes_first(world: World, client: Client) -> None:
    await client.post("/ingest/feedback", params=HERE, json={"project_id": "p9", "source": "x", "title": "y"})
    assert the_item(world.publisher.sent).project_id == "p1"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/ingest/manual", {}, "text"),
        ("/ingest/manual", {"text": 3}, "text"),
        ("/ingest/manual", {"text": " \n\u200b\x00"}, "text"),
        ("/ingest/manual", {"text": "\u200e\u2800"}, "text"),
        ("/ingest/manual", {"text": "\x1b[31m\ufe0f"}, "text"),
        ("/ingest/feedback", {"title": "x"}, "source"),
        ("/ingest/feedback", {"source": "\u200b", "title": "x"}, "source"),
        ("/ingest/feedback", {"source": 3, "title": "x"}, "source"),
        ("/ingest/feedback", {"source": "x"}, "body"),
        ("/ingest/feedback", {"source": "x", "title": "\x00"}, "body"),
        ("/ingest/feedback", {"source": "x", "title": "y", "metadata": []}, "metadata"),
        ("/ingest/feedback", {"source": "x", "title": "y", "created_at": "yesterday"}, "created_at"),
        ("/ingest/feedback", {"source": "x", "title": "y", "external_id": ""}, "external_id"),
        ("/ingest/feedback", {"source": "x", "title": "y", "project_id": "a b"}, "project_id"),
        ("/ingest/feedback", {"source": "x", "title": "y", "metadata": {"n": 1e999}}, "metadata"),
        ("/ingest/feedback", [], "body"),
        ("/ingest/feedback", "x", "body"),
        ("/ingest/feedback", [{"source": "x", "title": "y"}], "body"),
        ("/ingest/reddit", {}, "body"),
        ("/ingest/reddit", {"source": "", "title": "x"}, "source"),
        ("/ingest/feedback", {"items": []}, "items"),
        ("/ingest/feedback", {"items": None}, "items"),
        ("/ingest/feedback", {"items": [{"source": "x", "title": "y"}, {"title": "y"}]}, "items.1.source"),
        ("/ingest/feedback", {"items": [{"source": "x", "title": "y"}, 3]}, "items.1"),
        ("/ingest/feedback", {"items": [{"source": "x", "title": "y"}, {"source": "x"}]}, "items.1"),
        (
            "/ingest/feedback",
            {"items": [{"source": "x", "body": "\x00"}, {"source": "x", "title": "y"}]},
            "items.0.body",
        ),
        ("/ingest/reddit", {"items": [{"title": "y"}, {"title": "y", "metadata": {"a": 1e999}}]}, "items.1.metadata"),
    ],
)
async def test_bad_input_names_the_field_and_nothing_is_stored(
    world: World, client: Client, path: str, body: Any, field: str
) -> None:
    details = await problem(await client.post(path, params=HERE, json=body), 422)
    assert [error["field"] for error in details["errors"]] == [field]
    assert field in details["detail"]
    assert world.publisher.sent == []


async def test_metadata_nested_too_deep_is_refused(world: World, client: Client) -> None:
    deep: Any = 1
    for _ in range(17):
        deep = [deep]
    body = {"source": "x", "title": "y", "metadata": {"a": deep}}
    details = await problem(await client.post("/ingest/feedback", params=HERE, json=body), 422)
    assert details["errors"][0]["field"] == "metadata"


@pytest.mark.parametrize("query", [{}, {"project_id": ""}])
async def test_a_project_is_required(client: Client, query: dict[str, str]) -> None:
    details = await problem(await client.post("/ingest/manual", params=query, json={"text": "x"}), 400)
    assert details["detail"] == "project_id is required"
    await problem(await client.post("/ingest/feedback", params=query, json={"source": "x", "title": "y"}), 400)


async def test_a_project_id_has_a_form(client: Client) -> None:
    await problem(await client.post("/ingest/manual", params={"project_id": "a:b"}, json={"text": "x"}), 422)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"nope", b'{"text": "\xff"}', b'{"text": "\xed\xa0\x80"}', b"\xfe\xff\x00{\x00}", b"[" * 100_000],
)
async def test_what_is_not_json_is_refused(world: World, client: Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    await problem(await client.post("/ingest/manual", params=HERE, data=body, headers=headers), 400)
    assert world.publisher.sent == []


async def test_a_lone_surrogate_is_replaced_and_nul_is_taken(world: World, client: Client) -> None:
    body = b'{"text": "cut \\ud83d here \\u0000", "title": "\\udc00 whole \\ud83d\\ude00"}'
    headers = {"Content-Type": "application/json; charset=utf-8"}
    answer = await client.post("/ingest/manual", params=HERE, data=body, headers=headers)
    assert answer.status == 202
    raw = the_item(world.publisher.sent)
    assert (raw.body, raw.title) == ("cut \ufffd here \x00", "\ufffd whole \U0001f600")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_only_json_is_taken(world: World, client: Client, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    await problem(await client.post("/ingest/manual", params=HERE, data=b'{"text":"x"}', headers=headers), 415)
    assert world.publisher.sent == []


async def test_an_item_that_grows_beyond_the_limit_is_refused(world: World, client: Client) -> None:
    body = '{"source":"x","title":"y","metadata":{"n":[' + ",".join(["1e9"] * 50_000) + "]}}"
    headers = {"Content-Type": "application/json"}
    details = await problem(
        await client.post("/ingest/feedback", params=HERE, data=body.encode(), headers=headers), 422
    )
    assert [error["field"] for error in details["errors"]] == ["body"]
    assert world.publisher.sent == []


async def test_503_while_kafka_is_away(world: World, client: Client) -> None:
    world.publisher.fail = KafkaUnavailable("Kafka at secret:9092")
    answer = await client.post("/ingest/manual", params=HERE, json={"text": "x"})
    details = await problem(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert "Kafka" in details["detail"]
    assert "secret" not in details["detail"]
    world.publisher.fail = None
    assert (await client.post("/ingest/manual", params=HERE, json={"text": "x"})).status == 202


async def test_413_when_kafka_takes_no_message_of_that_size(world: World, client: Client) -> None:
    world.publisher.fail = InvalidMessage("too large")
    await problem(await client.post("/ingest/manual", params=HERE, json={"text": "x"}), 413)


async def test_no_answer_before_the_acknowledgement(world: World, client: Client) -> None:
    acknowledged = asyncio.Event()
    publish = world.publisher.publish

    async def slow(messages: Any) -> None:
        await acknowledged.wait()
        await publish(messages)

    world.publisher.publish = slow  # type: ignore[method-assign]
    request = asyncio.create_task(client.post("/ingest/manual", params=HERE, json={"text": "x"}))
    done, _ = await asyncio.wait([request], timeout=0.2)
    assert not done
    acknowledged.set()
    assert (await request).status == 202


async def test_a_project_past_the_limit_is_accepted_and_its_items_become_dead_letters(
    world: World, client: Client
) -> None:
    """Without a key anybody names a project; only behind Kafka is it known how many there are."""
    answer = await client.post("/ingest/manual", params={"project_id": "one-too-many"}, json={"text": "It is slow"})
    assert answer.status == 202
    raw = the_item(world.publisher.sent)
    publisher = RecordingPublisher()

    async def config_of(_: str) -> ProjectConfig:
        return ProjectConfig()

    posted = records(world.publisher.sent, "feedback.raw")
    assert await run_batches(normalizer(config_of, publisher, projects=0), [posted], publisher) == [0]
    [letter] = publisher.sent
    assert letter.topic == "dead-letters"
    kept = RawFeedback.model_validate_json(letter.value)
    assert (kept.project_id, kept.external_id, kept.body) == (raw.project_id, raw.external_id, "It is slow")
    assert "SOULCASTER_PROJECTS_FROM_FEEDBACK" in headers(letter)["reason"]
