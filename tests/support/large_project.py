"""A project of very many micro-clusters, as its rows hold it, made without placing one item after the other."""

from collections.abc import Iterable, Iterator
from uuid import UUID

import numpy as np

from soulcaster.domain.clustering.clusterer.clusters import Cluster
from soulcaster.domain.clustering.features.lexical import DIMENSIONS as WORD_DIMENSIONS
from soulcaster.domain.clustering.features.vectors import Vectors, unit
from soulcaster.domain.clustering.micro_clusters.micro_cluster import MicroCluster
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.item_records import RECORD_BYTES, ItemRecord, pack
from soulcaster.domain.clustering.project.steps import StepDraft
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.domain.feedback.items import ComparedItem
from soulcaster.domain.ids import cluster_id_for, id_bytes
from soulcaster.domain.segments import RowChange, Segments
from tests.support.make import NOW, compared_item

LARGE = EmbedderKey("hash", "1", 256)
_BLOCK = 1_024


def large_items(numbers: range) -> tuple[list[ComparedItem], Vectors]:
    """Return items that have nothing to do with each other, and their vectors."""
    rng = np.random.default_rng(numbers.start)
    items = [compared_item(n, text=f"thing{n} does not do what part{n * 7} of it says") for n in numbers]
    return items, unit(rng.standard_normal((len(numbers), LARGE.dimensions)).astype(np.float32))


def large_project(project_id: str, micro_clusters: int) -> Iterator[RowChange]:
    """Yield the changes of the table that make a project with about so many micro-clusters, a cluster for each."""
    project = ProjectClusters(project_id, Segments(RECORD_BYTES))
    yield from project.add(LARGE, *large_items(range(_BLOCK))).rows
    for start in range(_BLOCK, micro_clusters, _BLOCK):
        yield from _add(project, project_id, *large_items(range(start, start + _BLOCK)))


def _add(
    project: ProjectClusters, project_id: str, items: Iterable[ComparedItem], vectors: Vectors
) -> Iterable[RowChange]:
    """Let each item open a micro-cluster and a cluster."""
    state = project.clusterers[LARGE].state
    state.index.reserve(_BLOCK)
    draft = StepDraft()
    time = NOW.timestamp()
    slots = []
    for item in items:
        item_id = id_bytes(item.id)
        number = state.add_cluster(Cluster(cluster_id_for(project_id, str(UUID(bytes=item_id))), item.title, item.text))
        known = MicroCluster(
            item_id, item.title, item.text, (item.source,), time, time, (0, int.from_bytes(item_id[:8], "big"))
        )
        slot = state.index.open(known, number, ())
        state.clusters[number].slots.append(slot)
        state.count_in(slot, item, time, 0)
        draft.records[item_id] = pack(ItemRecord(state="assigned", slot=slot, time=time))
        slots.append(slot)
    state.seen += len(slots)
    state.index.join(slots, vectors, np.zeros((len(slots), WORD_DIMENSIONS), np.float32))
    return project._state.commit(draft).rows
