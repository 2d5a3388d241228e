"""The graph of nearest micro-clusters, and smoothing along it. Pure: arrays in, arrays out."""

import numpy as np

from soulcaster.domain.clustering.features.vectors import Slots, Vectors, unit
from soulcaster.domain.clustering.micro_clusters.index import NEIGHBOURS

LEAST_SIMILARITY = 0.2
"""Smoothing looks at neighbours above this similarity."""

_FRIENDS = 4
"""Of the nearest 4 neighbours, the nearest 4 are candidates too."""

_CHUNK_ROWS = 256
"""Rows that are worked on at once: two such blocks stay in the processor's cache."""


def nearest_graph(features: Vectors, neighbours: Slots) -> tuple[Slots, Vectors]:
    """Return the nearest micro-clusters of each and their similarities, best first, -1 where there are no more.

    `neighbours` are those that were nearest when each opened (-1: none). Candidates are these pairs, taken both ways,
    and friends of friends: a micro-cluster that opened when twelve others were nearer is found through one of them.
    """
    n = len(features)
    known = np.where(neighbours < n, neighbours, -1)
    first = known[:, :_FRIENDS]
    friends = np.where(first[:, :, None] >= 0, known[first][:, :, :_FRIENDS], -1).reshape(n, _FRIENDS**2)
    pairs = near_pairs(np.hstack([known, friends]), np.arange(n))
    low, high = pairs // n, pairs % n
    return _top(low, high, pair_dots(features, low, high), n)


def near_pairs(near: Slots, part: Slots) -> Slots:
    """Return the pairs of parts of which one has a micro-cluster near one of the other (-1: none).

    Pairs are as `unique_pairs` returns them.
    """
    there = near >= 0
    one = np.repeat(part, near.shape[1])[there.ravel()]
    return unique_pairs(one, part[near[there]], len(part))


def unique_pairs(one: Slots, other: Slots, n: int) -> Slots:
    """Return unordered pairs of different parts as sorted unique numbers low * n + high."""
    differ = one != other
    low = np.minimum(one, other)[differ]
    high = np.maximum(one, other)[differ]
    # np.unique uses a hash table, which is several times slower once it does not fit into the cache.
    pairs: Slots = np.sort(low * n + high)
    return pairs[np.diff(pairs, prepend=-1) > 0]


def pair_dots(rows: Vectors, low: Slots, high: Slots) -> Vectors:
    """Return the dot product of the two rows of each pair."""
    dots = np.empty(len(low), np.float32)
    for at in range(0, len(low), _CHUNK_ROWS):
        chunk = slice(at, at + _CHUNK_ROWS)
        np.einsum("ij,ij->i", rows[low[chunk]], rows[high[chunk]], out=dots[chunk])
    return dots


def _top(low: Slots, high: Slots, dots: Vectors, n: int) -> tuple[Slots, Vectors]:
    """Return the best `NEIGHBOURS` of each node of a graph of weighted pairs."""
    graph = np.full((n, NEIGHBOURS), -1, np.int64)
    similarity = np.full((n, NEIGHBOURS), -1, np.float32)
    node = np.concatenate([low, high])
    to = np.concatenate([high, low])
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


def smoothed(features: Vectors, graph: Slots, similarity: Vectors) -> Vectors:
    """Return every row moved towards its neighbours, at unit length; the weights are squared similarities."""
    smooth = np.empty_like(features)
    weights = np.where((graph >= 0) & (similarity > LEAST_SIMILARITY), similarity**2, 0).astype(np.float32)
    for at in range(0, len(features), _CHUNK_ROWS):
        chunk = slice(at, at + _CHUNK_ROWS)
        moved = features[chunk].copy()
        for k in range(graph.shape[1]):
            moved += weights[chunk, k, None] * features[graph[chunk, k]]
        smooth[chunk] = unit(moved)
    return smooth
