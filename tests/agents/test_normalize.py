import json
from typing import Any

import pytest

from soulcaster.domain.ids import item_id
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.messaging import Record
from soulcaster.services.dead_letters import project_of
from soulcaster.services.item_watch import ITEM_SECONDS
from soulcaster.wire.feedback import Delivery, ItemsEnvelope, RawEnvelope, RawFeedback
from soulcaster.wire.project_config import GithubConfig, ProjectConfig, SentryConfig, SourcesConfig
from soulcaster.wire.topics import ENVELOPE_BYTES
from tests.support.agents import AT_MS, Flaky, headers, normalizer, record, run_batches
from tests.support.captured import load
from tests.support.item_watch import watch_of

TOPIC = "feedback.raw"
POISON = [
    b"",
    None,
    b"hello",
    b"\x00\xff",
    b'{"schema_version":9}',
    b'{"items":7}',
    b'{"project_id":"p1","source":"x"}',
]


def raw(external_id: object, project: str = "p1", **more: Any) -> bytes:
    said = {"project_id": project, "source": "x", "external_id": str(external_id), "body": "b"} | more
    return json.dumps(said).encode()


def accepted(publisher: Flaky) -> list[tuple[str, str]]:
    found = []
    for message in publisher.of("feedback.items"):
        envelope = ItemsEnvelope.model_validate_json(message.value)
        assert message.key == envelope.project_id.encode()
        assert all(i.project_id == envelope.project_id for i in envelope.items)
        found += [(i.project_id, i.external_id) for i in envelope.items]
    return found


async def run(publisher: Flaky, *batches: list[Record], **configs: ProjectConfig) -> list[int]:
    async def config_of(project_id: str) -> ProjectConfig:
        return configs.get(project_id, ProjectConfig())

    return await run_batches(normalizer(config_of, publisher), batches, publisher)


async def test_a_batch_is_one_message_a_project() -> None:
    publisher = Flaky()
    batch = [record(TOPIC, raw(n, f"p{n % 3}")) for n in range(30)]
    assert await run(publisher, batch) == [30]
    assert [m.key for m in publisher.sent] == [b"p0", b"p1", b"p2"]
    assert sorted(accepted(publisher)) == sorted((f"p{n % 3}", str(n)) for n in range(30))


@pytest.mark.parametrize("alone", [True, False])
async def test_poison_between_good_ones(alone: bool) -> None:
    publisher = Flaky()
    batch = []
    for n, poison in enumerate(POISON):
        batch += [record(TOPIC, raw(n)), record(TOPIC, poison, partition=n, key=b"k%d" % n)]
    batches = [[one] for one in batch] if alone else [batch]
    assert sum(await run(publisher, *batches)) == len(POISON)
    assert accepted(publisher) == [("p1", str(n)) for n in range(len(POISON))]
    assert [letter.value for letter in publisher.letters] == [poison or b"" for poison in POISON]
    for n, letter in enumerate(publisher.letters):
        original = batch[2 * n + 1]
        told = headers(letter)
        assert told.pop("reason")
        assert told.pop("project") == (project_of(original) or "")
        assert told == {"topic": TOPIC, "partition": str(n), "offset": str(original.offset), "timestamp": str(AT_MS)}
        assert letter.key == b"k%d" % n


async def test_an_item_of_an_envelope_is_set_aside_alone() -> None:
    publisher = Flaky()
    parts = [json.loads(raw(1)), {"project_id": "p1", "source": "x", "external_id": "2"}, json.loads(raw(3))]
    await run(publisher, [record(TOPIC, json.dumps({"items": parts}).encode())])
    assert accepted(publisher) == [("p1", "1"), ("p1", "3")]
    [letter] = publisher.letters
    assert json.loads(letter.value) == parts[1]
    assert headers(letter)["index"] == "1"
    assert "title or a body" in headers(letter)["reason"]


async def test_a_project_may_keep_personal_data() -> None:
    publisher = Flaky()
    batch = [
        record(TOPIC, raw(n, project, body="kim@example.com " * 10 ** (4 * n))) for n, project in ((0, "p1"), (1, "p2"))
    ]
    await run(publisher, batch, p2=ProjectConfig(mask_personal_data=False))
    first, second = (ItemsEnvelope.model_validate_json(m.value).items[0].body for m in publisher.of("feedback.items"))
    assert (first, second[:15]) == ("[email]", "kim@example.com")


def delivery(name: str, vendor: str = "github") -> Record:
    """Return a captured payload as a record."""
    captured = load(vendor, name)
    message = Delivery(project_id="p1", vendor=vendor, headers=captured.headers, payload=captured.payload)
    return record(TOPIC, message.to_bytes())


async def test_what_a_vendor_sent_is_parsed_here() -> None:
    publisher = Flaky()
    assert await run(publisher, [delivery("issue_opened"), delivery("ping"), delivery("event_alert", "sentry")]) == [2]
    [envelope] = (ItemsEnvelope.model_validate_json(m.value) for m in publisher.of("feedback.items"))
    assert [one.source for one in envelope.items] == ["github", "sentry"]
    assert envelope.items[0].updated_at is not None
    assert envelope.items[1].occurrence_id is not None
    assert publisher.letters == []


async def test_what_is_no_more_at_its_source_is_a_tombstone() -> None:
    publisher = Flaky()
    await run(publisher, [delivery("issue_opened"), delivery("issue_deleted")])
    opened, deleted = (ItemsEnvelope.model_validate_json(m.value) for m in publisher.of("feedback.items"))
    payload = load("github", "issue_deleted").payload
    assert [gone.id for gone in deleted.deleted] == [item_id("p1", "github", str(payload["issue"]["id"]))]
    assert (opened.deleted, deleted.items) == ((), ())


async def test_what_a_parser_refuses_is_set_aside_whole() -> None:
    publisher = Flaky()
    unknown = Delivery(project_id="p1", vendor="x", headers={}, payload=1)
    batch = [delivery("not_a_delivery"), record(TOPIC, unknown.to_bytes())]
    await run(publisher, batch)
    assert [letter.value for letter in publisher.letters] == [one.value for one in batch]
    assert "vendor 'x' is not known" in headers(publisher.letters[1])["reason"]


async def test_a_project_takes_what_its_filters_let_pass() -> None:
    records = [delivery("issue_opened"), delivery("event_alert", "sentry")]
    for sources, expected in (
        (SourcesConfig(), 2),
        (SourcesConfig(github=GithubConfig(enabled=False)), 1),
        (SourcesConfig(github=GithubConfig(labels=("no such label",))), 1),
        (SourcesConfig(sentry=SentryConfig(levels=("debug",))), 1),
        (SourcesConfig(sentry=SentryConfig(environments=("nowhere",))), 1),
    ):
        publisher = Flaky()
        assert await run(publisher, records, p1=ProjectConfig(sources=sources)) == [expected], sources


async def test_a_large_envelope_becomes_several() -> None:
    publisher = Flaky()
    items = tuple(RawFeedback(project_id="p1", source="x", external_id=str(n), body="x" * 9_000) for n in range(300))
    assert await run(publisher, [record(TOPIC, RawEnvelope(items=items).to_bytes())]) == [300]
    assert len(publisher.sent) > 4
    assert all(len(m.value) <= ENVELOPE_BYTES for m in publisher.sent)
    assert accepted(publisher) == [("p1", str(n)) for n in range(300)]


async def test_it_waits_while_kafka_is_away() -> None:
    publisher = Flaky(KafkaUnavailable(), KafkaUnavailable())
    await run(publisher, [record(TOPIC, raw(1)), record(TOPIC, b"poison")])
    assert accepted(publisher) == [("p1", "1")]
    assert len(publisher.letters) == 1


async def test_items_are_sent_before_letters() -> None:
    publisher = Flaky()
    await run(publisher, [record(TOPIC, b"poison"), record(TOPIC, raw(1))])
    assert publisher.log == ["feedback.items", "dead-letters"]


async def test_it_ends_when_even_the_letter_cannot_be_sent() -> None:
    publisher = Flaky(*[KafkaUnavailable() for _ in range(10_000)])
    with pytest.raises(KafkaUnavailable):
        await run(publisher, [record(TOPIC, b"poison")])
    assert publisher.sent == []


async def test_what_cannot_be_sent_is_set_aside_and_the_others_pass() -> None:
    publisher = Flaky()
    publisher.refuses = b"unlucky"
    bad = record(TOPIC, raw(2, body="unlucky"))
    assert await run(publisher, [record(TOPIC, raw(1)), bad, record(TOPIC, raw(3))], [record(TOPIC, raw(4))]) == [2, 1]
    assert accepted(publisher) == [("p1", "1"), ("p1", "3"), ("p1", "4")]
    [letter] = publisher.letters
    assert letter.value == bad.value
    assert "this cannot be sent" in headers(letter)["reason"]


async def test_an_item_that_takes_too_long_to_mask_is_a_dead_letter_and_the_batch_goes_on() -> None:
    async def config_of(_: str) -> ProjectConfig:
        return ProjectConfig()

    publisher = Flaky()
    watches = iter([watch_of(1, 1, 2, 2), watch_of(3, 3 + 2 * ITEM_SECONDS, 20, 20)])  # for reading, for masking
    agent = normalizer(config_of, publisher, new_watch=watches.__next__)
    batch = [record(TOPIC, raw("slow")), record(TOPIC, raw("quick"))]
    assert await run_batches(agent, [batch], publisher) == [1]
    assert accepted(publisher) == [("p1", "quick")]
    [letter] = publisher.of("dead-letters")
    assert "CPU time" in headers(letter)["reason"]


async def with_limits(publisher: Flaky, *batches: list[Record], projects: int = 100, sources: int = 100) -> list[int]:
    async def config_of(_: str) -> ProjectConfig:
        return ProjectConfig()

    return await run_batches(normalizer(config_of, publisher, projects=projects, sources=sources), batches, publisher)


def envelope(*parts: bytes) -> Record:
    return record(TOPIC, json.dumps({"items": [json.loads(part) for part in parts]}).encode())


async def test_feedback_makes_so_many_projects_and_no_more() -> None:
    publisher = Flaky()
    first = envelope(raw(1, "p1"), raw(1, "p2"), raw(1, "p3"), raw(2, "p3"), raw(1, "p4"))
    assert await with_limits(publisher, [first], [record(TOPIC, raw(3, "p3")), record(TOPIC, raw(3))], projects=2) == [
        2,
        1,
    ]
    assert accepted(publisher) == [("p1", "1"), ("p2", "1"), ("p1", "3")]
    assert [project_of(record(TOPIC, letter.value)) for letter in publisher.letters] == ["p3", "p4", "p3"]
    assert "SOULCASTER_PROJECTS_FROM_FEEDBACK" in headers(publisher.letters[0])["reason"]
    again = Flaky()
    await with_limits(again, [record(TOPIC, letter.value) for letter in publisher.letters])
    assert accepted(again) == [("p3", "1"), ("p3", "2"), ("p3", "3"), ("p4", "1")]


async def test_a_record_of_very_many_projects_is_one_dead_letter() -> None:
    publisher = Flaky()
    many = envelope(*(raw(1, f"q{n}") for n in range(3_000)))
    await with_limits(publisher, [many, record(TOPIC, raw(1, "q0"))], projects=1)
    assert accepted(publisher) == [("q0", "1"), ("q0", "1")]
    assert [letter.value for letter in publisher.letters] == [many.value]


async def test_what_is_deleted_in_a_project_that_may_not_be_made_is_nothing() -> None:
    publisher = Flaky()
    await with_limits(publisher, [record(TOPIC, raw(1, "a"))], [delivery("issue_deleted")], projects=1)
    assert accepted(publisher) == [("a", "1")]
    assert publisher.letters == []


async def test_an_item_of_a_source_too_many_is_generic() -> None:
    publisher = Flaky()
    batch = [record(TOPIC, raw(n, source=f"s{n}")) for n in range(4)]
    github = record(TOPIC, raw("g", source="github"))
    longest = record(TOPIC, raw("x" * 512, source="s4"))
    assert await with_limits(publisher, [*batch, github, longest], [envelope(raw(3, source="s3"))], sources=2) == [5, 1]
    items = [
        item
        for message in publisher.of("feedback.items")
        for item in ItemsEnvelope.model_validate_json(message.value).items
    ]
    assert [(item.source, item.external_id) for item in items] == [
        ("s0", "0"),
        ("s1", "1"),
        ("generic", "s2/2"),
        ("generic", "s3/3"),
        ("github", "g"),
        ("generic", "s3/3"),
    ]
    assert items[3].id == items[5].id == item_id("p1", "generic", "s3/3")
    assert [item.metadata.get("source") for item in items] == [None, None, "s2", "s3", None, "s3"]
    [letter] = publisher.letters
    assert "external_id may have" in headers(letter)["reason"]


async def test_a_project_that_is_full_stores_no_more_and_no_other_one_notices() -> None:
    publisher = Flaky()

    async def config_of(_: str) -> ProjectConfig:
        return ProjectConfig()

    batch = [record(TOPIC, raw(n, f"p{1 + n % 2}")) for n in range(4)]
    batch.append(record(TOPIC, json.dumps({"items": [json.loads(raw(n, "p1")) for n in (8, 9)]}).encode()))
    assert await run_batches(normalizer(config_of, publisher, stored=1_000), [batch], publisher) == [2]
    assert accepted(publisher) == [("p2", "1"), ("p2", "3")]
    assert [project_of(record(TOPIC, letter.value)) for letter in publisher.letters] == ["p1"] * 3
    assert all("SOULCASTER_PROJECT_STORED_MEGABYTES" in headers(letter)["reason"] for letter in publisher.letters)
    assert await run_batches(normalizer(config_of, Flaky(), stored=999), [batch], Flaky()) == [6]
