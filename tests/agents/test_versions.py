"""Two versions side by side: what a newer one adds is passed over, what it does in another way is set aside."""

import json
from typing import Any

import msgspec
import pytest

from agents.cluster import Cluster
from agents.near import Near
from agents.project import Project
from agents.runtime.runner import Agent
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.clustering.project.item_records import RECORD_BYTES
from soulcaster.domain.segments import Segments
from soulcaster.services.projection import Projection
from soulcaster.wire.embedded import EmbeddedEnvelope
from soulcaster.wire.feedback import ItemsEnvelope
from soulcaster.wire.project_config import ProjectConfig
from soulcaster.wire.topics import AGENTS
from tests.support.agents import (
    Flaky,
    HashEmbedder,
    Rows,
    embed_agent,
    headers,
    normalizer,
    record,
    run_batches,
    stored,
)
from tests.support.docs import MESSAGES, fences
from tests.support.make import NOW, item

EXAMPLES = {name: json.loads(text) for language, name, text in fences(MESSAGES) if language == "json"}

CASES = [
    (agent, topic.name, message)
    for agent, topics in AGENTS.items()
    for topic in topics
    for message in topic.message.split(", ")
]
each_message = pytest.mark.parametrize(("agent", "topic", "message"), CASES, ids=lambda part: str(part))


def agent_of(name: str, rows: Rows, publisher: Flaky, read_model: RedisReadModel) -> Agent:
    async def config_of(_project_id: str) -> ProjectConfig:
        return ProjectConfig()

    match name:
        case "normalize":
            return normalizer(config_of, publisher)
        case "embed":
            return embed_agent(rows.seen(), HashEmbedder(), publisher)
        case "cluster":
            return Cluster(clusters=rows.clusters(), stored=stored, publisher=publisher, clock=lambda: NOW)
        case "near":
            return Near(clusters=rows.clusters(), answers=read_model.near_answers)
        case "project":
            return Project(Projection(read_model.writer))
    raise LookupError(name)


def newer(value: Any) -> Any:
    """Return a message with a field more in each of its objects; a text, because one of them holds HTTP headers."""
    if isinstance(value, dict):
        return {name: newer(part) for name, part in value.items()} | {"added_later": "later"}
    return [newer(part) for part in value] if isinstance(value, list) else value


@each_message
async def test_a_newer_minor_version_passes(agent: str, topic: str, message: str, read_model: RedisReadModel) -> None:
    rows, publisher = Rows(), Flaky()
    sent = record(topic, json.dumps(newer(EXAMPLES[message])).encode())
    await run_batches(agent_of(agent, rows, publisher, read_model), [[sent]], publisher, rows)
    assert publisher.letters == []


@each_message
async def test_a_newer_major_version_is_set_aside_and_the_rest_goes_on(
    agent: str, topic: str, message: str, read_model: RedisReadModel
) -> None:
    rows, publisher = Rows(), Flaky()
    strange = json.dumps({**EXAMPLES[message], "schema_version": 2}).encode()
    good = json.dumps(EXAMPLES[message]).encode()
    batch = [record(topic, strange), record(topic, good)]
    await run_batches(agent_of(agent, rows, publisher, read_model), [batch], publisher, rows)
    [letter] = publisher.letters
    assert letter.value == strange
    assert headers(letter)["topic"] == topic
    assert "schema_version" in headers(letter)["reason"]


async def embedded(publisher: Flaky, *names: str) -> list[EmbeddedEnvelope]:
    """Return items as the agent `embed` sends them."""
    rows = Rows()
    agent = embed_agent(rows.seen(), HashEmbedder(), publisher)
    value = ItemsEnvelope(project_id="p1", items=tuple(item(name, "p1", body=name) for name in names)).to_bytes()
    await run_batches(agent, [[record("feedback.items", value)]], publisher, rows)
    return [EmbeddedEnvelope.model_validate_json(one.value) for one in publisher.of("feedback.embedded")]


def with_more_in_every_blob(row: bytes) -> bytes:
    """Return a row as a newer version might write it: a field more in each array, and blobs of a kind unknown here."""
    segments = Segments(RECORD_BYTES, {"0-0": row})
    blobs: dict[bytes, bytes] = {}
    for key, blob in segments.blobs().items():
        try:
            found = msgspec.msgpack.decode(blob)
        except msgspec.DecodeError:
            found = None
        kind, _, name = key.partition(b"\0")
        grows = kind.startswith(b"core") and name[:1] in (b"c", b"g", b"t", b"m") and isinstance(found, list)
        blobs[key] = msgspec.msgpack.encode([*found, "added later"]) if grows and found is not None else blob
        if kind.startswith(b"core"):
            blobs[kind + b"\0zadded"] = b"later"
    blobs[b"added\0later"] = b"later"
    [change] = Segments(RECORD_BYTES).commit(segments.records(), blobs)
    assert change.value is not None
    return change.value


async def test_rows_of_a_newer_minor_version_are_read(read_model: RedisReadModel) -> None:
    rows, publisher = Rows(), Flaky()
    first, second = await embedded(publisher, "late card"), await embedded(Flaky(), "blue card")
    one = record("feedback.embedded", first[0].to_bytes())
    await run_batches(agent_of("cluster", rows, publisher, read_model), [[one]], publisher, rows)
    [key] = rows
    rows.enter(0)
    rows[key] = with_more_in_every_blob(rows[key])
    other = record("feedback.embedded", second[0].to_bytes())
    assert await run_batches(agent_of("cluster", rows, publisher, read_model), [[other]], publisher, rows) != [0]
    assert publisher.letters == []
    state = await rows.clusters().state(0, "p1")
    assert all(state.cluster_of([str(i.id) for i in (*first[0].items, *second[0].items)]))


@pytest.mark.parametrize("agent", ["embed", "cluster"])
async def test_a_row_of_a_newer_major_version_sets_aside_what_needs_it(agent: str, read_model: RedisReadModel) -> None:
    rows, publisher = Rows(), Flaky()
    rows.enter(0)
    rows[b"0|p1|000000000000-000000000000"] = b"SEG2" + bytes(60)
    items = ItemsEnvelope(project_id="p1", items=(item("1", "p1"),)).to_bytes()
    other = ItemsEnvelope(project_id="p2", items=(item("1", "p2"),)).to_bytes()
    topic, values = "feedback.items", [items, other]
    if agent == "cluster":
        topic = "feedback.embedded"
        [mine] = await embedded(Flaky(), "late card")
        values = [mine.to_bytes(), mine.model_copy(update={"project_id": "p2"}).to_bytes()]
    sent = [record(topic, value) for value in values]
    await run_batches(agent_of(agent, rows, publisher, read_model), [sent], publisher, rows)
    [letter] = publisher.letters
    assert letter.value == values[0]
    assert "SEG2" in headers(letter)["reason"]
