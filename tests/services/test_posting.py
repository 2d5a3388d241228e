import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from soulcaster.ports.messaging import Outgoing, Record
from soulcaster.services.intake import read
from soulcaster.services.posting import FeedbackPosts, PostableItem, read_items
from soulcaster.wire.feedback import ENVELOPE_ITEMS, RawEnvelope, of_project, raw_envelopes
from soulcaster.wire.topics import ENVELOPE_BYTES, FEEDBACK_RAW
from tests.support.make import NOW_MS
from tests.support.publisher import PARTITIONS, RecordingPublisher

AT = datetime(2026, 11, 21, tzinfo=UTC)


def value(external_id: str, body: str = "It crashes", **more: Any) -> bytes:
    item = {"project_id": "p", "source": "s", "external_id": external_id, "body": body}
    return json.dumps(item | more).encode()


def ready(*values: bytes) -> list[PostableItem]:
    items, refused = read_items(values, AT)
    assert refused == []
    return items


async def posted(*values: bytes) -> list[Outgoing]:
    publisher = RecordingPublisher()
    await FeedbackPosts(publisher).post(ready(*values))
    return publisher.sent


async def partitions(sent: list[Outgoing]) -> dict[int, list[tuple[str, str]]]:
    """Return (external id, text) of all items of each partition, in order."""
    stand: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for message in sent:
        assert message.topic == FEEDBACK_RAW.name
        assert message.key is not None
        [partition] = await RecordingPublisher().partitions(message.topic, [message.key])
        accepted, refused, _ = read(Record(message.topic, partition, 0, NOW_MS, message.key, message.value))
        assert refused == []
        stand[partition] += [(one.item.external_id, one.item.body) for one in accepted]
    return stand


async def test_one_item_travels_alone_under_its_id() -> None:
    [item] = ready(value("1"))
    [message] = await posted(value("1"))
    assert message == Outgoing(FEEDBACK_RAW.name, item.item.id.encode(), value("1"), of_project("p"))


async def test_items_of_two_projects_share_no_message() -> None:
    sent = await posted(*(value(str(n), project_id=f"p{n % 2}") for n in range(1000)))
    assert len(sent) == 2 * PARTITIONS
    for message in sent:
        accepted, _, _ = read(Record(message.topic, 0, 0, NOW_MS, message.key, message.value))
        assert {of_project(one.item.project_id) for one in accepted} == {message.headers}


async def test_many_items_share_a_message_for_each_partition() -> None:
    sent = await posted(*(value(str(n)) for n in range(1000)))
    assert len(sent) == PARTITIONS
    stand = await partitions(sent)
    assert len(stand) == PARTITIONS
    assert sorted(pair for part in stand.values() for pair in part) == sorted(
        (str(n), "It crashes") for n in range(1000)
    )


@given(versions=st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("123456789")), min_size=1))
async def test_versions_of_an_item_stand_in_one_partition_in_their_order(versions: list[tuple[str, str]]) -> None:
    """However they are cut into requests: a version posted alone goes to the same partition as those of a batch."""
    values = [value(key, text) for key, text in versions]
    together = await posted(*values)
    alone = [message for one in values for message in await posted(one)]
    for sent in (together, alone, together + alone):
        stand = await partitions(sent)
        for key in dict(versions):
            [texts] = filter(None, ([text for of, text in part if of == key] for part in stand.values()))
            expected = [text for of, text in versions if of == key]
            assert texts == (expected * 2 if len(sent) > len(alone) else expected)


def test_what_would_be_refused_behind_kafka_is_told_with_its_place_and_its_fields() -> None:
    items, refused = read_items([value("1"), value("2", " \x00"), value("3", "x" * 300_000), value("", "x")], AT)
    assert [one.item.external_id for one in items] == ["1"]
    assert [(one.index, [field for field, _ in one.faults]) for one in refused] == [
        (1, ["body"]),
        (2, [""]),
        (3, ["external_id"]),
    ]
    assert "bytes" in refused[1].faults[0][1]


@given(sizes=st.lists(st.integers(1, 200_000), max_size=20))
def test_envelopes_hold_everything_once_and_stay_below_their_limit(sizes: list[int]) -> None:
    made = list(raw_envelopes([value(str(i), "x" * size) for i, size in enumerate(sizes)]))
    assert all(len(envelope) <= ENVELOPE_BYTES for envelope in made)
    inside = [one.external_id for envelope in made for one in RawEnvelope.model_validate_json(envelope).items]
    assert inside == [str(i) for i in range(len(sizes))]


def test_an_envelope_holds_some_hundred_items() -> None:
    made = [RawEnvelope.model_validate_json(one) for one in raw_envelopes([value("1")] * (2 * ENVELOPE_ITEMS + 1))]
    assert [len(envelope.items) for envelope in made] == [ENVELOPE_ITEMS, ENVELOPE_ITEMS, 1]
