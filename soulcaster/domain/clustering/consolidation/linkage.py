"""Average linkage of micro-clusters along a graph, with constraints. Pure: arrays in, a dendrogram out.

Reciprocal nearest neighbours are merged pass by pass. For a reducible linkage, this gives the same dendrogram as
merging one pair at a time (Murtagh 1983).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from soulcaster.domain.clustering.consolidation.graph import near_pairs, pair_dots, unique_pairs
from soulcaster.domain.clustering.features.space import CHUNK_ROWS
from soulcaster.domain.clustering.features.vectors import Slots, Vectors

NEARLY = 0.15
"""Pairs of parts whose linkage is below the merge threshold by at most this are merge candidates."""

MOST_CANDIDATES = 100

_TOGETHER = 16
"""So many rows of a part are added together with those of all other parts, the rest part by part."""

Sides = Mapping[int, int]
"""The side of each separation that a micro-cluster is on: separation -> 0 or 1. Two that differ in one never meet."""


@dataclass(frozen=True, slots=True)
class RoundConstraints:
    """What people decided, by micro-cluster, and how fine they want clusters to be.

    Micro-clusters with the same must-link id stay together, those on two sides of a cannot-link apart, and a part with
    fixed ones is not merged with any other.
    """

    must_link: Mapping[int, int] = field(default_factory=dict)
    cannot_link: Mapping[int, Sides] = field(default_factory=dict)
    fixed: frozenset[int] = frozenset()
    granularity: str = "auto"


@dataclass(frozen=True, slots=True)
class MergeCandidate:
    """Two parts, or the clusters they became, that were not merged, and their linkage."""

    one: int
    other: int
    linkage: float


@dataclass(frozen=True, slots=True)
class Dendrogram:
    """Merges in their order: part `gone[i]` became one with `into[i]` at the linkage `height[i]`.

    `start` is the part of each micro-cluster before. No merge is higher than those that its two parts are made of.
    """

    start: Slots
    into: Slots
    gone: Slots
    height: Vectors

    def between(self, threshold: float, above: float) -> Slots:
        """Return the merges from a threshold on and below another, in order, as pairs (remaining part, merged part)."""
        chosen = (self.height >= threshold) & (self.height < above)
        return np.stack([self.into[chosen], self.gone[chosen]], axis=1)

    def parts(self, threshold: float = -math.inf) -> Slots:
        """Return each micro-cluster's part, as one of its micro-clusters, if nothing below the threshold is merged."""
        root = np.arange(len(self.start))
        done = self.height >= threshold
        root[self.gone[done]] = self.into[done]
        return _followed(root)[self.start]

    def parts_by(self, thresholds: Vectors, counts: Slots) -> Slots:
        """Return the parts where each micro-cluster has a threshold of its own.

        That of a part is the mean over its items, or the highest where constraints made the part. Two parts are merged
        from the higher one of their thresholds on; where they are not, the larger one goes on without the other.
        """
        highest = thresholds.copy()
        np.maximum.at(highest, self.start, thresholds)
        of, weight = highest.tolist(), weight_by_part(counts, self.start).tolist()
        root = np.arange(len(self.start))
        now = root.tolist()
        for into, gone, height in zip(self.into.tolist(), self.gone.tolist(), self.height.tolist(), strict=True):
            one, other = now[into], now[gone]
            if weight[one] < weight[other]:
                one, other = other, one
            if height >= max(of[one], of[other]):
                root[other] = one
                together = weight[one] + weight[other]
                of[one] += (of[other] - of[one]) * weight[other] / together
                weight[one] = together
            now[into] = one
        return _followed(root)[self.start]


def _followed(root: Slots) -> Slots:
    """Return where each leads in the end."""
    while not np.array_equal(further := root[root], root):
        root = further
    return root


def average_linkage(
    smooth: Vectors, counts: Slots, graph: Slots, threshold: float, constraints: RoundConstraints
) -> Dendrogram:
    """Return what is merged down to a threshold, weighted by `counts`, along the pairs of a graph (-1: none)."""
    n = len(smooth)
    start = _linked_parts(n, constraints.must_link)
    sums = sums_by_part(smooth, counts, start)
    weight = weight_by_part(counts, start)
    sides = _sides_by_part(start, constraints.cannot_link)
    sided, fixed = np.zeros((2, n), np.bool_)
    sided[list(sides)] = True
    fixed[start[list(constraints.fixed)]] = True
    pairs = near_pairs(graph, start)
    low, high = pairs // n, pairs % n
    links = _links(sums, weight, low, high)
    height = np.ones(n, np.float32)
    gone, into = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    heights = [np.zeros(0, np.float32)]
    while len(links):
        # 1. Forget pairs that are too far apart or must not be merged.
        allowed = links >= threshold
        allowed &= ~(fixed[low] | fixed[high])
        for at in np.flatnonzero(allowed & sided[low] & sided[high]).tolist():
            allowed[at] = _may_meet(sides[int(low[at])], sides[int(high[at])])
        low, high, links = low[allowed], high[allowed], links[allowed]
        if not len(links):
            break
        # 2. Merge the pairs that are each other's nearest.
        best = np.full(n, -2, np.float32)
        np.maximum.at(best, low, links)
        np.maximum.at(best, high, links)
        mutual = _disjoint(np.flatnonzero((links >= best[low]) & (links >= best[high])), low, high, n)
        a, b = low[mutual], high[mutual]
        sums[a] += sums[b]
        weight[a] += weight[b]
        # Linkage can rise when a part is merged with one that has pairs the other did not have as candidates.
        height[a] = np.minimum(np.minimum(height[a], height[b]), links[mutual])
        for one, other in zip(a[sided[b]].tolist(), b[sided[b]].tolist(), strict=True):
            sides[one] = {**sides.get(one, {}), **sides.pop(other)}
            sided[one] = True
        into.append(a)
        gone.append(b)
        heights.append(height[a])
        # 3. Link the merged parts again. No other pair has one of them, so none comes twice.
        changed = np.zeros(n, np.bool_)
        changed[a] = changed[b] = True
        now = np.arange(n)
        now[b] = a
        touched = changed[low] | changed[high]
        again = unique_pairs(now[low[touched]], now[high[touched]], n)
        low_again, high_again = again // n, again % n
        low, high = np.concatenate([low[~touched], low_again]), np.concatenate([high[~touched], high_again])
        links = np.concatenate([links[~touched], _links(sums, weight, low_again, high_again)])
    return Dendrogram(start, np.concatenate(into), np.concatenate(gone), np.concatenate(heights))


def _disjoint(chosen: Slots, low: Slots, high: Slots, n: int) -> Slots:
    """Return those of the chosen pairs that share no part with one before them.

    Of three parts at exactly the same similarity, the third is merged in the next pass.
    """
    if np.bincount(np.concatenate([low[chosen], high[chosen]]), minlength=n).max() == 1:
        return chosen
    taken: set[int] = set()
    kept: list[int] = []
    for at, one, other in zip(chosen.tolist(), low[chosen].tolist(), high[chosen].tolist(), strict=True):
        if one not in taken and other not in taken:
            taken.update((one, other))
            kept.append(at)
    return np.array(kept, np.int64)


def merge_candidates(
    smooth: Vectors, counts: Slots, graph: Slots, part: Slots, thresholds: Vectors
) -> tuple[MergeCandidate, ...]:
    """Return pairs of parts whose linkage is just below the higher one of their thresholds, likeliest first."""
    n = len(smooth)
    pairs = near_pairs(graph, part)
    low, high = pairs // n, pairs % n
    links = _links(sums_by_part(smooth, counts, part), weight_by_part(counts, part), low, high)
    needed = np.maximum(thresholds[low], thresholds[high])
    nearly = np.flatnonzero((links < needed) & (links >= needed - NEARLY))
    order = nearly[np.argsort(-links[nearly])[:MOST_CANDIDATES]]
    return tuple(MergeCandidate(int(low[i]), int(high[i]), float(links[i])) for i in order)


def sums_by_part(rows: Vectors, counts: Slots, part: Slots) -> Vectors:
    """Return the sum of each part's rows, weighted by count, at the part's own position; zero elsewhere.

    Rows are added one after the other, in order, so that the sums are the same to the last bit on every machine.
    """
    weight = counts.astype(np.float32)[:, None]
    if np.array_equal(part, np.arange(len(rows))):
        return rows * weight
    order = np.argsort(part, kind="stable")
    start = np.flatnonzero(np.diff(part[order], prepend=-1))
    size = np.diff(start, append=len(rows))
    sums = np.zeros_like(rows)
    for rank in range(min(int(size.max(initial=0)), _TOGETHER)):
        of_rank = order[start[size > rank] + rank]
        for at in range(0, len(of_rank), CHUNK_ROWS):
            chunk = of_rank[at : at + CHUNK_ROWS]
            sums[part[chunk]] += rows[chunk] * weight[chunk]
    for first, end in zip((start + _TOGETHER).tolist(), (start + size).tolist(), strict=True):
        if first < end:
            left = order[first:end]
            added = np.concatenate([sums[part[left[:1]]], rows[left] * weight[left]])
            sums[part[left[0]]] = np.add.reduce(added, axis=0)
    return sums


def weight_by_part(counts: Slots, part: Slots) -> npt.NDArray[np.float64]:
    """Return the number of items of each part, at the part's own position."""
    weight = np.zeros(len(part), np.float64)
    np.add.at(weight, part, counts)
    return weight


def _linked_parts(n: int, must_link: Mapping[int, int]) -> Slots:
    """Return a part for each micro-cluster: its own, or that of its must-link."""
    part = np.arange(n)
    first: dict[int, int] = {}
    for slot in sorted(must_link):
        part[slot] = first.setdefault(must_link[slot], slot)
    return part


def _sides_by_part(part: Slots, cannot_link: Mapping[int, Sides]) -> dict[int, dict[int, int]]:
    sides: dict[int, dict[int, int]] = {}
    for slot, of_slot in cannot_link.items():
        sides.setdefault(int(part[slot]), {}).update(of_slot)
    return sides


def _may_meet(one: Sides, other: Sides) -> bool:
    return all(one[separation] == other[separation] for separation in one.keys() & other.keys())


def _links(sums: Vectors, weight: npt.NDArray[np.float64], low: Slots, high: Slots) -> Vectors:
    """Return the linkage of each pair of parts: for unit vectors, the dot product of their means."""
    links: Vectors = (pair_dots(sums, low, high) / (weight[low] * weight[high])).astype(np.float32)
    return links
