"""The nearest micro-clusters of a cluster or of an item, by meaning and by words.

Nothing is stored for it: whoever asks gets what is near now, among all micro-clusters, so it follows every merge, split
and deletion. A question takes about five microseconds for each micro-cluster.

Meaning and words are ranked apart, and the ranks are fused: the sum of 1 / (`RANK_OFFSET` + rank) over both (reciprocal
rank fusion, Cormack et al., SIGIR 2009). How far apart the scores of two texts are differs by embedder and by length; a
rank means the same everywhere. The offset is small because only ten are named, and what is first by one of the two has
to be among them.

Texts in languages that the embedder does not know are near those of their language alone. What a person has separated
is not near.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soulcaster.domain.clustering.clusterer.state import ClusterState
from soulcaster.domain.clustering.features.space import CHUNK_ROWS, SimilaritySpace
from soulcaster.domain.clustering.features.vectors import Flags, Halves, Slots, Vectors, unit
from soulcaster.domain.clustering.features.word_sets import word_similarities
from soulcaster.domain.clustering.micro_clusters.index import KNOWN

RANK_OFFSET = 3


@dataclass(frozen=True, slots=True)
class NearMicroCluster:
    """A micro-cluster that is near, by its slot and the number of its cluster, with both scores."""

    slot: int
    number: int
    meaning: float
    words: float


@dataclass(frozen=True, slots=True)
class NearSearch:
    """A copy of all that a search needs, so that it may run anywhere; micro-clusters are positions in `slots`.

    `own` are those that are asked about, taken together; `wanted` says which may be an answer.
    """

    space: SimilaritySpace
    slots: Slots
    means: Halves
    foreign: Flags
    texts: Sequence[bytes]
    numbers: npt.NDArray[np.int32]
    own: Slots
    wanted: Flags

    def scores(self) -> tuple[Vectors, Vectors]:
        """Return the cosine of meaning and that of words of each micro-cluster, shape (len(slots),)."""
        every = np.arange(len(self.slots))
        asked = unit(self._meanings(self.own).sum(0))
        meaning = np.empty(len(every), np.float32)
        for at in range(0, len(every), CHUNK_ROWS):
            chunk = every[at : at + CHUNK_ROWS]
            meaning[chunk] = self._meanings(chunk) @ asked
        return meaning, word_similarities(self.texts, self.own)

    def _meanings(self, rows: Slots) -> Vectors:
        return self.space.meanings(self.means, self.foreign, rows)

    def nearest(self) -> Iterator[NearMicroCluster]:
        """Yield what is near, the nearest first."""
        meaning, words = self.scores()
        found = np.flatnonzero(self.wanted & ((meaning > 0) | (words > 0)))
        meaning, words = meaning[found], words[found]
        fused = _by_rank(meaning) + _by_rank(words)
        for at in np.lexsort((found, -(meaning + words), -fused)).tolist():
            row = int(found[at])
            yield NearMicroCluster(int(self.slots[row]), int(self.numbers[row]), float(meaning[at]), float(words[at]))


def _by_rank(scores: Vectors) -> npt.NDArray[np.float64]:
    """Return 1 / (`RANK_OFFSET` + rank) of each score; equal ones have one rank, and a score of zero has none."""
    better = len(scores) - np.searchsorted(np.sort(scores), scores, side="right")
    return np.where(scores > 0, 1 / (RANK_OFFSET + better), 0.0)


def near_micro_cluster(state: ClusterState, slot: int) -> NearSearch:
    """Return the search for what is near a micro-cluster; its own cluster may be an answer too."""
    return _search(state, [slot])


def near_cluster(state: ClusterState, number: int) -> NearSearch | None:
    """Return the search for what is near a cluster, None for one of which all is archived.

    Each of its micro-clusters counts once, so what comes again and again does not decide.
    """
    slots = state.clusters[number].slots
    return _search(state, slots, whole_clusters=True) if slots else None


def _search(state: ClusterState, asked: Sequence[int], *, whole_clusters: bool = False) -> NearSearch:
    index = state.index
    slots = index.slots()
    languages = index.languages[slots]
    own = np.searchsorted(slots, asked)
    wanted = languages == languages[own[0]]
    wanted[own] = False
    numbers = index.cluster_numbers[slots]
    apart = np.isin(slots, state.constraints.apart(asked))
    wanted &= ~(np.isin(numbers, numbers[apart]) if whole_clusters else apart)
    return NearSearch(
        index.space,
        slots,
        index.means[slots],
        languages != KNOWN,
        [index.micro_clusters[slot].words for slot in slots.tolist()],
        numbers,
        own,
        wanted,
    )
