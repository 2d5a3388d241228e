import json
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import pytest

from agents.cluster import Cluster
from agents.embed import Embed
from soulcaster.adapters.embedders.static import StaticEmbedder
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.domain.feedback.items import Deleted, FeedbackItem, compared_item
from soulcaster.errors import EmbedderRefuses, KafkaUnavailable, Unavailable
from soulcaster.ports.embedder import Embedder
from soulcaster.ports.messaging import Record
from soulcaster.processes.worker import used_embedders
from soulcaster.services import retrying
from soulcaster.wire.embedded import EmbeddedEnvelope
from soulcaster.wire.feedback import ItemsEnvelope
from tables.segmented import SegmentedTable
from tests.support.agents import Flaky, HashEmbedder, Rows, embed_agent, headers, record, run_batches, stored
from tests.support.make import NOW, item

TOPIC = "feedback.items"


def envelope(*items: FeedbackItem, partition: int = 0) -> Record:
    value = ItemsEnvelope(project_id=items[0].project_id, items=items).to_bytes()
    return record(TOPIC, value, partition=partition, key=items[0].project_id.encode())


def embedded(publisher: Flaky) -> list[EmbeddedEnvelope]:
    found = []
    for message in publisher.of("feedback.embedded"):
        one = EmbeddedEnvelope.model_validate_json(message.value)
        assert message.key == one.project_id.encode()
        found.append(one)
    return found


def ids(publisher: Flaky) -> list[str]:
    return [i.id for e in embedded(publisher) for i in e.items]


async def run(rows: Rows, publisher: Flaky, *batches: list[Record], embedder: Embedder | None = None) -> list[int]:
    """Run as after a restart: the states are built from the rows."""
    agent = embed_agent(rows.seen(), embedder or HashEmbedder(), publisher)
    return await run_batches(agent, batches, publisher, rows)


@pytest.mark.parametrize("embedder", [HashEmbedder(), StaticEmbedder()], ids=["hash", "static"])
async def test_each_item_has_its_own_vector(embedder: HashEmbedder | StaticEmbedder) -> None:
    rows, publisher = Rows(), Flaky()
    of_p1 = [item(n, "p1", title="Late", body=f"{word} card") for n, word in enumerate(["late", "blue", "lost"])]
    of_p2 = [item(n, "p2", body=f"{word} login") for n, word in enumerate(["no", "slow"])]
    batch = [envelope(*of_p1[:2]), envelope(*of_p2, partition=3), envelope(of_p1[2])]
    assert await run(rows, publisher, batch, embedder=embedder) == [5]
    first, second = embedded(publisher)
    assert (first.project_id, second.project_id) == ("p1", "p2")
    assert (first.embedder.name, first.embedder.version) == (embedder.name, embedder.version)
    assert first.items == tuple(compared_item(i) for i in of_p1)
    for sent in (first, second):
        alone = np.concatenate([await embedder.embed([i.text]) for i in sent.items])
        assert np.abs(sent.matrix() - alone).max() < 1e-3
    assert sorted(key.decode().rsplit("|", 1)[0] for key in rows) == ["0|p1", "3|p2"]


async def test_what_was_seen_is_not_embedded_again() -> None:
    rows, publisher = Rows(), Flaky()
    assert await run(rows, publisher, [envelope(item(1), item(2))], [envelope(item(2), item(3))]) == [2, 1]
    assert await run(rows, publisher, [envelope(item(1), item(2), item(3))]) == [0]
    assert ids(publisher) == [item(n).id for n in (1, 2, 3)]
    assert len(publisher.sent) == 2
    # The same external id in another project is another item.
    assert await run(rows, publisher, [envelope(item(1, "p2"))]) == [1]


async def test_what_changed_is_embedded_again() -> None:
    rows, publisher = Rows(), Flaky()
    await run(rows, publisher, [envelope(item(1, body="old"))])
    assert await run(rows, publisher, [envelope(item(1, body="old"), item(1, body="new"))]) == [1]
    assert [i.text for e in embedded(publisher) for i in e.items] == ["My card is late\nold", "My card is late\nnew"]


async def test_twice_in_one_batch_is_once() -> None:
    rows, publisher, embedder = Rows(), Flaky(), HashEmbedder()
    batch = [envelope(item(1), item(1)), envelope(item(1))]
    assert await run(rows, publisher, batch, embedder=embedder) == [1]
    assert len(embedder.texts) == 1


async def test_it_is_marked_only_after_it_was_acknowledged() -> None:
    log: list[str] = []
    rows, publisher = Rows(log), Flaky(log=log)
    await run(rows, publisher, [envelope(item(1))])
    assert log == ["feedback.embedded", "row"]


async def test_it_waits_while_kafka_or_the_embedder_is_away() -> None:
    rows, publisher = Rows(), Flaky(KafkaUnavailable(), KafkaUnavailable())
    embedder = HashEmbedder(Unavailable())
    assert await run(rows, publisher, [envelope(item(1))], embedder=embedder) == [1]
    assert ids(publisher) == [item(1).id]
    assert await run(rows, publisher, [envelope(item(1))]) == [0]


async def test_nothing_is_marked_that_was_not_sent() -> None:
    rows = Rows()
    publisher = Flaky()
    publisher.refuses = b"unlucky"
    good, bad = envelope(item(1)), envelope(item(2, title="unlucky"))
    assert await run(rows, publisher, [good, bad, envelope(item(3))]) == [2]
    assert ids(publisher) == [item(1).id, item(3).id]
    [letter] = publisher.letters
    assert letter.value == bad.value
    assert headers(letter)["topic"] == TOPIC
    assert headers(letter)["offset"] == str(bad.offset)
    publisher.refuses = None  # it was not marked as seen, so a replay embeds it
    assert await run(rows, publisher, [good, bad]) == [1]
    assert ids(publisher) == [item(n).id for n in (1, 3, 2)]


async def test_a_mark_that_could_not_be_written_is_made_again() -> None:
    rows, publisher = Rows(), Flaky()
    rows.fail = [RuntimeError("the changelog is away")]
    assert await run(rows, publisher, [envelope(item(1))]) == [1]
    assert set(ids(publisher)) == {item(1).id}
    assert await run(rows, publisher, [envelope(item(1))]) == [0]


@pytest.mark.parametrize("value", [b"", None, b"hello", b"\xff", b'{"schema_version":2,"project_id":"p1","items":[]}'])
async def test_poison_is_set_aside_and_the_others_pass(value: bytes | None) -> None:
    rows, publisher = Rows(), Flaky()
    batch = [envelope(item(1)), record(TOPIC, value, partition=2), envelope(item(2))]
    assert await run(rows, publisher, batch) == [2]
    assert set(ids(publisher)) == {item(1).id, item(2).id}
    [letter] = publisher.letters
    assert letter.value == (value or b"")
    assert headers(letter)["partition"] == "2"


def gone(*ids: str, partition: int = 0) -> Record:
    tombstones = tuple(Deleted(i, NOW, f"delete {i}") for i in ids)
    value = ItemsEnvelope(project_id="p1", items=(), deleted=tombstones).to_bytes()
    return record(TOPIC, value, partition=partition)


def tombstones(publisher: Flaky) -> list[str]:
    return [one.id for e in embedded(publisher) for one in e.deleted]


async def test_what_was_deleted_is_told_and_never_embedded_again() -> None:
    rows, publisher = Rows(), Flaky()
    first, second = item(1), item(2)
    await run(rows, publisher, [envelope(first)], [gone(first.id)])
    assert [[*(i.id for i in e.items), *(d.id for d in e.deleted)] for e in embedded(publisher)] == [
        [first.id],
        [first.id],
    ]
    again = Flaky()
    assert await run(rows, again, [envelope(item(1, body="anew"), second)], [gone(first.id)]) == [1, 0]
    assert ids(again) == [second.id]
    assert tombstones(again) == [first.id]  # whoever deletes it again also waits for an outcome


async def test_an_item_and_its_tombstone_in_one_batch() -> None:
    rows, publisher, embedder = Rows(), Flaky(), HashEmbedder()
    batch = [envelope(item(1), item(2)), gone(item(1).id), envelope(item(1))]
    assert await run(rows, publisher, batch, embedder=embedder) == [1]
    assert (ids(publisher), tombstones(publisher), len(embedder.texts)) == ([item(2).id], [item(1).id], 1)
    assert await run(rows, publisher, [envelope(item(1))]) == [0]


async def test_a_tombstone_needs_no_embedder() -> None:
    rows, publisher = Rows(), Flaky()
    embedder = HashEmbedder(*[Unavailable()] * 99)
    assert await run(rows, publisher, [gone(item(1).id)], embedder=embedder) == [0]
    assert tombstones(publisher) == [item(1).id]


async def test_a_tombstone_that_was_not_sent_is_not_marked() -> None:
    rows, publisher = Rows(), Flaky(*[KafkaUnavailable()] * 2)
    rows.fail = [RuntimeError("the changelog is away")]
    await run(rows, publisher, [gone(item(1).id)])
    assert set(tombstones(publisher)) == {item(1).id}
    assert await run(rows, publisher, [envelope(item(1))]) == [0]


async def test_an_empty_envelope_is_nothing() -> None:
    rows, publisher = Rows(), Flaky()
    value = json.dumps({"project_id": "p1", "items": []}).encode()
    assert await run(rows, publisher, [record(TOPIC, value)]) == [0]
    assert publisher.sent == []
    assert rows == {}


# ---- embedders of projects -----------------------------------------------------------------------------------------


class Embedders:
    """The default, and those that projects began with, by name; `failures` are raised first."""

    def __init__(self, default: Embedder, *others: Embedder, failures: Iterable[Exception] = ()) -> None:
        self._default = default
        self._others = {embedder.name: embedder for embedder in others}
        self._failures = list(failures)

    async def choose(self, used: Sequence[EmbedderKey]) -> Embedder:
        if used and self._failures:
            raise self._failures.pop(0)
        return self._others[used[-1].name] if used else self._default


def of_dimensions(name: str, dimensions: int) -> HashEmbedder:
    embedder = HashEmbedder()
    embedder.name, embedder.dimensions = name, dimensions
    return embedder


async def embed_and_cluster(
    seen: Rows, clusters: SegmentedTable[ProjectClusters], rows: Rows, embedders: Embedders, *records: Record
) -> list[EmbeddedEnvelope]:
    """Run both agents; return what was embedded."""
    publisher = Flaky()
    used = partial(used_embedders, clusters)
    agent = Embed(seen=seen.seen(), embedders=embedders, used=used, publisher=publisher)
    await run_batches(agent, [records], publisher, seen)
    sent = embedded(publisher)
    cluster = Cluster(clusters=clusters, stored=stored, publisher=publisher, clock=lambda: NOW)
    await run_batches(cluster, [[record("feedback.embedded", one.to_bytes()) for one in sent]], publisher, rows)
    assert not publisher.letters
    return sent


async def test_a_project_keeps_its_embedder_when_the_settings_name_another_one() -> None:
    old, new = of_dimensions("old", 8), of_dimensions("new", 12)
    seen, rows = Rows(), Rows()
    clusters = rows.clusters()
    await embed_and_cluster(seen, clusters, rows, Embedders(old), envelope(item(1), item(2)))
    after = Embedders(new, old)
    restarted = rows.clusters()
    sent = await embed_and_cluster(
        seen, restarted, rows, after, envelope(item(3)), envelope(item(1, "p2")), envelope(item(4))
    )
    assert [(one.project_id, one.embedder.name, len(one.items)) for one in sent] == [("p1", "old", 2), ("p2", "new", 1)]
    assert [len(one.matrix()[0]) for one in sent] == [8, 12]
    assert [key.name for key in (await restarted.state(0, "p1")).embedders] == ["old"]
    assert [key.name for key in (await restarted.state(0, "p2")).embedders] == ["new"]
    assert len(new.texts) == 1


async def test_items_wait_while_their_embedder_is_not_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = of_dimensions("old", 8), of_dimensions("new", 12)
    seen, rows = Rows(), Rows()
    await embed_and_cluster(seen, rows.clusters(), rows, Embedders(old), envelope(item(1)))
    monkeypatch.setattr(retrying, "FIRST_WAIT_SECONDS", 0.01)
    after = Embedders(new, old, failures=[EmbedderRefuses("no key"), EmbedderRefuses("no key")])
    [sent] = await embed_and_cluster(seen, rows.clusters(), rows, after, envelope(item(2)))
    assert (sent.embedder.name, len(sent.items), new.texts) == ("old", 1, [])
