"""Consolidation: what the clusters should be, seen from all that is known by now. Pure: arrays in, a plan out.

1. The graph of nearest groups: those each group had when it opened, and the other way round.
2. Every group's f is smoothed once by its `NEIGHBOURS` nearest (weights s^2 where s > `LEAST`).
3. Average linkage over the groups, weighted by size, along the graph's pairs: reciprocal nearest neighbours are merged
   round by round, which for a reducible linkage gives what merging one pair at a time does (Murtagh 1983). It goes on
   below any cut, and the clusters are what was merged down to the cut.
4. The cut is

       HIGHEST where nearly everything stands alone, 1.61 - 0.6 ln m as topics grow, but never below where
       clusters are best apart, and just there if they are far apart.

   A group counts once in this, however many items it has: what is said again and again makes a topic no larger. m is
   how many groups a topic has. Two are alike when their smoothed similarity is further above the median than `FAR`
   times what the 16th percentile is below it (or above `FARTHEST`); the lower side of the spread is the measure
   because topics hardly widen it. Distances are those of artanh s (Fisher 1921), whose spread is the same near 0 and
   near 1: where similarities of chance spread wide, five times that of s itself is more than there is. If the alike
   were topics, a group with a that are alike to it, itself among them, would be 1/a of one; so groups, divided by the
   sum of all 1/a, are the groups a topic has. (The mean of a would be that of the largest: a few templates in a
   stream of single items would pass for topics everywhere.) The numbers were chosen once, to do well on many sets,
   embedders and shapes at once (docs/clustering.md); no label and no text domain is in them.

   How loose large topics are is not said by their size. For each of `CUTS`, how well apart are the clusters there would
   be? A group is in its own with the mean similarity a to the others, and the next best is at b: the margin a - b and
   the silhouette (a - b) / (1 - min(a, b)) (Rousseeuw 1987), zero for one that is alone, are added up and averaged. The
   margin alone would have it too coarse, the silhouette too fine. The cut is the mean of `CUTS`, each weighed by
   exp(apart / SHARP), so that it moves little from round to round.

   A few large topics do widen the similarities of chance, so that nothing seems alike. But then clusters are further
   apart than what linkage makes of single items: from `UNSURE` to `SURE` (at the best of `CUTS`, less two standard
   errors) m counts less and less.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import sparse

from soulcaster.domain.clustering.vectors import Slots, Vectors, unit

NEIGHBOURS = 12
"""Groups that are looked at as the nearest of another, and kept when it opens."""

LEAST = 0.2
FAR = 5.0
FARTHEST = 0.9
HIGHEST = 0.97
CUTS = (0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2)
SHARP = 0.05
UNSURE, SURE = 0.65, 0.7

GRANULARITY: Mapping[str, float] = {"finer": 0.12, "fine": 0.06, "auto": 0.0, "broad": -0.06, "broader": -0.12}
"""What a person's wish adds to the cut."""

NEW = 0.5
"""How much it counts that what is new opens a cluster, against what is known joining its own: one to two."""

_FRIENDS = 4
_SAMPLE = 512
"""Groups of which every pair is looked at, for what is usual; and that are compared with all clusters."""
_SOME = 256
"""Groups that are compared with all others, for how many are alike."""
_LONELY = 0.5
"""Where every group stands alone nothing says what is near enough to join; it is no less than this."""

_NEARLY = 0.15
"""Pairs of parts whose linkage is below the cut by no more are told as likely."""

_CHUNK = 4096

Sides = Mapping[int, int]
"""Which side of each separation a group is on: separation -> 0 or 1. Two that differ in one never meet."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What people want, by group, and how fine the clusters should be.

    Groups of one bond stay together, groups on two sides of a separation apart, and those that are fixed as they are.
    """

    bonds: Mapping[int, int] = field(default_factory=dict)
    sides: Mapping[int, Sides] = field(default_factory=dict)
    fixed: frozenset[int] = frozenset()
    granularity: str = "auto"


@dataclass(frozen=True, slots=True)
class Near:
    """Two parts that were not merged, and their linkage."""

    one: int
    other: int
    linkage: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What consolidation found.

    `part` is each group's new cluster, as the slot of one of its groups; `smooth` their smoothed rows; `graph` and
    `similarity` the nearest groups (-1: none); `apart` the likeliest pairs that were not merged.
    """

    part: Slots
    smooth: Vectors
    graph: Slots
    similarity: Vectors
    cut: float
    apart: tuple[Near, ...]


@dataclass(frozen=True, slots=True)
class Merges:
    """What linkage has merged, as it was done: part `gone[i]` became one with `into[i]`, at the linkage `height[i]`.

    `start` is the part of each group before. No merge is higher than those its two parts are made of.
    """

    start: Slots
    into: Slots
    gone: Slots
    height: Vectors

    def between(self, cut: float, above: float) -> Slots:
        """Return pairs that became one, the part that stays first, from the cut on and below the other, in order."""
        some = (self.height >= cut) & (self.height < above)
        return np.stack([self.into[some], self.gone[some]], axis=1)

    def parts(self, cut: float = -math.inf) -> Slots:
        """Return each group's part where nothing below the cut is merged, as the slot of one of its groups."""
        root = np.arange(len(self.start))
        done = self.height >= cut
        root[self.gone[done]] = self.into[done]
        while not np.array_equal(further := root[root], root):
            root = further
        parts: Slots = root[self.start]
        return parts


def plan(rows: Vectors, count: Slots, neighbours: Slots, wishes: Wishes) -> Plan:
    """Return what the clusters should be.

    `rows` are the groups' f, `count` their items, `neighbours` those that were nearest when each opened (-1: none).
    """
    graph, similarity = nearest_graph(rows, neighbours)
    smooth = smoothed(rows, graph, similarity)
    cut, merges = calibrated(smooth, count, graph, wishes)
    part = merges.parts(cut)
    return Plan(part, smooth, graph, similarity, cut, still_apart(smooth, count, graph, part, cut))


def nearest_graph(rows: Vectors, neighbours: Slots) -> tuple[Slots, Vectors]:
    """Return the nearest groups of each and their similarities, best first, -1 where there are no more.

    Candidates are the pairs (a group, one of its nearest when it opened), taken both ways, and friends of friends: a
    group that opened when twelve others were nearer is found through one of them.
    """
    n = len(rows)
    known = np.where(neighbours < n, neighbours, -1)
    first = known[:, :_FRIENDS]
    friends = np.where(first[:, :, None] >= 0, known[first][:, :, :_FRIENDS], -1).reshape(n, -1)
    pairs = _near_pairs(np.hstack([known, friends]), np.arange(n))
    return _top(pairs, _dots(rows, pairs, n), n)


def _near_pairs(near: Slots, part: Slots) -> Slots:
    """Return the pairs of parts of which a group of one has one of the other near it (-1: none), as `_pairs` does."""
    there = near >= 0
    one = np.repeat(part, near.shape[1])[there.ravel()]
    return _pairs(one, part[near[there]], len(part))


def _pairs(one: Slots, other: Slots, n: int) -> Slots:
    """Return unordered pairs as sorted unique numbers low * n + high."""
    apart = one != other
    low = np.minimum(one, other)[apart]
    high = np.maximum(one, other)[apart]
    # np.unique goes by a hash table, which is several times as slow once it does not fit into the cache.
    pairs: Slots = np.sort(low * n + high)
    return pairs[np.diff(pairs, prepend=-1) > 0]


def _dots(rows: Vectors, pairs: Slots, n: int) -> Vectors:
    dots = np.empty(len(pairs), np.float32)
    for at in range(0, len(pairs), _CHUNK):
        some = pairs[at : at + _CHUNK]
        np.einsum("ij,ij->i", rows[some // n], rows[some % n], out=dots[at : at + _CHUNK])
    return dots


def _top(pairs: Slots, dots: Vectors, n: int) -> tuple[Slots, Vectors]:
    """Return the best `NEIGHBOURS` of each node of a graph of weighted pairs."""
    graph = np.full((n, NEIGHBOURS), -1, np.int64)
    similarity = np.full((n, NEIGHBOURS), -1, np.float32)
    node = np.concatenate([pairs // n, pairs % n])
    to = np.concatenate([pairs % n, pairs // n])
    weight = np.concatenate([dots, dots])
    # By node, then by weight: a float32 that is not negative sorts as its bits do.
    bits = np.maximum(np.float32(2) - weight, np.float32(0)).view(np.uint32)
    order = np.argsort(node << 32 | bits.astype(np.int64), kind="stable")
    node, to, weight = node[order], to[order], weight[order]
    start = np.searchsorted(node, np.arange(n))
    rank = np.arange(len(node)) - start[node]
    best = rank < NEIGHBOURS
    graph[node[best], rank[best]] = to[best]
    similarity[node[best], rank[best]] = weight[best]
    return graph, similarity


def smoothed(rows: Vectors, graph: Slots, similarity: Vectors) -> Vectors:
    """Return every row moved towards its neighbours, at unit length."""
    smooth = np.empty_like(rows)
    weights = np.where((graph >= 0) & (similarity > LEAST), similarity**2, 0).astype(np.float32)
    for at in range(0, len(rows), _CHUNK):
        to = slice(at, at + _CHUNK)
        moved = rows[to].copy()
        for k in range(graph.shape[1]):
            moved += weights[to, k, None] * rows[graph[to, k]]
        smooth[to] = unit(moved)
    return smooth


@dataclass(frozen=True, slots=True)
class BestApart:
    """Where clusters are best apart: the cut, and how far apart they are there at least (two standard errors less)."""

    cut: float
    at_least: float


def calibrated(smooth: Vectors, count: Slots, graph: Slots, wishes: Wishes) -> tuple[float, Merges]:
    """Return the linkage below which nothing is merged, and what is merged down to it and further."""
    wish = GRANULARITY[wishes.granularity]
    merges = dendrogram(smooth, count, graph, CUTS[-1] + min(0.0, wish), wishes)
    by_size = min(HIGHEST, 1.61 - 0.6 * math.log(groups_per_topic(smooth)))
    best = cut_best_apart(smooth, merges)
    unsure = min(1.0, max(0.0, (SURE - best.at_least) / (SURE - UNSURE)))
    return best.cut + unsure * max(0.0, by_size - best.cut) + wish, merges


def _drawn(n: int, most: int, chance: np.random.Generator) -> Slots:
    """Return so many of n places at most, in order."""
    return np.arange(n) if n <= most else np.sort(chance.choice(n, most, replace=False))


def cut_best_apart(smooth: Vectors, merges: Merges) -> BestApart:
    """Return the cut at which clusters are best apart, between the least and the largest of `CUTS`."""
    n = len(smooth)
    each = how_apart(smooth, merges, _drawn(n, _SAMPLE, np.random.default_rng(n)), CUTS)
    mean = each.mean(1)
    weight = np.exp((mean - mean.max()) / SHARP)
    error = float(each[mean.argmax()].std()) / math.sqrt(each.shape[1])
    return BestApart(float(weight @ np.array(CUTS) / weight.sum()), float(mean.max()) - 2 * error)


def how_apart(smooth: Vectors, merges: Merges, some: Slots, cuts: Sequence[float]) -> Vectors:
    """Return the margin and the silhouette of some groups, added up, at each cut (a row); zero for one that is alone.

    Cuts are given from the highest on. A part is compared once, for all the cuts between which it stays as it is.
    """
    n = len(smooth)
    rows, own = smooth[some], merges.start[some]
    sums, size = summed(smooth, np.ones(n, np.int64), merges.start), np.bincount(merges.start, minlength=n)
    since = np.zeros(n, np.int64)
    inside, beside = np.full((2, len(cuts), len(some)), -np.inf, np.float32)

    def compare(gone: Slots, to: int) -> None:
        """Compare parts that there are no more from a cut on."""
        for at in np.unique(since[gone]).tolist():
            parts = gone[since[gone] == at]
            for these in np.split(parts, range(_CHUNK, len(parts), _CHUNK)):
                total = rows @ sums[these].T
                where = np.searchsorted(these, own).clip(0, len(these) - 1)
                mine = np.flatnonzero((these[where] == own) & (size[own] > 1))
                inside[at:to, mine] = (total[mine, where[mine]] - 1) / (size[own[mine]] - 1)
                total /= size[these]
                total[mine, where[mine]] = -np.inf
                beside[at:to] = np.maximum(beside[at:to], total.max(1))

    above = math.inf
    for to, cut in enumerate(cuts):
        merged = merges.between(cut, above)
        if to:
            compare(np.unique(merged), to)
        for into, gone in merged.tolist():
            sums[into] += sums[gone]
            size[into] += size[gone]
            size[gone] = 0
        since[merged] = to
        own = merges.parts(cut)[some]
        above = cut
    compare(np.flatnonzero(size), len(cuts))
    told = np.isfinite(inside) & np.isfinite(beside)
    margin = np.subtract(inside, beside, out=np.zeros_like(inside), where=told)
    apart: Vectors = margin + margin / np.maximum(1 - np.minimum(inside, beside), 1e-6)
    return apart


def groups_per_topic(smooth: Vectors) -> float:
    """Return about how many groups a topic has; 1 where nothing is alike."""
    n = len(smooth)
    if n < 2:
        return 1.0
    chance = np.random.default_rng(n)
    sample = smooth[_drawn(n, _SAMPLE, chance)]
    usual = (sample @ sample.T)[~np.tri(len(sample), dtype=np.bool_)]
    low, middle = np.arctanh(np.clip(np.quantile(usual, [0.16, 0.5]), -FARTHEST, FARTHEST))
    far = min(FARTHEST, math.tanh(middle + FAR * (middle - low)))
    some = smooth[_drawn(n, _SOME, chance)]
    alike = np.zeros(len(some), np.int64)
    for at in range(0, n, _CHUNK):
        alike += (some @ smooth[at : at + _CHUNK].T > far).sum(1)
    return float(len(some) / (1 / np.maximum(alike, 1)).sum())


def dendrogram(smooth: Vectors, count: Slots, graph: Slots, cut: float, wishes: Wishes) -> Merges:
    """Return what is merged down to a cut."""
    n = len(smooth)
    start = _start(n, wishes.bonds)
    sums = summed(smooth, count, start)
    weight = weighed(count, start)
    sides = _sides(start, wishes.sides)
    sided, fixed = np.zeros((2, n), np.bool_)
    sided[list(sides)] = True
    fixed[start[list(wishes.fixed)]] = True
    pairs = _near_pairs(graph, start)
    links = _links(sums, weight, pairs, n)
    height = np.ones(n, np.float32)
    done: list[tuple[int, int, float]] = []
    while len(pairs):
        allowed = links >= cut
        low, high = pairs // n, pairs % n
        allowed &= ~(fixed[low] | fixed[high])
        for at in np.flatnonzero(allowed & sided[low] & sided[high]).tolist():
            allowed[at] = _may(sides[int(low[at])], sides[int(high[at])])
        pairs, links, low, high = pairs[allowed], links[allowed], low[allowed], high[allowed]
        if not len(pairs):
            break
        best = np.full(n, -2.0)
        np.maximum.at(best, low, links)
        np.maximum.at(best, high, links)
        mutual = np.flatnonzero((links >= best[low]) & (links >= best[high]))
        into = np.arange(n)
        taken: set[int] = set()
        for at in mutual.tolist():
            a, b = int(low[at]), int(high[at])
            if a in taken or b in taken:
                continue  # three at exactly the same similarity: one pair now, the third in the next round
            taken.update((a, b))
            into[b] = a
            sums[a] += sums[b]
            weight[a] += weight[b]
            # Of pairs that were no candidates, linkage can rise when a part is merged with one for which they are.
            height[a] = min(height[a], height[b], links[at])
            done.append((a, b, float(height[a])))
            if b in sides:
                sides[a] = {**sides.get(a, {}), **sides.pop(b)}
                sided[a] = True
        changed = np.zeros(n, bool)
        changed[list(taken)] = True
        touched = changed[low] | changed[high]
        again = _pairs(into[low[touched]], into[high[touched]], n)
        fresh = ~np.isin(again, pairs[~touched], assume_unique=True)
        again = again[fresh]
        pairs = np.concatenate([pairs[~touched], again])
        links = np.concatenate([links[~touched], _links(sums, weight, again, n)])
    kept, gone, heights = np.array(done, np.float64).reshape(-1, 3).T
    return Merges(start, kept.astype(np.int64), gone.astype(np.int64), heights.astype(np.float32))


def summed(rows: Vectors, count: Slots, part: Slots) -> Vectors:
    """Return the sum of each part's rows, weighted by count, at the part's own place; zero elsewhere."""
    n = len(rows)
    of = sparse.csr_array((count.astype(np.float32), (part, np.arange(n))), shape=(n, n))
    sums: Vectors = of @ rows
    return sums


def weighed(count: Slots, part: Slots) -> npt.NDArray[np.float64]:
    """Return how many items each part has, at the part's own place."""
    weight = np.zeros(len(part), np.float64)
    np.add.at(weight, part, count)
    return weight


def _start(n: int, bonds: Mapping[int, int]) -> Slots:
    """Return each group as its own part, but for those that are bonded."""
    part = np.arange(n)
    first: dict[int, int] = {}
    for slot in sorted(bonds):
        part[slot] = first.setdefault(bonds[slot], slot)
    return part


def _sides(part: Slots, of_groups: Mapping[int, Sides]) -> dict[int, dict[int, int]]:
    sides: dict[int, dict[int, int]] = {}
    for slot, of_group in of_groups.items():
        sides.setdefault(int(part[slot]), {}).update(of_group)
    return sides


def _may(one: Sides, other: Sides) -> bool:
    return all(one[key] == other[key] for key in one.keys() & other.keys())


def _links(sums: Vectors, weight: npt.NDArray[np.float64], pairs: Slots, n: int) -> Vectors:
    low, high = pairs // n, pairs % n
    links: Vectors = (_dots(sums, pairs, n) / (weight[low] * weight[high])).astype(np.float32)
    return links


def still_apart(smooth: Vectors, count: Slots, graph: Slots, part: Slots, cut: float) -> tuple[Near, ...]:
    """Return pairs of parts that are nearly near enough to be merged, likeliest first."""
    n = len(smooth)
    pairs = _near_pairs(graph, part)
    links = _links(summed(smooth, count, part), weighed(count, part), pairs, n)
    nearly = np.flatnonzero((links < cut) & (links >= cut - _NEARLY))
    order = nearly[np.argsort(-links[nearly])[:100]]
    return tuple(Near(int(pairs[i] // n), int(pairs[i] % n), float(links[i])) for i in order)


@dataclass(frozen=True, slots=True)
class OnlineCut:
    """The score from which an item joins its best cluster, and the share of groups it would have placed as they are."""

    cut: float
    agreement: float


def online_cut(cluster: Slots, count: Slots, graph: Slots, similarity: Vectors) -> OnlineCut:
    """Return the score from which an item had best join its best cluster.

    The score is `best_clusters`'; each group is looked at as if it came now, without itself. It should go where it is,
    or nowhere if it is alone; and, counted `NEW` times, nowhere as well if the rest of its cluster were not there yet:
    the first of a topic that join another's cluster take all that follow with them.
    """
    size = np.bincount(cluster)
    own = cluster
    best, score = best_clusters(cluster, size, graph, similarity, own)
    elsewhere = np.where(cluster[graph] == own[:, None], -1, graph)
    _, strange = best_clusters(cluster, size, elsewhere, similarity, own)
    alone = size[own] == 1
    order = np.argsort(-score, kind="stable")
    scores = score[order]
    weight = count[order].astype(np.float64)
    right = weight * ((best == own) & ~alone)[order]
    # Accepting the first i: those that are right join, those alone among the others rightly open.
    agreed = np.concatenate([[0], np.cumsum(right)]) - np.concatenate([[0], np.cumsum(weight * alone[order])])
    nothing = min(1.0, max(_LONELY, float(scores[0]) + 0.05))
    cuts = np.concatenate([[nothing], (scores[:-1] + scores[1:]) / 2, [scores[-1] / 2]])
    strangers = np.argsort(strange, kind="stable")
    below = np.concatenate([[0], np.cumsum(count[strangers].astype(np.float64))])
    lured = below[-1] - below[np.searchsorted(strange[strangers], cuts)]
    one_score = np.concatenate([[False], scores[:-1] == scores[1:], [False]])
    at = int(np.where(one_score, -np.inf, agreed - NEW * lured).argmax())
    total = float(agreed[at] + (count * alone).sum()) / max(1.0, float(count.sum()))
    return OnlineCut(float(cuts[at]), total)


def best_clusters(
    cluster: Slots,
    size: Slots,
    graph: Slots,
    similarity: Vectors,
    own: Slots,
) -> tuple[Slots, Vectors]:
    """Return the best cluster of each row, and its score.

    The score is the mean similarity of a cluster's three nearest groups among these neighbours; where a cluster has
    three groups or more, one that is not among them counts as zero. `own` is the cluster each row is taken out of (it
    then has one group less).
    """
    n = len(graph)
    of = np.where(graph >= 0, cluster[graph], -1)
    same = of[:, :, None] == of[:, None, :]
    rank = np.tril(same, -1).sum(2)
    counted = np.where((rank < 3) & (of >= 0), similarity, 0)
    total = (same * counted[:, None, :]).sum(2)
    groups = size[of] - (of == own[:, None])
    score = np.where(of >= 0, total / np.clip(groups, 1, 3), -1).astype(np.float32)
    best = score.argmax(1)
    rows = np.arange(n)
    return of[rows, best], score[rows, best]
