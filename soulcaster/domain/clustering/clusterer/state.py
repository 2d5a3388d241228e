"""The state of one project and embedder, and its primitive changes; other classes decide what to change."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from soulcaster.domain.clustering.clusterer.archive import NOTHING, Archive, Archived
from soulcaster.domain.clustering.clusterer.changes import ProposedChange
from soulcaster.domain.clustering.clusterer.clusters import Cluster, Clusters, with_source
from soulcaster.domain.clustering.clusterer.constraints import Constraint, Constraints
from soulcaster.domain.clustering.clusterer.progress import Calibration, Dirty, RoundProgress
from soulcaster.domain.clustering.clusterer.themes import Themes
from soulcaster.domain.clustering.consolidation import titles
from soulcaster.domain.clustering.features.lexical import Lexicon
from soulcaster.domain.clustering.micro_clusters.fingerprints import Fingerprints
from soulcaster.domain.clustering.micro_clusters.index import MicroClusterIndex
from soulcaster.domain.clustering.micro_clusters.micro_cluster import MicroCluster, shortened
from soulcaster.domain.clustering.templates.index import TemplateIndex
from soulcaster.domain.clustering.templates.kinds import Kinds
from soulcaster.domain.feedback.items import ComparedItem
from soulcaster.domain.ids import id_bytes


class ClusterState:
    """Micro-clusters, clusters and everything known about them."""

    def __init__(self, project_id: str, dimensions: int, *, explicit_threshold: float | None = None) -> None:
        """Start empty; with an explicit threshold, words do not count in similarities."""
        self.project_id = project_id
        self.explicit_threshold = explicit_threshold
        if explicit_threshold is None:
            self.index = MicroClusterIndex(dimensions)
        else:
            self.index = MicroClusterIndex(dimensions, word_share=0.0)
        self.clusters = Clusters()
        self.themes = Themes()
        self.archive = Archive()
        self.lexicon = Lexicon()
        self.fingerprints = Fingerprints(self.index)
        self.templates = TemplateIndex()
        self.kinds = Kinds()
        self.seen = 0
        self.calibration = Calibration()
        self.progress = RoundProgress()
        self.proposals: tuple[ProposedChange, ...] = ()
        self.constraints = Constraints()
        self.dirty = Dirty()

    @property
    def live_items(self) -> int:
        """Return the number of items that are not archived."""
        return self.seen - self.archive.items

    def cluster_at(self, slot: int) -> Cluster:
        """Return the cluster of a micro-cluster."""
        return self.clusters[self.index.number_of(slot)]

    # ---- clusters ------------------------------------------------------------------------------------------------

    def add_cluster(self, cluster: Cluster) -> int:
        """Add a cluster and return its number."""
        number = self.clusters.add(cluster)
        self.dirty.clusters.add(number)
        return number

    def merge(self, fates: Mapping[int, int]) -> None:
        """Merge clusters (keys) into others (values), which keep their triage and their theme."""
        self.themes.stale = True
        for number, into in fates.items():
            loser, winner = self.clusters[number], self.clusters[into]
            for slot in loser.slots:
                self.index.assign(slot, into)
            winner.slots += loser.slots
            winner.archived += loser.archived
            winner.size += loser.size
            winner.first, winner.last = min(winner.first, loser.first), max(winner.last, loser.last)
            for source in loser.sources:
                winner.sources = with_source(winner.sources, source)
            winner.pinned = winner.pinned or loser.pinned
            winner.given_title = winner.given_title or loser.given_title
            winner.theme_id = winner.theme_id or loser.theme_id
            loser.slots, loser.archived, loser.size = [], NOTHING, 0
            loser.merged_into = into
            self.dirty.clusters.update((number, into))
            if loser.titled_size > 1:
                self.dirty.titles.add(number)
        for into in set(fates.values()):
            self.clusters[into].slots.sort()

    def reassign(self, destinations: Mapping[int, int]) -> None:
        """Put micro-clusters (keys) into clusters (values)."""
        self.themes.stale = True
        left: dict[int, set[int]] = {}
        for slot in destinations:
            left.setdefault(self.index.number_of(slot), set()).add(slot)
        for number, slots in left.items():
            cluster = self.clusters[number]
            cluster.slots = [slot for slot in cluster.slots if slot not in slots]
        for slot, number in destinations.items():
            self.index.assign(slot, number)
            self.clusters[number].slots.append(slot)
        for number in left.keys() | set(destinations.values()):
            self.recount(number)
            self.dirty.clusters.add(number)

    def recount(self, number: int) -> None:
        """Compute a cluster's size, sources and times from its micro-clusters and what it has archived."""
        cluster = self.clusters[number]
        cluster.slots.sort()
        cluster.size = cluster.archived.items
        if cluster.slots:
            cluster.size += int(self.index.counts[cluster.slots].sum())
        parts: list[MicroCluster | Archived] = [self.index.micro_clusters[slot] for slot in cluster.slots]
        if cluster.archived:
            parts.append(cluster.archived)
        cluster.sources = tuple(sorted({source for part in parts for source in part.sources}))
        cluster.first = min((part.first for part in parts), default=cluster.first)
        cluster.last = max((part.last for part in parts), default=cluster.last)

    def set_title(self, number: int, title: titles.Title) -> None:
        """Set a cluster's automatic title, summary, terms and coherence."""
        cluster = self.clusters[number]
        cluster.title, cluster.summary, cluster.terms = title.title, title.summary, title.terms
        cluster.coherence = title.coherence
        self.set_titled_size(number, title.size)

    def set_titled_size(self, number: int, items: int) -> None:
        """Note that a cluster gets the title of so many items, which do not include those that it has archived."""
        self.clusters[number].titled_size = items + self.clusters[number].archived.items
        self.dirty.titles.add(number)

    def retitle(self, numbers: Iterable[int]) -> None:
        """Compute title, terms and coherence of these clusters again; one without micro-clusters keeps its own."""
        for number in numbers:
            slots = np.array(self.clusters[number].slots)
            if len(slots):
                features = self.index.features_at(slots)
                found = titles.title(self.index, features, slots, self.index.micro_clusters, self.lexicon)
                self.set_title(number, found)

    def settle_themes(self) -> tuple[int, ...]:
        """Bring the themes up to date with the clusters; return the clusters that this takes out of a theme."""
        before = self.themes.settled
        left = self.themes.settle(self.clusters, self.index)
        self.dirty.clusters.update(left)
        self.dirty.themes |= before != self.themes.settled
        return left

    def regress_if_newer(self, number: int) -> bool:
        """Make a resolved cluster regressed if it has newer feedback; return whether it did."""
        cluster = self.clusters[number]
        if cluster.triage != "resolved" or cluster.last <= cluster.resolved_at:
            return False
        cluster.triage = "regressed"
        self.dirty.clusters.add(number)
        return True

    # ---- items ---------------------------------------------------------------------------------------------------

    def count_in(self, slot: int, item: ComparedItem, time: float, fingerprint: int) -> None:
        """Count an item into its micro-cluster and its cluster; `time` is in epoch seconds."""
        number = self.index.number_of(slot)
        cluster, micro_cluster = self.clusters[number], self.index.micro_clusters[slot]
        item_id = id_bytes(item.id)
        micro_cluster.sources = with_source(micro_cluster.sources, item.source)
        micro_cluster.first = min(micro_cluster.first, time)
        micro_cluster.last = max(micro_cluster.last, time)
        micro_cluster.add_member(item_id, time, fingerprint)
        if not micro_cluster.has_text:  # the item that it came from was deleted
            micro_cluster.text_of = item_id
            micro_cluster.title, micro_cluster.summary = shortened(item)
            if micro_cluster.template is None:
                [micro_cluster.words] = self.lexicon.words([item.text])
            if cluster.titled_size == 1:
                self.dirty.titles.add(number)
        cluster.size += 1
        cluster.sources = with_source(cluster.sources, item.source)
        cluster.first = min(cluster.first, time)
        cluster.last = max(cluster.last, time)

    def count_archived(self, slot: int, items: int) -> Archived:
        """Count items of a micro-cluster, by their number, as archived in its cluster; return what that adds."""
        micro_cluster, number = self.index.micro_clusters[slot], self.index.number_of(slot)
        archived = Archived(items, micro_cluster.first, micro_cluster.last, micro_cluster.sources)
        self.archive.add(number, archived)
        self.dirty.clusters.add(number)
        return archived

    def refresh_archived(self) -> list[int]:
        """Compute what each cluster has archived, its aliases included; return those for which it has changed."""
        totals = self.archive.totals(self.clusters.resolve)
        differs = [number for number, c in enumerate(self.clusters) if c.archived != totals.get(number, NOTHING)]
        for number in differs:
            self.clusters[number].archived = totals.get(number, NOTHING)
        return differs

    # ---- micro-clusters ------------------------------------------------------------------------------------------

    def free(self, slots: Sequence[int]) -> None:
        """Take micro-clusters out of their clusters and give up their slots, and proposals that name them."""
        freed = set(slots)
        released = {
            text
            for slot in slots
            for text in self.fingerprints.release(slot, self.index.micro_clusters[slot].fingerprints)
        }
        for number in set(self.index.cluster_numbers[slots].tolist()):
            self.clusters[number].slots = [slot for slot in self.clusters[number].slots if slot not in freed]
        self.index.free(slots)
        for slot in slots:
            self.templates.remove(slot)
        self.fingerprints.reassign(released)
        self.proposals = tuple(
            p
            for p in self.proposals
            if freed.isdisjoint(p.slots) and all(self.clusters[n].slots for n in (p.one, p.other) if n >= 0)
        )

    # ---- constraints ---------------------------------------------------------------------------------------------

    def constrain(self, constraint: Constraint) -> None:
        """Add what a command leaves behind; a round has to see it."""
        self.constraints.add(constraint)
        self.dirty.commands.add(constraint.command_id)
        self.progress.new_epoch()
