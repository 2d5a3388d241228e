"""Questions about what is near, as a project answers them: by ids of items and clusters."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from soulcaster.domain.clustering.clusterer.clusters import Clusters
from soulcaster.domain.clustering.clusterer.near import NearSearch, near_cluster, near_micro_cluster
from soulcaster.domain.clustering.micro_clusters.micro_cluster import MicroCluster
from soulcaster.domain.clustering.project.state import ProjectState
from soulcaster.domain.near import NEAREST, Near, NearAnswer


@dataclass(frozen=True, slots=True)
class NearQuestion:
    """A search that may run anywhere (`answer`), and what its answer is told by: micro-clusters by slot, and clusters.

    `same` are ids (16 bytes) of the items that are kept as one with the item asked about; `one_a_cluster` asks for
    clusters, each of which is named once.
    """

    search: NearSearch
    micro_clusters: Sequence[MicroCluster]
    clusters: Clusters
    same: Sequence[bytes] = ()
    one_a_cluster: bool = False

    def answer(self) -> NearAnswer:
        """Return what is near; takes a while."""
        near: list[Near] = []
        named: set[int] = set()
        for found in self.search.nearest():
            if self.one_a_cluster and found.number in named:
                continue
            named.add(found.number)
            near.append(Near(self.item_at(found.slot), self.clusters[found.number].id, found.meaning, found.words))
            if len(near) == NEAREST:
                break
        return NearAnswer(tuple(near), tuple(str(UUID(bytes=item_id)) for item_id in islice(self.same, NEAREST)))

    def item_at(self, slot: int) -> str:
        """Return the id of the first item of a micro-cluster."""
        return str(UUID(bytes=self.micro_clusters[slot].item_id))


def near_item_question(state: ProjectState, item_id: str) -> NearQuestion | None:
    """Return the question what is near an item, None for one that is unknown, deleted or archived."""
    [location] = state.locate([item_id])
    if location is None or location.slot is None:
        return None
    clusterer = location.clusters.state
    members = clusterer.index.members(location.slot)
    same = [member for member, _, _ in members if member != UUID(item_id).bytes]
    search = near_micro_cluster(clusterer, location.slot)
    return NearQuestion(search, [*clusterer.index.micro_clusters], clusterer.clusters, same)


def near_cluster_question(state: ProjectState, cluster_id: str) -> NearQuestion | None:
    """Return the question what is near a cluster, None for one that is unknown, deleted or archived."""
    found = state.embedders.find_cluster(cluster_id)
    if found is None:
        return None
    clusterer = found[0].state
    search = near_cluster(clusterer, found[1])
    if search is None:
        return None
    return NearQuestion(search, [*clusterer.index.micro_clusters], clusterer.clusters, one_a_cluster=True)
