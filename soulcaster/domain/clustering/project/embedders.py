"""The embedders of a project, each with a clusterer of its own: vectors of two embedders cannot be compared."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from soulcaster.domain.clustering.clusterer.clusterer import Clusterer
from soulcaster.domain.clustering.clusterer.clusters import Cluster
from soulcaster.domain.clustering.clusterer.state import ClusterState
from soulcaster.domain.clustering.project.item_records import ItemRecord
from soulcaster.domain.embedder import EmbedderKey


class EmbedderClusters:
    """The clusters of one embedder; rows know the embedder by its number."""

    def __init__(self, number: int, key: EmbedderKey, clusterer: Clusterer) -> None:
        """Join an embedder and its clusterer."""
        self.number = number
        self.key = key
        self.label = key.label
        self.clusterer = clusterer

    @property
    def state(self) -> ClusterState:
        """Return the clusterer's state."""
        return self.clusterer.state

    def cluster_id(self, number: int) -> str:
        """Return the public id of a cluster."""
        return self.clusterer.state.clusters[number].id


@dataclass(frozen=True, slots=True)
class ItemLocation:
    """Where an item is: its cluster's number and, unless it is archived, the slot of its micro-cluster."""

    clusters: EmbedderClusters
    number: int
    slot: int | None

    @property
    def cluster_id(self) -> str:
        """Return the public id of its cluster."""
        return self.clusters.cluster_id(self.number)


class Embedders:
    """All embedders of a project, in the order in which they came."""

    def __init__(self, project_id: str) -> None:
        """Start with none."""
        self._project_id = project_id
        self._all: list[EmbedderClusters] = []
        self._by_key: dict[EmbedderKey, EmbedderClusters] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._all)

    def __iter__(self) -> Iterator[EmbedderClusters]:
        """Iterate in the order of their numbers."""
        return iter(self._all)

    def __getitem__(self, number: int) -> EmbedderClusters:
        """Return the embedder of a number."""
        return self._all[number]

    def __contains__(self, key: EmbedderKey) -> bool:
        """Return whether something of this embedder has come."""
        return key in self._by_key

    def of(self, key: EmbedderKey) -> EmbedderClusters:
        """Return an embedder.

        Raises:
            KeyError: nothing of it has come.
        """
        return self._by_key[key]

    def add(self, key: EmbedderKey, *, threshold: float | None) -> EmbedderClusters:
        """Add an embedder without clusters; `threshold` is the explicit join threshold, if there is one."""
        clusterer = Clusterer(self._project_id, key.dimensions, threshold=threshold)
        added = EmbedderClusters(len(self._all), key, clusterer)
        self._all.append(added)
        self._by_key[key] = added
        return added

    def renew_empty(self, *, threshold: float | None) -> None:
        """Give those that have no clusters yet a clusterer with another explicit threshold."""
        for clusters in self._all:
            if not len(clusters.state.clusters):
                clusters.clusterer = Clusterer(self._project_id, clusters.key.dimensions, threshold=threshold)

    # ---- looking up ----------------------------------------------------------------------------------------------

    @property
    def items(self) -> int:
        """Return the number of items, archived ones included."""
        return sum(clusters.state.seen for clusters in self._all)

    def filled(self) -> set[EmbedderKey]:
        """Return the embedders that have micro-clusters."""
        return {clusters.key for clusters in self._all if len(clusters.state.index)}

    def find_cluster(self, cluster_id: str) -> tuple[EmbedderClusters, int] | None:
        """Return the cluster that an id resolves to, by its number; None for an unknown id."""
        for clusters in self._all:
            number = clusters.state.clusters.find(cluster_id)
            if number is not None:
                return clusters, number
        return None

    def cluster(self, cluster_id: str) -> Cluster | None:
        """Return the cluster that an id resolves to; None for one that is unknown or deleted."""
        found = self.find_cluster(cluster_id)
        cluster = found[0].state.clusters[found[1]] if found else None
        return None if cluster is None or cluster.is_deleted else cluster

    def locate(self, record: ItemRecord | None) -> ItemLocation | None:
        """Return where the item of a record is, None for one that is deleted or has no record."""
        if record is None or record.state in ("done", "deleted"):
            return None
        clusters = self._all[record.embedder]
        if record.state == "archived":
            return ItemLocation(clusters, clusters.state.clusters.resolve(record.cluster), None)
        return ItemLocation(clusters, clusters.state.index.number_of(record.slot), record.slot)

    # ---- rows ----------------------------------------------------------------------------------------------------

    def dump_keys(self) -> bytes:
        """Return which embedders there are."""
        return json.dumps([[c.key.name, c.key.version, c.key.dimensions] for c in self._all]).encode()


def load_keys(blob: bytes) -> list[EmbedderKey]:
    """Return the embedders that `dump_keys` has written."""
    return [EmbedderKey(*key) for key in json.loads(blob)]
