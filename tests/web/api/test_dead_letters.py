"""GET /dead-letters and replay: their shapes, whose letters they are, and what is sent."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from soulcaster.ports.dead_letters import DeadLetter
from soulcaster.ports.messaging import Outgoing, Record
from soulcaster.services.dead_letters import REPLAYABLE
from soulcaster.wire.topics import TOPICS
from tests.support.answers import problem
from tests.support.web import Client, World

RAW = {"project_id": "p1", "source": "reviews"}


def raw(value: Any, offset: int = 17) -> Record:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Record("feedback.raw", 5, offset, 1_793_697_165_250, b"review-4713", data)


async def listed(client: Client, **query: str) -> Any:
    answer = await client.get("/dead-letters", params={"project_id": "p1", **query})
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def replayed(client: Client, world: World, letter: DeadLetter) -> Outgoing:
    sent = len(world.publisher.sent)
    answer = await client.post(f"/dead-letters/{letter.id}/replay", params={"project_id": "p1"})
    assert answer.status == 202, await answer.text()
    topic = letter.original.topic
    assert await answer.json() == {"status": "ok", "id": letter.id, "topic": topic, "project_id": "p1"}
    [message] = world.publisher.sent[sent:]
    return message


async def test_a_letter_is_shown_with_where_from_and_why(client: Client, world: World) -> None:
    assert await listed(client) == {"items": [], "before": None, "project_id": "p1"}
    value = json.dumps(RAW)
    world.dead_letters.put(raw(RAW), "body: Field required", index=2)
    assert (await listed(client))["items"] == [
        {
            "id": "0-0",
            "at": "2026-11-21T12:00:00Z",
            "topic": "feedback.raw",
            "partition": 5,
            "offset": 17,
            "index": 2,
            "reason": "body: Field required",
            "key": "review-4713",
            "key_base64": None,
            "value": value,
            "value_base64": None,
            "value_bytes": len(value),
            "cut": False,
        }
    ]


async def test_a_reason_that_quotes_strangers_is_cleaned(client: Client, world: World) -> None:
    world.dead_letters.put(raw(RAW), "vendor \x1b[31m\u202eevil\x9b is not known")
    assert (await listed(client))["items"][0]["reason"] == "vendor evil is not known"


async def test_what_is_not_text_is_base64_and_a_cut_character_is_left_out(client: Client, world: World) -> None:
    world.dead_letters.put(Record("feedback.items", 0, 0, 1, b"p1", b"\xff\x00"))
    letter = world.dead_letters.put(Record("feedback.items", 0, 0, 1, b"p1", "für".encode()))
    world.dead_letters.letters[1] = replace(letter, original=replace(letter.original, value=b"f\xc3"))
    cut, binary = (await listed(client))["items"]
    assert (cut["value"], cut["value_base64"], cut["value_bytes"], cut["cut"]) == ("f", None, 4, True)
    assert (binary["value"], base64.b64decode(binary["value_base64"]), binary["cut"]) == (None, b"\xff\x00", False)


async def test_pages_go_back_in_time(client: Client, world: World) -> None:
    for n in range(5):
        world.dead_letters.put(raw(RAW, n))
    first = await listed(client, limit="2")
    world.dead_letters.put(raw(RAW, 5))
    second = await listed(client, limit="2", before=first["before"])
    third = await listed(client, limit="2", before=second["before"])
    assert [[item["offset"] for item in page["items"]] for page in (first, second, third)] == [[4, 3], [2, 1], [0]]
    assert third["before"] is None


@pytest.mark.parametrize("query", [{"before": "x"}, {"before": "1--2"}, {"limit": "0"}, {"limit": "1001"}])
async def test_a_query_that_makes_no_sense_is_refused(client: Client, query: dict[str, str]) -> None:
    answer = await client.get("/dead-letters", params={"project_id": "p1", **query})
    assert (await problem(answer, 422))["errors"][0]["field"] == next(iter(query))


async def test_of_the_others_nothing_is_seen_or_sent(guarded: Client, world: World) -> None:
    letters = [
        world.dead_letters.put(record)
        for record in (
            raw({"project_id": "p2", "title": "theirs"}),
            raw({"items": [RAW, RAW | {"project_id": "p2"}]}),
            raw({"items": [RAW, {}]}),
            raw(b"not JSON: p1"),
            raw([RAW]),
            Record("control", 0, 0, 1, b"project:p1", b'{"project_id": "p1"}'),
            Record("feedback.items", 0, 0, 1, b"p1", b'{"project_id": "p2"}'),
            Record("feedback.items", 0, 0, 1, None, b'{"project_id": "p1"}'),
        )
    ]
    headers = await world.key("read", "write")
    answer = await guarded.get("/dead-letters", headers=headers)
    assert (await answer.json())["items"] == []
    sent = len(world.publisher.sent)
    for letter_id in (*(letter.id for letter in letters), "0-99", "x"):
        await problem(await guarded.post(f"/dead-letters/{letter_id}/replay", headers=headers), 404)
    assert len(world.publisher.sent) == sent


async def test_feedback_is_sent_again_as_it_was(client: Client, world: World) -> None:
    """With an external id not a byte differs, and the letter stays."""
    for original in (
        raw(b'{ "project_id":"p1", "external_id": "4713" }'),
        raw(b'{ "items": [{"project_id":"p1", "external_id": "4713"}] }'),
        Record("feedback.items", 1, 2, 3, b"p1", b'{"project_id": "p1", "items": [{}]}'),
        Record("feedback.embedded", 1, 2, 3, b"p1", b"\xff"),
    ):
        letter = world.dead_letters.put(original)
        assert await replayed(client, world, letter) == Outgoing(original.topic, original.key, original.value or b"")
    assert len((await listed(client))["items"]) == 4


async def test_an_item_without_an_id_is_the_same_item_however_often(client: Client, world: World) -> None:
    place = "feedback.raw/5/17/1793697165250"
    one = world.dead_letters.put(raw(RAW))
    of_envelope = world.dead_letters.put(raw(RAW), index=3)
    whole = world.dead_letters.put(raw({"schema_version": 9, "items": [RAW, RAW | {"external_id": "a"}]}))
    in_envelope = world.dead_letters.put(raw({"items": [RAW | {"external_id": "a"}, RAW]}), index=1)
    for _ in range(2):
        assert json.loads((await replayed(client, world, one)).value) == RAW | {"external_id": f"{place}/0"}
        assert json.loads((await replayed(client, world, of_envelope)).value) == RAW | {"external_id": f"{place}/3"}
        assert json.loads((await replayed(client, world, whole)).value) == {
            "schema_version": 9,
            "items": [RAW | {"external_id": f"{place}/0"}, RAW | {"external_id": "a"}],
        }
        assert json.loads((await replayed(client, world, in_envelope)).value) == RAW | {"external_id": f"{place}/1"}


@pytest.mark.parametrize("topic", [t.name for t in TOPICS if t.name not in {*REPLAYABLE, "control", "dead-letters"}])
async def test_what_is_no_feedback_is_not_sent_again(client: Client, world: World, topic: str) -> None:
    letter = world.dead_letters.put(Record(topic, 0, 0, 1, b"p1", b'{"type": "start_fix", "project_id": "p1"}'))
    assert [item["topic"] for item in (await listed(client))["items"]] == [topic]
    answer = await client.post(f"/dead-letters/{letter.id}/replay", params={"project_id": "p1"})
    assert topic in (await problem(answer, 409))["detail"]
    assert world.publisher.sent == []


async def test_without_kafka_it_is_503(client: Client, world: World) -> None:
    world.dead_letters.away = True
    await problem(await client.get("/dead-letters", params={"project_id": "p1"}), 503)
    await problem(await client.post("/dead-letters/0-0/replay", params={"project_id": "p1"}), 503)
