"""Which cluster is which after a round: ids stay with the substance. Pure: a snapshot in, a decision out.

Parts and clusters are matched by how many items they share, the largest share first, the older cluster where two are
equal. A part without a cluster is a new one, split off the cluster that most of it was in; a cluster without a part is
merged into the part that most of it went to. Then micro-clusters move, those that gain most first, if they gain enough
(`HYSTERESIS`), until a limit above which people would no longer recognize their clusters (`MOST_MOVED`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from soulcaster.domain.clustering.consolidation import titles
from soulcaster.domain.clustering.consolidation.join_threshold import JoinThreshold, join_threshold
from soulcaster.domain.clustering.consolidation.linkage import (
    MergeCandidate,
    RoundConstraints,
    merge_candidates,
    sums_by_part,
    weight_by_part,
)
from soulcaster.domain.clustering.consolidation.plan import Plan, plan
from soulcaster.domain.clustering.consolidation.split_candidates import SplitCandidate, split_candidates
from soulcaster.domain.clustering.consolidation.themes import ThemePlan, find_themes
from soulcaster.domain.clustering.consolidation.titles import Title
from soulcaster.domain.clustering.features.lexical import Lexicon
from soulcaster.domain.clustering.features.space import CoarseSearch
from soulcaster.domain.clustering.features.vectors import Slots, Vectors
from soulcaster.domain.clustering.micro_clusters.index import IndexSnapshot
from soulcaster.domain.clustering.micro_clusters.micro_cluster import MicroCluster

MOST_MOVED = 0.04
LEAST_BUDGET = 64
"""The largest share of the items, and the number always allowed, that change cluster in a round, merges aside."""

MOST_ITEMS = 20_000
MOST_MERGED = 4_096
"""The most items that change cluster and the most clusters that are merged in a round, even an unbounded one: what a
round changes is one row of a table, and writing it holds the stream up."""

HYSTERESIS = 0.02
"""A micro-cluster leaves its cluster only for one whose linkage is better by this."""

Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a round works on.

    It shares nothing with the live state but micro-cluster objects, of which it reads what never changes. Constraints
    and `micro_clusters` go by position in the index snapshot. `titled_sizes` are the clusters' sizes when their titles
    were computed, less what is archived; `theme_of` has the theme of each cluster that is in one; `unbounded` lifts the
    limits on what may change.
    """

    index: IndexSnapshot
    constraints: RoundConstraints
    micro_clusters: Sequence[MicroCluster]
    lexicon: Lexicon
    titled_sizes: Sequence[int]
    seen: int
    epoch: int
    unbounded: bool = False
    theme_of: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedMove:
    """A micro-cluster that changes cluster, and the linkages that decided; `to` is below zero for a new cluster."""

    slot: int
    to: int
    linkage: float
    old_linkage: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What a round changes; micro-clusters are slots.

    `merged` has the cluster that each merged one becomes an alias of; `parents` are those of the new clusters, by their
    numbers below zero; `moved_share` is the share of items that move, from 0 to 1; `complete` says that nothing was
    left to a later round; `description` is what people read; `themes` are groups of the clusters there are afterwards;
    `search` is built around the new background.
    """

    moves: tuple[PlannedMove, ...]
    merged: dict[int, int]
    parents: dict[int, int]
    moved_share: float
    complete: bool
    description: "Description"
    join: JoinThreshold
    merge_threshold: float
    themes: ThemePlan
    search: CoarseSearch


class Description:
    """What people read of a round: the titles of clusters, and what they may want to merge or split.

    It decides nothing, and most of it is outdated when another round follows at once. So each part is computed from the
    round's snapshot when it is first asked for; `compute` asks for all of it.
    """

    def __init__(
        self, snapshot: Snapshot, features: Vectors, found: Plan, final: Slots, highest: int, changed: Sequence[int]
    ) -> None:
        """`final` has the cluster of each micro-cluster: new ones are above `highest`, -1 first. `changed` get titles.

        Clusters that are new or have another size than when they were titled get titles, too.
        """
        self._snapshot = snapshot
        self._features = features
        self._found = found
        self._final = final
        self._highest = highest
        self._clusters = by_number(final)
        self._titles: dict[int, Title] = {}
        sizes = np.bincount(final, weights=snapshot.index.counts).astype(np.int64).tolist()
        titled = snapshot.titled_sizes
        touched = frozenset(changed)
        self.sizes = {
            self._name(number): sizes[number]
            for number in self._clusters
            if number in touched or number > highest or sizes[number] != titled[number]
        }
        """The items of each cluster that gets a title; its number is as in the decision, below zero for a new one."""

    def compute(self) -> None:
        """Compute everything that nobody has asked for yet."""
        _ = self.titles, self.merge_candidates, self.split_candidates

    @property
    def titles(self) -> dict[int, Title]:
        """Return all titles."""
        return {name: self.title(name) for name in self.sizes}

    def title(self, name: int) -> Title:
        """Return the title of one of `sizes`."""
        if name not in self._titles:
            snapshot = self._snapshot
            slots = self._clusters[name if name >= 0 else self._highest - name]
            self._titles[name] = titles.title(
                snapshot.index, self._features[slots], slots, snapshot.micro_clusters, snapshot.lexicon
            )
        return self._titles[name]

    @cached_property
    def merge_candidates(self) -> tuple[MergeCandidate, ...]:
        """Return pairs of clusters that were not merged, likeliest first; new clusters are left to the next round."""
        found, final = self._found, self._final
        counts = self._snapshot.index.counts
        linkages: dict[tuple[int, int], float] = {}
        for candidate in merge_candidates(found.smooth, counts, found.graph, found.part, found.thresholds):
            one, other = sorted((int(final[candidate.one]), int(final[candidate.other])))
            if one != other and other <= self._highest:
                linkages.setdefault((one, other), candidate.linkage)
        return tuple(MergeCandidate(one, other, linkage) for (one, other), linkage in linkages.items())

    @cached_property
    def split_candidates(self) -> tuple[SplitCandidate, ...]:
        """Return clusters that may be two, with slots."""
        index, constraints = self._snapshot.index, self._snapshot.constraints
        candidates = split_candidates(
            self._found, self._clusters, self._final, self._highest, index.counts, constraints
        )
        return tuple(
            replace(candidate, slots=tuple(index.slots[list(candidate.slots)].tolist())) for candidate in candidates
        )

    def _name(self, number: int) -> int:
        return number if number <= self._highest else self._highest - number


def decide_and_describe(snapshot: Snapshot) -> Decision:
    """Return what `decide` does, with all titles and proposals, so that finishing the round has nothing to compute."""
    decision = decide(snapshot)
    decision.description.compute()
    return decision


def decide(snapshot: Snapshot) -> Decision:
    """Consolidate and return what is to change; takes a while, and may run anywhere."""
    # 1. Plan what the clusters should be, around the new background.
    index = snapshot.index.centred()
    features = index.features()
    sources = _source_numbers(snapshot.micro_clusters)
    found = plan(features, index.counts, index.neighbours, index.worded, index.languages, sources, snapshot.constraints)

    # 2. Match the parts of the plan with the clusters.
    keeper, fates, parents = match(found.part, index.cluster_numbers, index.counts)

    # 3. Merge clusters that no part keeps, up to a limit; those above it stay whole until a later round.
    merged = dict(islice(fates.items(), MOST_MERGED))
    postponed = np.isin(index.cluster_numbers, list(fates.keys() - merged.keys()))
    current = _after_merges(index.cluster_numbers, merged)

    # 4. Move micro-clusters to where the plan has them, within the budget.
    wanted = np.array([keeper[part] for part in found.part.tolist()], np.int64)
    wanted[postponed] = index.cluster_numbers[postponed]
    moves, all_moved = _moves(found, current, wanted, keeper, snapshot)
    moved_items = int(index.counts[[move.slot for move in moves]].sum()) if moves else 0
    made = {move.to for move in moves if move.to < 0}

    # 5. See what is in each cluster afterwards; new clusters are numbered above all others, -1 first.
    final = current.astype(np.int64)
    highest = int(final.max(initial=-1))
    for move in moves:
        final[move.slot] = move.to if move.to >= 0 else highest - move.to

    # 6. Group the clusters into themes.
    themes = find_themes(found, final, index.counts, index.worded, snapshot.theme_of).renumbered(highest)

    # 7. Calibrate the join threshold. Titles, and what people may want to merge or split, follow when they are needed.
    changed = [*(int(current[move.slot]) for move in moves), *merged.values()]
    return Decision(
        moves=tuple(replace(move, slot=int(index.slots[move.slot])) for move in moves),
        merged=merged,
        parents={number: parent for number, parent in parents.items() if number in made},
        moved_share=moved_items / max(1, int(index.counts.sum())),
        complete=all_moved and not postponed.any(),
        description=Description(snapshot, features, found, final, highest, changed),
        join=join_threshold(final, np.where(index.foreign, 0, index.counts), found.graph, found.similarity),
        merge_threshold=found.merge_threshold,
        themes=themes,
        search=index.build_search(features),
    )


def _source_numbers(micro_clusters: Sequence[MicroCluster]) -> Slots:
    """Return a number for the sources of each micro-cluster, the same for the same sources."""
    numbers = {sources: at for at, sources in enumerate(sorted({mc.sources for mc in micro_clusters}))}
    return np.array([numbers[mc.sources] for mc in micro_clusters], np.int64)


class Matching(NamedTuple):
    """Parts and clusters, matched.

    `keeper` is the cluster of each part (below zero: new), `merged` what each cluster without a part is merged into,
    `parents` those of the new clusters.
    """

    keeper: dict[int, int]
    merged: dict[int, int]
    parents: dict[int, int]


def match(part: Slots, cluster: Numbers, counts: Slots) -> Matching:
    """Match parts and clusters by the items they share."""
    width = int(cluster.max(initial=0)) + 1
    pairs, where = np.unique(part * width + cluster, return_inverse=True)
    items = np.bincount(where, weights=counts)
    shared = sorted(zip((-items).tolist(), (pairs % width).tolist(), (pairs // width).tolist(), strict=True))
    keeper: dict[int, int] = {}
    kept: set[int] = set()
    for _, number, of in shared:
        if of not in keeper and number not in kept:
            keeper[of] = number
            kept.add(number)
    parents: dict[int, int] = {}
    for _, number, of in shared:
        if of not in keeper:
            keeper[of] = -1 - len(parents)
            parents[keeper[of]] = number
    merged: dict[int, int] = {}
    for _, number, of in shared:
        if number not in kept and number not in merged and keeper[of] >= 0:
            merged[number] = keeper[of]
    return Matching(keeper, merged, parents)


def by_number(cluster: Slots) -> dict[int, Slots]:
    """Return the micro-clusters of each cluster."""
    order = np.argsort(cluster, kind="stable")
    numbers, starts = np.unique(cluster[order], return_index=True)
    ends = [*starts[1:].tolist(), len(order)]
    return {
        number: order[start:end] for number, start, end in zip(numbers.tolist(), starts.tolist(), ends, strict=False)
    }


def _after_merges(cluster: Numbers, merged: Mapping[int, int]) -> Numbers:
    into = np.arange(int(cluster.max(initial=0)) + 1, dtype=cluster.dtype)
    into[list(merged)] = list(merged.values())
    return into[cluster]


def _moves(
    found: Plan, current: Numbers, wanted: Slots, keeper: Mapping[int, int], snapshot: Snapshot
) -> tuple[tuple[PlannedMove, ...], bool]:
    """Return what moves, and whether nothing is left to a later round.

    What a constraint asks for moves first and in any case.
    """
    moving = np.flatnonzero(wanted != current)
    if not len(moving):
        return (), True
    counts, unbounded = snapshot.index.counts, snapshot.unbounded
    linkage, old_linkage, gain = _gains(found, moving, current, counts, keeper)
    budget = most = MOST_ITEMS
    if not unbounded:
        budget = most = min(most, max(LEAST_BUDGET, int(MOST_MOVED * int(counts.sum()))))
    constrained = snapshot.constraints.must_link.keys() | snapshot.constraints.cannot_link.keys()
    moves: list[PlannedMove] = []
    all_moved = True
    for i in sorted(range(len(moving)), key=lambda i: (int(moving[i]) not in constrained, -gain[i], moving[i])):
        slot = int(moving[i])
        if slot not in constrained:
            if gain[i] < HYSTERESIS and not unbounded:
                break
            items = int(counts[slot])
            if items > budget:
                # A micro-cluster above the whole budget never moves, and nothing waits for it.
                all_moved = all_moved and items > most
                continue
            budget -= items
        moves.append(PlannedMove(slot, int(wanted[slot]), float(linkage[i]), float(old_linkage[i])))
    return tuple(moves), all_moved


def _gains(
    found: Plan, moving: Slots, current: Numbers, counts: Slots, keeper: Mapping[int, int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the linkage of moving micro-clusters where they go and where they are, and what they gain."""
    part_of = {number: part for part, number in keeper.items()}
    sums, weight = sums_by_part(found.smooth, counts, found.part), weight_by_part(counts, found.part)
    own = counts[moving].astype(np.float64)
    rows, to = found.smooth[moving], found.part[moving]
    linkage = (np.einsum("ij,ij->i", rows, sums[to]) - own) / np.maximum(weight[to] - own, 1)
    back = np.array([part_of[number] for number in current[moving].tolist()])
    old_linkage = np.einsum("ij,ij->i", rows, sums[back]) / np.maximum(weight[back], 1)
    # One that will be alone has no linkage to compare; what counts is that it is below the threshold where it is.
    gain = np.where(weight[to] > own, linkage, found.thresholds[moving]) - old_linkage
    return linkage, old_linkage, gain
