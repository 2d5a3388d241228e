"""What agents count of the work they do."""

import json
from collections.abc import Iterable

import numpy as np

from agents.cluster import Cluster
from agents.cluster_meter import count_failed_round, count_round, count_steps
from soulcaster.adapters.embedders.measured import MeasuredEmbedder
from soulcaster.domain.clustering.project.clusters import GIVEN_UP
from soulcaster.domain.clustering.project.steps import RoundOnTheWay, Step
from soulcaster.domain.events import ClusteringStatus
from soulcaster.errors import EmbedderRefuses, EmbedderUnavailable
from soulcaster.ports.messaging import Record
from soulcaster.wire.embedded import EmbeddedEnvelope, EmbedderId, pack_vectors
from soulcaster.wire.feedback import ItemsEnvelope
from soulcaster.wire.project_config import GithubConfig, ProjectConfig, SourcesConfig
from tests.support.agents import Flaky, HashEmbedder, Rows, embed_agent, normalizer, record, run_batches, stored
from tests.support.make import NOW, compared_item, item
from tests.support.metrics import Growth


def raw(external_id: int, source: str, project: str = "p1") -> Record:
    said = {"project_id": project, "source": source, "external_id": str(external_id), "body": "b"}
    return record("feedback.raw", json.dumps(said).encode())


async def test_items_are_counted_by_vendor_and_outcome_and_refusals_as_dead_letters() -> None:
    no_github = ProjectConfig(sources=SourcesConfig(github=GithubConfig(enabled=False)))

    async def config_of(project_id: str) -> ProjectConfig:
        return no_github if project_id == "p2" else ProjectConfig()

    publisher, growth = Flaky(), Growth()
    batch = [raw(1, "sentry"), raw(2, "my own shop"), raw(3, "github"), raw(4, "github", "p2")]
    await run_batches(normalizer(config_of, publisher), [[*batch, record("feedback.raw", b"no")]], publisher)
    assert growth.by("soulcaster_items_read_total", "source", "outcome") == {
        ("sentry", "accepted"): 1,
        ("other", "accepted"): 1,
        ("github", "accepted"): 1,
        ("github", "filtered"): 1,
        ("other", "refused"): 1,
    }
    assert growth.by("soulcaster_dead_letters_total", "topic", "kind") == {("feedback.raw", "invalid"): 1}
    assert growth.of("soulcaster_agent_records_total", agent="normalize") == 5
    assert growth.of("soulcaster_agent_results_total", agent="normalize") == 3
    assert growth.of("soulcaster_agent_batch_seconds_count", agent="normalize") == 1
    assert growth.of("soulcaster_agent_delay_seconds_bucket", agent="normalize", le="300.0") == 0  # it is from 2023


async def test_times_that_cannot_be_true_are_counted_by_vendor_and_field() -> None:
    async def config_of(project_id: str) -> ProjectConfig:
        return ProjectConfig()

    publisher, growth = Flaky(), Growth()
    told = {
        "project_id": "p1",
        "source": "sentry",
        "external_id": "1",
        "body": "b",
        "created_at": "2191-01-01T00:00:00Z",
        "updated_at": "2223-01-01T00:00:00Z",
    }
    batch = [record("feedback.raw", json.dumps(told).encode()), raw(2, "sentry")]
    await run_batches(normalizer(config_of, publisher), [batch], publisher)
    assert growth.by("soulcaster_times_replaced_total", "source", "field") == {
        ("sentry", "created_at"): 1,
        ("sentry", "updated_at"): 1,
    }


async def test_items_are_counted_by_verdict_duplicates_alone_too() -> None:
    rows, publisher, growth = Rows(), Flaky(), Growth()
    agent = embed_agent(rows.seen(), HashEmbedder(), publisher)

    def envelope(*numbers: int) -> Record:
        items = tuple(item(n) for n in numbers)
        return record("feedback.items", ItemsEnvelope(project_id="p1", items=items).to_bytes())

    await run_batches(agent, [[envelope(1, 2)], [envelope(2)]], publisher, rows)
    counted = growth.by("soulcaster_items_judged_total", "outcome")
    assert counted == {("new",): 2, ("duplicate",): 1}


async def test_a_batch_that_is_tried_again_is_counted_once() -> None:
    rows, growth = Rows(), Growth()
    publisher = Flaky(ValueError("not now"))
    agent = embed_agent(rows.seen(), HashEmbedder(), publisher)
    one = record("feedback.items", ItemsEnvelope(project_id="p1", items=(item(1),)).to_bytes())
    assert await run_batches(agent, [[one]], publisher, rows) == [1]
    assert growth.by("soulcaster_items_judged_total", "outcome") == {("new",): 1}


async def test_rounds_of_a_small_project_are_counted_those_that_fail_too() -> None:
    rows, publisher, growth, model = Rows(), Flaky(), Growth(), HashEmbedder()

    def envelope(numbers: Iterable[int]) -> Record:
        items = tuple(compared_item(f"word{n % 7} {n}", text=f"word{n % 7} {n}") for n in numbers)
        vectors = pack_vectors(np.stack([model.vector(i.text) for i in items]))
        embedder = EmbedderId(name="hash", version="1", dimensions=8)
        value = EmbeddedEnvelope(project_id="p1", embedder=embedder, items=items, vectors=vectors).to_bytes()
        return record("feedback.embedded", value)

    agent = Cluster(clusters=rows.clusters(), stored=stored, publisher=publisher, clock=lambda: NOW)
    await run_batches(agent, [[envelope(range(60))]], publisher, rows)
    applied = growth.by("soulcaster_rounds_total", "outcome")[("applied",)]
    assert applied >= 1
    assert growth.of("soulcaster_round_moved_share_count") == applied
    assert growth.of("soulcaster_round_seconds_count") == applied
    before = growth.of("soulcaster_round_seconds_sum")
    assert before > 0
    count_steps([Step(rounds=(RoundOnTheWay(None, 2.0), RoundOnTheWay(0.5, 1.5)))])
    assert growth.of("soulcaster_round_seconds_sum") == before + 3.5
    assert growth.by("soulcaster_rounds_total", "outcome") == {("applied",): applied + 1, ("failed",): 1}


async def test_placed_items_are_counted_by_what_happened_to_them() -> None:
    rows, publisher, growth, model = Rows(), Flaky(), Growth(), HashEmbedder()
    items = tuple(compared_item(text, text=text) for text in ("late a", "late b", "login c"))
    envelope = EmbeddedEnvelope(
        project_id="p1",
        embedder=EmbedderId(name="hash", version="1", dimensions=8),
        items=items,
        vectors=pack_vectors(np.stack([model.vector(i.text) for i in items])),
    )
    agent = Cluster(clusters=rows.clusters(), stored=stored, publisher=publisher, clock=lambda: NOW)
    await run_batches(agent, [[record("feedback.embedded", envelope.to_bytes())]], publisher, rows)
    assert growth.by("soulcaster_items_assigned_total", "change") == {("opened",): 2, ("joined",): 1}


def status(outcome: str, share: float = 0.0) -> Step:
    return Step((ClusteringStatus("idle", 1, outcome, NOW, 1.0, 9, 5, 2, share, 0.5, 1),))


def test_rounds_are_counted_by_outcome() -> None:
    growth = Growth()
    count_round(status("2 merged, 0 split off, 3.0% of the items moved", 0.03), 1.5)
    count_round(status(GIVEN_UP), 1.5)
    count_failed_round(0.5)
    assert growth.by("soulcaster_rounds_total", "outcome") == {("applied",): 1, ("given_up",): 1, ("failed",): 1}
    assert growth.of("soulcaster_round_seconds_sum") == 3.5
    assert growth.of("soulcaster_round_moved_share_count") == 1


async def test_calls_of_the_embedder_are_counted_by_outcome() -> None:
    growth = Growth()
    embedder = MeasuredEmbedder(HashEmbedder(EmbedderUnavailable(), EmbedderRefuses(), LookupError()))
    for _ in range(3):
        try:
            await embedder.embed(["late"])
        except (EmbedderUnavailable, EmbedderRefuses, LookupError):
            continue
    assert (await embedder.embed(["late", "login"])).shape == (2, 8)
    assert growth.by("soulcaster_embedder_calls_total", "outcome") == {
        ("unavailable",): 1,
        ("refuses",): 1,
        ("failed",): 1,
        ("ok",): 1,
    }
    assert growth.of("soulcaster_embedder_texts_total", embedder="hash") == 2
    assert growth.of("soulcaster_embedder_seconds_count", embedder="hash") == 4
