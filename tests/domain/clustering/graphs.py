"""Graphs of micro-clusters to consolidate, and partitions to compare."""

import numpy as np
import numpy.typing as npt
from hypothesis import settings
from hypothesis import strategies as st

from soulcaster.domain.clustering.features.vectors import Flags, Slots, Vectors
from soulcaster.domain.clustering.micro_clusters.index import NEIGHBOURS

steady = settings(max_examples=60, deadline=None, derandomize=True)
seeds = st.integers(0, 10**6)


def complete(n: int) -> Slots:
    """The graph in which every micro-cluster is every other's neighbour."""
    return np.array([[j for j in range(n) if j != i] for i in range(n)], np.int64).reshape(n, max(0, n - 1))


def known(n: int) -> npt.NDArray[np.int32]:
    """Return the number of a language that the embedder knows, n times."""
    return np.zeros(n, np.int32)


def worded(n: int) -> Flags:
    """Say that all micro-clusters have words."""
    return np.ones(n, np.bool_)


def one_source(n: int) -> Slots:
    """Return the number of one source, n times."""
    return np.zeros(n, np.int64)


def arrivals(rows: Vectors) -> Slots:
    """The nearest that existed when each arrived."""
    found = np.full((len(rows), NEIGHBOURS), -1, np.int64)
    for i in range(1, len(rows)):
        near = np.argsort(-(rows[:i] @ rows[i]), kind="stable")[:NEIGHBOURS]
        found[i, : len(near)] = near
    return found


def together(part: Slots) -> set[frozenset[int]]:
    """Return the partition that an array of part numbers describes."""
    return {frozenset(np.flatnonzero(part == p).tolist()) for p in np.unique(part)}


def planted(n: int, topics: int, noise: float) -> tuple[Vectors, Slots]:
    """Unit rows around random topics, and the topic of each."""
    chance = np.random.default_rng(5)
    of = np.arange(n) % topics
    rows = chance.standard_normal((topics, 128))[of] + noise * chance.standard_normal((n, 128))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), of
