"""No agent holds up the worker's event loop, whatever the largest batch carries."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pytest
from pydantic import TypeAdapter

from agents.cluster import Cluster
from agents.project import Project
from agents.runtime.batches import BATCH_BYTES, MAX_RECORDS
from agents.runtime.runner import Agent
from soulcaster.adapters.embedders.static import StaticEmbedder
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.events import ClusterChanged, ClusterEvent, ItemAssigned
from soulcaster.domain.feedback.items import FeedbackItem, compared_item
from soulcaster.ports.messaging import Record
from soulcaster.services.projection import Projection
from soulcaster.wire.cluster_events import event_envelopes
from soulcaster.wire.embedded import EmbedderId, embedded_envelopes
from soulcaster.wire.feedback import items_envelopes
from soulcaster.wire.project_config import ProjectConfig
from tests.support.agents import Flaky, Rows, embed_agent, normalizer, record, run_batches, stored
from tests.support.loop_steps import measured_steps, too_long
from tests.support.make import NOW, item
from tests.support.worst_bodies import LETTERS

LONG, SHORT = 150_000, 4_000
"""Bytes of long texts; how many short items there are at most."""

EMBEDDER = StaticEmbedder()
ITEM: TypeAdapter[FeedbackItem] = TypeAdapter(FeedbackItem)


def _long() -> list[FeedbackItem]:
    return [item(n, body=f"late {n}" + LETTERS * (LONG // len(json.dumps(LETTERS)))) for n in range(20)]


def _short() -> list[FeedbackItem]:
    return [item(n, body=f"late {n}") for n in range(SHORT)]


def _of_projects() -> list[FeedbackItem]:
    return [item(1, f"p{n}", body=f"late {n}") for n in range(MAX_RECORDS)]


ITEMS = {"long texts": _long, "short texts": _short, "projects": _of_projects}


def _raw(project: str, items: Sequence[FeedbackItem]) -> Iterator[bytes]:
    for first in range(0, len(items), 500):
        some = [
            {"project_id": project, "source": one.source, "title": one.title, "body": one.body, "external_id": one.id}
            for one in items[first : first + 500]
        ]
        for one in some if len(some[0]["body"]) > 1_000 else [{"items": some}]:
            yield json.dumps(one).encode()


def _stored(project: str, items: Sequence[FeedbackItem]) -> Iterator[bytes]:
    return items_envelopes(project, [ITEM.dump_json(one) for one in items])


def _embedded(project: str, items: Sequence[FeedbackItem]) -> Iterator[bytes]:
    dimensions = 256
    vectors = np.random.default_rng(1).normal(size=(len(items), dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    embedder = EmbedderId(name="hash", version="1", dimensions=dimensions)
    return embedded_envelopes(project, embedder, [compared_item(one) for one in items], vectors)


def _assigned(project: str, items: Sequence[FeedbackItem]) -> Iterator[bytes]:
    events: list[ClusterEvent] = []
    for one in items:
        title = one.body[:200]
        events.append(ItemAssigned(one.id, NOW, one.id, change="joined", score=0.9, threshold=0.5, reason=title))
        events.append(ClusterChanged(one.id, title, title, 1, ("manual",), NOW, NOW))
    return event_envelopes(project, events)


Envelopes = Callable[[str, Sequence[FeedbackItem]], Iterator[bytes]]


def _batch(topic: str, items: Sequence[FeedbackItem], envelopes: Envelopes) -> list[Record]:
    """Return these items as the records of one batch, as many as it takes."""
    projects: dict[str, list[FeedbackItem]] = defaultdict(list)
    for one in items:
        projects[one.project_id].append(one)
    records: list[Record] = []
    size = 0
    for project, some in projects.items():
        for value in envelopes(project, some):
            size += len(value)
            if size <= BATCH_BYTES:
                records.append(record(topic, value, key=project.encode()))
    return records


async def _config_of(project_id: str) -> ProjectConfig:
    return ProjectConfig()


@pytest.mark.parametrize("kind", ITEMS)
@pytest.mark.parametrize(
    ("name", "topic", "envelopes"),
    [
        ("normalize", "feedback.raw", _raw),
        ("embed", "feedback.items", _stored),
        ("cluster", "feedback.embedded", _embedded),
        ("project", "feedback.items", _stored),
        ("project", "cluster.events", _assigned),
    ],
)
async def test_no_batch_holds_up_the_loop(
    read_model: RedisReadModel, name: str, topic: str, envelopes: Envelopes, kind: str
) -> None:
    records = _batch(topic, ITEMS[kind](), envelopes)
    done: list[int] = []

    async def work() -> None:
        rows, publisher = Rows(), Flaky()
        agents: Mapping[str, Agent] = {
            "normalize": normalizer(_config_of, publisher),
            "embed": embed_agent(rows.seen(), EMBEDDER, publisher),
            "cluster": Cluster(clusters=rows.clusters(), stored=stored, publisher=publisher, clock=lambda: NOW),
            "project": Project(Projection(read_model.writer)),
        }
        done.extend(await run_batches(agents[name], [records], publisher, rows))
        assert not publisher.letters

    with measured_steps() as steps:
        steps.own = None
        assert await too_long(steps, work) is None
    assert done[0] > 0
