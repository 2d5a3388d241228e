"""The searchable index of a project's micro-clusters.

A micro-cluster keeps the mean of its items' vectors and the mean of their word vectors, both as float16 and not scaled
to unit length: for unit vectors, the mean cosine between the items of two micro-clusters is the dot product of these
means. space.py defines similarity.

A search has two steps: FAISS compares the coarse projections of all micro-clusters and names `RERANKED` of them; the
similarity to these is then computed exactly.

Micro-clusters of machines' texts are found by their templates (templates/index.py) and by nothing else: no search finds
them, and no round looks at them. Those of foreign texts are searched by language (foreign_search.py).

Rows are slots. A slot belongs to a micro-cluster until it is freed; the next micro-cluster that opens takes the lowest
free slot, so a restart changes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush

import faiss
import numpy as np
import numpy.typing as npt

from soulcaster.domain.clustering.features.lexical import DIMENSIONS as WORD_DIMENSIONS
from soulcaster.domain.clustering.features.space import (
    CHUNK_ROWS,
    COARSE_DIMENSIONS,
    WORD_SHARE,
    CoarseSearch,
    SimilaritySpace,
)
from soulcaster.domain.clustering.features.vectors import Flags, Halves, Slots, Vectors, grown
from soulcaster.domain.clustering.micro_clusters.foreign_search import ForeignSearch
from soulcaster.domain.clustering.micro_clusters.micro_cluster import FREE, Member, MicroCluster

NEIGHBOURS = 12
"""How many of the nearest micro-clusters are considered, and stored when a micro-cluster opens."""

RERANKED = 32

NO_SLOT = -1

KNOWN = 0
"""The number of all languages that the embedder knows."""

NUMBERS_A_BLOCK = 256
"""Slots whose cluster numbers are stored as one block."""

_SHRINK = 16.0
_EXACT_ROWS = 32
"""Rows whose candidates are compared exactly at once."""


@dataclass(frozen=True, slots=True)
class IndexSnapshot:
    """A copy of all micro-clusters, densely packed: `slots` has the slot of each.

    `neighbours` are positions in this order (-1: none); `size` is the number of slots, free ones included.
    """

    space: SimilaritySpace
    slots: Slots
    size: int
    means: Halves
    word_means: Halves
    counts: Slots
    cluster_numbers: npt.NDArray[np.int32]
    neighbours: Slots
    languages: npt.NDArray[np.int32]

    @property
    def foreign(self) -> Flags:
        """Return which micro-clusters are of foreign texts."""
        foreign: Flags = self.languages != KNOWN
        return foreign

    @property
    def worded(self) -> Flags:
        """Return which micro-clusters have words."""
        worded: Flags = np.any(self.word_means, axis=1)
        return worded

    def around(self, background: Vectors) -> "IndexSnapshot":
        """Return the same micro-clusters around another background."""
        return replace(self, space=self.space.around(background))

    def centred(self, coming: Vectors | None = None) -> "IndexSnapshot":
        """Return the same around the mean of all micro-clusters and of the vectors `coming`.

        With few of them the mean shrinks towards zero, because it is unreliable. It is the mean of micro-clusters and
        not of items: a message that comes ten thousand times would push all others to one side. Those without words
        and those of foreign texts have no meaning, and do not count.
        """
        worded = self.worded & ~self.foreign
        count = int(worded.sum())
        total = np.zeros(self.means.shape[1], np.float32)
        for at in range(0, len(self.slots), CHUNK_ROWS):
            chunk = slice(at, at + CHUNK_ROWS)
            total += self.means[chunk].sum(0, dtype=np.float32, where=worded[chunk, None])
        if coming is not None:
            total, count = total + coming.sum(0), count + len(coming)
        return self.around(total / np.float32(count + _SHRINK))

    def features(self) -> Vectors:
        """Return f of all micro-clusters, shape (n, dimensions + word dimensions)."""
        return self.space.features(self.means, self.word_means, self.foreign)

    def build_search(self, features: Vectors) -> CoarseSearch:
        """Return what `MicroClusterIndex.adopt` takes, given f of all micro-clusters; runs anywhere."""
        coarse = np.full((self.size, COARSE_DIMENSIONS), np.nan, np.float32)
        coarse[self.slots] = self.space.project(features)
        coarse[self.slots[self.foreign]] = np.nan
        index = faiss.IndexFlatIP(COARSE_DIMENSIONS)
        index.add(coarse)
        return CoarseSearch(self.space, index)


def language_number(language: str) -> int:
    """Return the number of a foreign language, given by two or three letters (ISO 639); `KNOWN` for none."""
    return int.from_bytes(language.encode("ascii"))


def _language(number: int) -> str:
    return number.to_bytes(3).lstrip(b"\0").decode("ascii")


class MicroClusterIndex:
    """All micro-clusters of a project and embedder, by slot."""

    def __init__(self, dimensions: int, *, word_share: float = WORD_SHARE) -> None:
        """Start empty; `word_share` is the share of words in a similarity."""
        self.micro_clusters: list[MicroCluster] = []
        self.means = np.zeros((0, dimensions), np.float16)
        self.word_means = np.zeros((0, WORD_DIMENSIONS), np.float16)
        self.counts = np.zeros(0, np.int64)
        self.cluster_numbers = np.zeros(0, np.int32)
        self.mined = np.zeros(0, np.bool_)  # those with a template
        self.languages = np.zeros(0, np.int32)  # numbers of languages
        self.neighbours = np.zeros((0, NEIGHBOURS), np.int32)
        self._search = CoarseSearch(
            SimilaritySpace(np.zeros(dimensions, np.float32), word_share), faiss.IndexFlatIP(COARSE_DIMENSIONS)
        )
        self._foreign_search = ForeignSearch()
        self._free: list[int] = []
        self._dirty_slots: set[int] = set()
        self._dirty_blocks: set[int] = set()
        self._refreshed: set[int] = set()

    # ---- reading -------------------------------------------------------------------------------------------------

    @property
    def space(self) -> SimilaritySpace:
        """Return the space that similarities are taken in."""
        return self._search.space

    @property
    def background(self) -> Vectors:
        """Return the mean that similarities are taken around."""
        return self._search.space.background

    def __len__(self) -> int:
        """Return the number of micro-clusters."""
        return len(self.micro_clusters) - len(self._free)

    def slots(self) -> Slots:
        """Return the slots of all micro-clusters, ascending."""
        return np.flatnonzero(self.counts[: len(self.micro_clusters)])

    def searched_slots(self) -> Slots:
        """Return the slots of the micro-clusters that similarity may find, ascending."""
        known = len(self.micro_clusters)
        return np.flatnonzero((self.counts[:known] > 0) & ~self.mined[:known])

    def items_by_language(self) -> tuple[dict[str, int], int]:
        """Return the number of items in each foreign language, and that in languages that the embedder knows."""
        foreign = np.flatnonzero(self.languages)
        numbers, of = np.unique(self.languages[foreign], return_inverse=True)
        counts = np.bincount(of, self.counts[foreign], len(numbers)).astype(np.int64).tolist()
        items = dict(zip(map(_language, numbers.tolist()), counts, strict=True))
        return items, int(self.counts.sum()) - sum(counts)

    def number_of(self, slot: int) -> int:
        """Return the number of the cluster that a micro-cluster is in."""
        return int(self.cluster_numbers[slot])

    def members(self, slot: int) -> list[Member]:
        """Return the items of a micro-cluster."""
        return self.micro_clusters[slot].members()

    def features(self, means: Vectors | Halves, word_means: Vectors | Halves, foreign: Flags) -> Vectors:
        """Return f of items or micro-clusters, shape (n, dimensions + word dimensions)."""
        return self._search.space.features(means, word_means, foreign)

    def features_at(self, slots: Slots) -> Vectors:
        """Return f of these micro-clusters, shape (len(slots), dimensions + word dimensions)."""
        return self._search.space.features(self.means, self.word_means, self.languages != KNOWN, slots)

    def nearest(self, features: Vectors, language: int = KNOWN, k: int = NEIGHBOURS) -> tuple[Vectors, Slots]:
        """Return similarities and slots of the `k` nearest micro-clusters of each row, or of all, best first.

        `features` are of one language, and so is what is found.
        """
        n = len(features)
        if language == KNOWN:
            there = len(self) - int((self.mined | (self.languages != KNOWN)).sum())
        else:
            there = self._foreign_search.count(language)
        wide = min(RERANKED, there)
        if not wide:
            return np.zeros((n, 0), np.float32), np.zeros((n, 0), np.int64)
        projections = self._search.space.project(features)
        if language == KNOWN:
            _, slots = self._search.faiss_index.search(projections, wide)
        else:
            slots = self._foreign_search.nearest(language, projections, wide)
        slots.sort(axis=1)  # of two equally near ones the lower slot comes first, before and after a restart
        found, at = np.unique(slots, return_inverse=True)
        rows = self.features_at(found)
        exact = np.empty((n, wide), np.float32)
        for i in range(0, n, _EXACT_ROWS):
            part = slice(i, i + _EXACT_ROWS)
            exact[part] = np.matmul(rows[at[part]], features[part, :, None])[:, :, 0]
        order = np.argsort(-exact, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(exact, order, 1), np.take_along_axis(slots, order, 1)

    # ---- snapshots -----------------------------------------------------------------------------------------------

    def track_refreshed(self) -> None:
        """Start to note which projections are refreshed, for the `adopt` of a search built from a snapshot of now."""
        self._refreshed = set()

    def snapshot(self) -> IndexSnapshot:
        """Return a copy of all micro-clusters that similarity may find."""
        slots, size = self.searched_slots(), len(self.micro_clusters)
        position = np.full(size + 1, NO_SLOT)  # the last one serves NO_SLOT, and free slots that a restart has cut off
        position[slots] = np.arange(len(slots))
        return IndexSnapshot(
            self._search.space,
            slots,
            size,
            self.means[slots],
            self.word_means[slots],
            self.counts[slots],
            self.cluster_numbers[slots],
            position[np.minimum(self.neighbours[slots], size)],
            self.languages[slots],
        )

    def adopt(self, search: CoarseSearch) -> None:
        """Take over a search that was built from a snapshot, without copying it.

        Only what has changed since the last `track_refreshed` is projected again.
        """
        self._search = search
        self._refresh([*self._refreshed, *range(search.faiss_index.ntotal, len(self.micro_clusters))])

    # ---- changing ------------------------------------------------------------------------------------------------

    def reserve(self, more: int) -> None:
        """Make room for `more` micro-clusters."""
        n = len(self.micro_clusters) + max(0, more - len(self._free))
        if n > len(self.counts):
            self.means, self.word_means = grown(self.means, n), grown(self.word_means, n)
            self.counts, self.cluster_numbers = grown(self.counts, n), grown(self.cluster_numbers, n)
            self.neighbours = grown(self.neighbours, n)
            self.mined, self.languages = grown(self.mined, n), grown(self.languages, n)

    def open(self, micro_cluster: MicroCluster, number: int, neighbours: Sequence[int]) -> int:
        """Add a micro-cluster without items to a cluster, in reserved room, and return its slot."""
        if self._free:
            slot = heappop(self._free)
            self.micro_clusters[slot] = micro_cluster
        else:
            slot = len(self.micro_clusters)
            self.micro_clusters.append(micro_cluster)
        self.assign(slot, number)
        self.note_kind(slot)
        self.neighbours[slot] = [*neighbours[:NEIGHBOURS], *[NO_SLOT] * (NEIGHBOURS - len(neighbours))]
        self._dirty_slots.add(slot)
        return slot

    def join(self, slots: Sequence[int], vectors: Vectors, word_vectors: Vectors) -> None:
        """Add items to the means of micro-clusters: row i joins `slots[i]`."""
        if not slots:
            return
        wanted, row = np.unique(np.array(slots, np.int64), return_inverse=True)
        before = self.counts[wanted][:, None].astype(np.float32)
        membership = np.zeros((len(wanted), len(row)), np.float32)
        membership[row, np.arange(len(row))] = 1
        after = before + membership.sum(1, keepdims=True)
        for means, given in ((self.means, vectors), (self.word_means, word_vectors)):
            means[wanted] = (means[wanted].astype(np.float32) * before + membership @ given) / after
        self.counts[wanted] = after[:, 0].astype(np.int64)
        self._dirty_slots.update(wanted.tolist())
        self._refresh(slots)

    def divide(self, slot: int, micro_cluster: MicroCluster, items: int) -> int:
        """Open a micro-cluster with the means and `items` of the items of another, and return its slot."""
        self.reserve(1)
        new = self.open(micro_cluster, self.number_of(slot), [slot])
        self.means[new], self.word_means[new] = self.means[slot], self.word_means[slot]
        self.counts[new] = items
        self.set_count(slot, int(self.counts[slot]) - items)
        self._refresh([new])
        return new

    def set_count(self, slot: int, items: int) -> None:
        """Set the number of items of a micro-cluster; its means stay."""
        self.counts[slot] = items
        self._dirty_slots.add(slot)

    def replace(self, slot: int, micro_cluster: MicroCluster) -> None:
        """Replace what is known of a micro-cluster; a snapshot keeps the old object unchanged."""
        self.micro_clusters[slot] = micro_cluster
        self._dirty_slots.add(slot)

    def mine(self, slot: int, micro_cluster: MicroCluster) -> None:
        """Replace what is known of a micro-cluster by the same with a template: a search does not find it any more."""
        self._hide(slot)
        self.replace(slot, micro_cluster)
        self.note_kind(slot)
        self._refresh([slot])

    def free(self, slots: Sequence[int]) -> None:
        """Give micro-clusters up: a search does not find them any more, and others may take their slots."""
        for slot in slots:
            self._hide(slot)
            self.micro_clusters[slot] = FREE
            heappush(self._free, slot)
        self.counts[slots] = 0
        self.mined[slots] = False
        self.languages[slots] = KNOWN
        self._projections()[slots] = np.nan
        self._refreshed.difference_update(slots)
        self._dirty_slots.update(slots)

    def note_kind(self, slot: int) -> None:
        """Note who finds a micro-cluster: its template, or a search in its language."""
        micro_cluster = self.micro_clusters[slot]
        self.mined[slot] = micro_cluster.template is not None
        self.languages[slot] = KNOWN if self.mined[slot] else language_number(micro_cluster.language)
        if self.languages[slot] != KNOWN:
            self._refreshed.add(slot)  # a search that is adopted does not have it

    def _hide(self, slot: int) -> None:
        """Take a micro-cluster out of the search of its language."""
        if self.languages[slot] != KNOWN:
            self._foreign_search.remove(int(self.languages[slot]), slot)

    def assign(self, slot: int, number: int) -> None:
        """Put a micro-cluster into a cluster."""
        self.cluster_numbers[slot] = number
        self._dirty_blocks.add(slot // NUMBERS_A_BLOCK)

    def _refresh(self, slots: Iterable[int]) -> None:
        """Project these micro-clusters again: in place where the search has them, else at its end."""
        wanted = np.array(sorted(set(slots)), np.int64)
        if not len(wanted):
            return
        self._refreshed.update(wanted.tolist())
        searched = ~self.mined[wanted]
        coarse = np.full((len(wanted), COARSE_DIMENSIONS), np.nan, np.float32)
        if searched.any():
            coarse[searched] = self._search.space.project(self.features_at(wanted[searched]))
        for at in np.flatnonzero(self.languages[wanted] != KNOWN).tolist():
            slot = int(wanted[at])
            self._foreign_search.put(int(self.languages[slot]), slot, coarse[at].copy())
            coarse[at] = np.nan
        known = wanted < self._search.faiss_index.ntotal
        if known.any():
            self._projections()[wanted[known]] = coarse[known]
        if not known.all():
            self._search.faiss_index.add(np.ascontiguousarray(coarse[~known]))

    def _projections(self) -> Vectors:
        """Return the projections inside the FAISS index, to change in place."""
        index = self._search.faiss_index
        stored: Vectors = faiss.rev_swig_ptr(index.get_xb(), index.ntotal * COARSE_DIMENSIONS)
        return stored.reshape(index.ntotal, COARSE_DIMENSIONS)

    # ---- storing -------------------------------------------------------------------------------------------------

    def take_changes(self) -> tuple[list[int], list[int]]:
        """Return the slots and the blocks of cluster numbers that changed since the last call, ascending."""
        changed = sorted(self._dirty_slots), sorted(self._dirty_blocks)
        self._dirty_slots.clear()
        self._dirty_blocks.clear()
        return changed

    def occupy(self, slots: Sequence[int]) -> None:
        """Make room in an empty index for micro-clusters at these slots, ascending; the caller fills them."""
        size = slots[-1] + 1 if slots else 0
        self.reserve(size)
        self.micro_clusters += [FREE] * size
        self._free = sorted(set(range(size)) - set(slots))
