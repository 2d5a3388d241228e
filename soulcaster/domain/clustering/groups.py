"""Tight groups (micro-clusters): items so alike that they are taken for one, and the search for the nearest of them.

A group keeps the mean of its items' vectors and the mean of their word vectors, both as float16 and not scaled to unit
length: for unit vectors the mean cosine between the items of two groups is the dot product of these means. Similarity
of two groups (or an item and a group) is f . g with

    f = [sqrt(1 - WORDS) unit(mean - background), sqrt(WORDS) unit(mean of words)]

where the background is the mean of all groups: sentence embeddings share a large common part, so that the raw cosines
of unrelated texts run from 0.2 to 0.5 by domain.

The search is in two steps: a random projection (Johnson and Lindenstrauss 1984) of every group to `COARSE` numbers,
searched by FAISS in full, names `RERANKED` groups, whose similarity is then taken exactly.

Rows are slots. A slot names a group until that is freed; then the next group that opens takes it, of all free slots the
lowest, so that a restart changes nothing.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from heapq import heappop, heappush

import faiss
import msgspec
import numpy as np
import numpy.typing as npt

from soulcaster.domain.clustering.consolidation import NEIGHBOURS
from soulcaster.domain.clustering.lexical import DIMENSIONS as WORD_DIMENSIONS
from soulcaster.domain.clustering.vectors import Halves, Slots, Vectors, grown, lengths

WORDS = 0.35
"""The share of words in a similarity; the rest is meaning."""

COARSE = 64
RERANKED = 32

NONE = -1
_SHRINK = 16.0
_CHUNK = 512
"""Rows that are worked on at once: so few that they stay in the cache."""
_BLOCK = 256


@dataclass(slots=True)
class Exemplar:
    """What stands for a group: its first item; and which items it has.

    `members` holds 32 bytes an item: its id, its time as a float64, the fingerprint of its text. `prints` are the
    texts that are taken for this group's: the first with what varies masked (0: none), the others as they are.
    `text_of` is the item whose title and summary these are, which may have been moved to another group since; where it
    was deleted they are empty.
    """

    item_id: bytes
    title: str
    summary: str
    sources: tuple[str, ...]
    first: float
    last: float
    prints: tuple[int, ...]
    members: bytearray = field(default_factory=bytearray)
    text_of: bytes = b""

    def __post_init__(self) -> None:
        """Take the text to be the first item's, where nothing else is said."""
        self.text_of = self.text_of or self.item_id


_FREED = Exemplar(b"", "", "", (), float("inf"), float("-inf"), ())
"""Stands where there is no group."""


class _Blob(msgspec.Struct, array_like=True):
    """A group as it is stored; words are sparse: the positions of those that are not zero, and their values."""

    count: int
    item_id: bytes
    title: str
    summary: str
    sources: tuple[str, ...]
    first: float
    last: float
    prints: tuple[int, ...]
    dense: bytes
    word_places: bytes
    word_values: bytes
    neighbours: bytes
    text_of: bytes = b""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Blob).decode


@cache
def _projection(size: int) -> Vectors:
    """Return the random projection of rows of this size: the same in every process, for every project."""
    chance = np.random.default_rng(2026)
    projection: Vectors = chance.standard_normal((size, COARSE)).astype(np.float32) / np.float32(COARSE**0.5)
    return projection


class Space:
    """Where similarities are taken: a background, and the share of words."""

    def __init__(self, background: Vectors, words: float) -> None:
        """Make the space around a background."""
        self.background = background
        self._words = words
        self._projection = _projection(len(background) + WORD_DIMENSIONS)

    def around(self, background: Vectors) -> "Space":
        """Return the same space around another background."""
        return Space(background, self._words)

    def features(self, dense: Vectors | Halves, words: Vectors | Halves, rows: Slots | None = None) -> Vectors:
        """Return f of these rows, or of all: shape (n, dimensions + word dimensions)."""
        rows = np.arange(len(dense)) if rows is None else rows
        size = dense.shape[1]
        f = np.empty((len(rows), size + words.shape[1]), np.float32)
        for at in range(0, len(rows), _CHUNK):
            some, wanted = f[at : at + _CHUNK], rows[at : at + _CHUNK]
            np.subtract(dense[wanted], self.background, out=some[:, :size])
            some[:, size:] = words[wanted]
            for part, share in ((some[:, :size], 1 - self._words), (some[:, size:], self._words)):
                part *= math.sqrt(share) / lengths(part)
        return f

    def coarse(self, features: Vectors) -> Vectors:
        """Return the projection of f, shape (n, COARSE)."""
        projected: Vectors = features @ self._projection
        return projected


@dataclass(frozen=True, slots=True)
class Published:
    """A space and the index over the projections of all groups in it, by slot.

    A free slot's projection is not a number: no comparison with that comes out in its favour, so it is never among the
    nearest.
    """

    space: Space
    index: faiss.IndexFlatIP


@dataclass(frozen=True, slots=True)
class GroupsCopy:
    """All groups as they were at one time, one after the other; `slots` has the slot of each.

    `neighbours` are places in this order (-1: none); `size` is how many slots there were, free ones too.
    """

    space: Space
    slots: Slots
    size: int
    dense: Halves
    words: Halves
    count: Slots
    cluster: npt.NDArray[np.int32]
    neighbours: Slots

    def around(self, background: Vectors) -> "GroupsCopy":
        """Return the same groups around another background."""
        return replace(self, space=self.space.around(background))

    def centred(self, coming: Vectors | None = None) -> "GroupsCopy":
        """Return the same around their mean, that of `coming` counted in; few say little of it: it is nearer to zero.

        Of groups and not of items, for a message that comes ten thousand times would push all others to one side.
        """
        count = len(self.slots)
        total = np.zeros(self.dense.shape[1], np.float32)
        for at in range(0, count, _CHUNK):
            total += self.dense[at : at + _CHUNK].sum(0, dtype=np.float32)
        if coming is not None:
            total, count = total + coming.sum(0), count + len(coming)
        return self.around(total / np.float32(count + _SHRINK))

    def rows(self) -> Vectors:
        """Return f of all groups."""
        return self.space.features(self.dense, self.words)

    def publish(self, rows: Vectors) -> Published:
        """Return what `Groups.centre` takes up, given f of all groups: most of its work, done anywhere."""
        coarse = np.full((self.size, COARSE), np.nan, np.float32)
        coarse[self.slots] = self.space.coarse(rows)
        index = faiss.IndexFlatIP(COARSE)
        index.add(coarse)
        return Published(self.space, index)


class Groups:
    """All tight groups of a project, by slot."""

    def __init__(self, dimensions: int, *, words: float = WORDS) -> None:
        """Start empty; `words` is the share of words in a similarity."""
        self.exemplars: list[Exemplar] = []
        self.dense = np.zeros((0, dimensions), np.float16)
        self.words = np.zeros((0, WORD_DIMENSIONS), np.float16)
        self.count = np.zeros(0, np.int64)
        self.cluster = np.zeros(0, np.int32)
        self.neighbours = np.zeros((0, NEIGHBOURS), np.int32)
        self._space = Space(np.zeros(dimensions, np.float32), words)
        self._index = faiss.IndexFlatIP(COARSE)
        self._free: list[int] = []
        self._dirty: set[int] = set()
        self._dirty_blocks: set[int] = set()
        self._since: set[int] = set()

    @property
    def background(self) -> Vectors:
        """Return the mean that similarities are taken around."""
        return self._space.background

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.exemplars) - len(self._free)

    def slots(self) -> Slots:
        """Return the slots of all groups, in order."""
        return np.flatnonzero(self.count[: len(self.exemplars)])

    def features(self, dense: Vectors | Halves, words: Vectors | Halves) -> Vectors:
        """Return f of items or groups, shape (n, dimensions + word dimensions)."""
        return self._space.features(dense, words)

    def rows(self, slots: Slots) -> Vectors:
        """Return f of these groups, shape (len(slots), dimensions + word dimensions)."""
        return self._space.features(self.dense, self.words, slots)

    def mark(self) -> None:
        """Remember what is published from now on, for the `centre` with what is copied now."""
        self._since = set()

    def copy(self) -> "GroupsCopy":
        """Return what consolidation needs of all groups, as they are now."""
        slots, size = self.slots(), len(self.exemplars)
        place = np.full(size + 1, NONE)  # the last is that of none, and of free slots that a restart has cut off
        place[slots] = np.arange(len(slots))
        return GroupsCopy(
            self._space,
            slots,
            size,
            self.dense[slots],
            self.words[slots],
            self.count[slots],
            self.cluster[slots],
            place[np.minimum(self.neighbours[slots], size)],
        )

    def centre(self, published: Published) -> None:
        """Take another space and what was published in it, of groups as they were at the last `mark`.

        It is taken as it is, not copied; only what has changed since is published again.
        """
        self._space, self._index = published.space, published.index
        self.publish([*self._since, *range(self._index.ntotal, len(self.exemplars))])

    def nearest(self, features: Vectors, k: int = NEIGHBOURS) -> tuple[Vectors, Slots]:
        """Return the similarities and slots of the nearest groups of each row, best first: `k`, or all there are."""
        n = len(features)
        wide = min(RERANKED, len(self))
        if not wide:
            return np.zeros((n, 0), np.float32), np.zeros((n, 0), np.int64)
        _, slots = self._index.search(self._space.coarse(features), wide)
        slots.sort(axis=1)  # of two that are equally near the older comes first, before a restart and after it
        found, at = np.unique(slots, return_inverse=True)
        rows = self.rows(found)
        exact = np.empty((n, wide), np.float32)
        for i in range(0, n, 32):
            part = slice(i, i + 32)
            exact[part] = np.matmul(rows[at[part]], features[part, :, None])[:, :, 0]
        order = np.argsort(-exact, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(exact, order, 1), np.take_along_axis(slots, order, 1)

    def reserve(self, more: int) -> None:
        """Make room for so many groups more."""
        n = len(self.exemplars) + max(0, more - len(self._free))
        if n > len(self.count):
            self.dense, self.words = grown(self.dense, n), grown(self.words, n)
            self.count, self.cluster = grown(self.count, n), grown(self.cluster, n)
            self.neighbours = grown(self.neighbours, n)

    def open(self, exemplar: Exemplar, cluster: int, neighbours: Sequence[int]) -> int:
        """Add a group without items, in room reserved, and return its slot; `join` gives it some."""
        if self._free:
            slot = heappop(self._free)
            self.exemplars[slot] = exemplar
        else:
            slot = len(self.exemplars)
            self.exemplars.append(exemplar)
        self.assign(slot, cluster)
        self.neighbours[slot] = [*neighbours[:NEIGHBOURS], *[NONE] * (NEIGHBOURS - len(neighbours))]
        self._dirty.add(slot)
        return slot

    def join(self, slots: Sequence[int], dense: Vectors, words: Vectors) -> None:
        """Take items into the means of groups, row by row, and publish these."""
        if not slots:
            return
        wanted, row = np.unique(np.array(slots, np.int64), return_inverse=True)
        before = self.count[wanted][:, None].astype(np.float32)
        membership = np.zeros((len(wanted), len(row)), np.float32)
        membership[row, np.arange(len(row))] = 1
        after = before + membership.sum(1, keepdims=True)
        for means, given in ((self.dense, dense), (self.words, words)):
            means[wanted] = (means[wanted].astype(np.float32) * before + membership @ given) / after
        self.count[wanted] = after[:, 0].astype(np.int64)
        self._dirty.update(wanted.tolist())
        self.publish(slots)

    def divide(self, slot: int, exemplar: Exemplar, items: int) -> int:
        """Open a group with so many of another's items and its means, and return its slot."""
        self.reserve(1)
        new = self.open(exemplar, int(self.cluster[slot]), [slot])
        self.dense[new], self.words[new] = self.dense[slot], self.words[slot]
        self.count[new] = items
        self.recount(slot, int(self.count[slot]) - items)
        self.publish([new])
        return new

    def recount(self, slot: int, items: int) -> None:
        """Have a group count for so many items; its means stay."""
        self.count[slot] = items
        self._dirty.add(slot)

    def stand_for(self, slot: int, exemplar: Exemplar) -> None:
        """Have something else stand for a group; who has the old one goes on with it as it was."""
        self.exemplars[slot] = exemplar
        self._dirty.add(slot)

    def free(self, slots: Sequence[int]) -> None:
        """Give groups up: they are not found any more, and others may have their slots."""
        for slot in slots:
            self.exemplars[slot] = _FREED
            heappush(self._free, slot)
        self.count[slots] = 0
        self._projected()[slots] = np.nan
        self._since.difference_update(slots)
        self._dirty.update(slots)

    def assign(self, slot: int, cluster: int) -> None:
        """Put a group into another cluster."""
        self.cluster[slot] = cluster
        self._dirty_blocks.add(slot // _BLOCK)

    def publish(self, slots: Iterable[int]) -> None:
        """Bring the index up to date: in place for groups it has, at its end for the others."""
        wanted = np.array(sorted(set(slots)), np.int64)
        if not len(wanted):
            return
        self._since.update(wanted.tolist())
        coarse = self._space.coarse(self.rows(wanted))
        have = self._index.ntotal
        old = wanted < have
        if old.any():
            self._projected()[wanted[old]] = coarse[old]
        if not old.all():
            self._index.add(np.ascontiguousarray(coarse[~old]))

    def _projected(self) -> Vectors:
        """Return the projections that the index holds, to be changed in place."""
        n = self._index.ntotal
        stored: Vectors = faiss.rev_swig_ptr(self._index.get_xb(), n * COARSE).reshape(n, COARSE)
        return stored

    def dump(self) -> dict[bytes, bytes]:
        """Return the blobs of what has changed since the last dump; an empty one is gone.

        Which cluster a group is in is stored apart from it, in blocks: a round may change that of very many.
        """
        blobs: dict[bytes, bytes] = {}
        for slot in sorted(self._dirty):
            e = self.exemplars[slot]
            if e is _FREED:
                blobs[b"g" + slot.to_bytes(4, "big")] = b""
                continue
            places = np.flatnonzero(self.words[slot])
            blob = _Blob(
                int(self.count[slot]),
                e.item_id,
                e.title,
                e.summary,
                e.sources,
                e.first,
                e.last,
                e.prints,
                self.dense[slot].tobytes(),
                places.astype(np.uint8).tobytes(),
                self.words[slot, places].tobytes(),
                self.neighbours[slot].tobytes(),
                b"" if e.text_of == e.item_id else e.text_of,
            )
            blobs[b"g" + slot.to_bytes(4, "big")] = _encode(blob)
        for block in sorted(self._dirty_blocks):
            numbers = self.cluster[block * _BLOCK : min((block + 1) * _BLOCK, len(self.exemplars))]
            blobs[b"a" + block.to_bytes(4, "big")] = numbers.tobytes()
        self._dirty.clear()
        self._dirty_blocks.clear()
        return blobs

    def load(self, blobs: Mapping[bytes, bytes], blocks: Mapping[bytes, bytes]) -> None:
        """Take up what dumps have left, by keys less their first byte; members come from the items' records."""
        slots = sorted(int.from_bytes(key, "big") for key in blobs)
        n = slots[-1] + 1 if slots else 0
        self.reserve(n)
        self.exemplars += [_FREED] * n
        self._free = sorted(set(range(n)) - set(slots))
        for slot in slots:
            blob = _decode(blobs[slot.to_bytes(4, "big")])
            self.exemplars[slot] = Exemplar(
                blob.item_id,
                blob.title,
                blob.summary,
                blob.sources,
                blob.first,
                blob.last,
                blob.prints,
                text_of=blob.text_of,
            )
            self.dense[slot] = np.frombuffer(blob.dense, np.float16)
            self.words[slot, np.frombuffer(blob.word_places, np.uint8)] = np.frombuffer(blob.word_values, np.float16)
            self.count[slot] = blob.count
            self.neighbours[slot] = np.frombuffer(blob.neighbours, np.int32)
        for key, block in blocks.items():
            at = int.from_bytes(key, "big") * _BLOCK
            numbers = np.frombuffer(block, np.int32)[: max(0, n - at)]  # the last slots there were may be free
            self.cluster[at : at + len(numbers)] = numbers
