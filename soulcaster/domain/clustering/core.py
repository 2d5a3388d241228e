"""Nearest centroid above a calibrated threshold: the first clustering core.

The interface (`Core`) is what matters here; a better core takes its place without anything around it changing. Cosines
are of vectors less the mean of all seen (sentence embeddings share a large common part, so raw cosines of unrelated
texts run from 0.2 to 0.5 by domain). The threshold is mean + 3 standard deviations of the cosines between random items,
at most `PRIOR_THRESHOLD`: where a few topics are most of a project that sum is over 1, and equal texts stayed apart.
Mean and threshold are taken anew each time the number of items has doubled, so that all of it costs O(1) an item.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import faiss
import msgspec
import numpy as np
import numpy.typing as npt

from soulcaster.domain.events import Change
from soulcaster.domain.feedback import Brief
from soulcaster.domain.ids import cluster_id_for

Vectors = npt.NDArray[np.float32]

FIRST_CALIBRATION = 16
"""Items before the first calibration; until then `PRIOR_THRESHOLD` on raw cosines, and never more after it."""

PRIOR_THRESHOLD = 0.75
DEVIATIONS = 3.0
SAMPLE = 256
"""Items in the sample whose mutual cosines are the background."""

_BLOCK = 256
_NEIGHBOURS = 8


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as it stands."""

    id: str
    title: str
    summary: str
    size: int
    sources: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where an item went and why; `runner_up` is the next best cluster there was."""

    item: Brief
    cluster_id: str
    change: Change
    score: float
    threshold: float
    runner_up_id: str | None
    runner_up_score: float | None


class Core(Protocol):
    """An online clusterer of one project and one embedder: sees each item once, in order."""

    def add(self, items: Sequence[Brief], vectors: Vectors) -> list[Assignment]:
        """Assign items, in order; vectors are unit rows, shape (len(items), dimensions).

        The same items in the same order give the same answers, however they are cut into batches.
        """

    def cluster(self, cluster_id: str) -> Cluster | None:
        """Return a cluster as it stands, or None."""

    def dump(self) -> dict[bytes, bytes]:
        """Return what has changed since the last dump, as blobs."""

    def load(self, blobs: Mapping[bytes, bytes]) -> None:
        """Take up the state that dumps, one over the other, have left."""


class _State(msgspec.Struct, array_like=True):
    """A cluster's blob; `total` is the sum of its vectors, float32."""

    title: str
    summary: str
    size: int
    sources: dict[str, int]
    created_at: datetime
    updated_at: datetime
    total: bytes


class _Calibration(msgspec.Struct, array_like=True):
    """The calibration's blob; `total` float64 over all items, `mean` float32."""

    seen: int
    threshold: float
    total: bytes
    mean: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode_state = msgspec.msgpack.Decoder(_State).decode
_decode_calibration = msgspec.msgpack.Decoder(_Calibration).decode


class NearestCentroid:
    """Core that gives an item to the nearest centroid above the threshold, else opens a cluster."""

    def __init__(self, project_id: str, dimensions: int) -> None:
        """Start empty."""
        self._project_id = project_id
        self._dimensions = dimensions
        self._ids: list[str] = []
        self._slots: dict[str, int] = {}
        self._states: list[_State] = []
        self._totals = np.zeros((0, dimensions), np.float32)
        self._seen = 0
        self._sum = np.zeros(dimensions, np.float64)
        self._mean = np.zeros(dimensions, np.float32)
        self._threshold = PRIOR_THRESHOLD
        self._sample: dict[int, Vectors] = {}
        self._sample_end = _sample_end(self._sample)
        self._index = faiss.IndexFlatIP(dimensions)
        self._dirty: set[int] = set()
        self._dirty_sample: set[int] = set()

    def __len__(self) -> int:
        """Return the number of clusters."""
        return len(self._ids)

    def cluster(self, cluster_id: str) -> Cluster | None:
        """Return a cluster as it stands, or None."""
        slot = self._slots.get(cluster_id)
        if slot is None:
            return None
        state = self._states[slot]
        return Cluster(
            cluster_id,
            state.title,
            state.summary,
            state.size,
            tuple(sorted(state.sources)),
            state.created_at,
            state.updated_at,
        )

    def add(self, items: Sequence[Brief], vectors: Vectors) -> list[Assignment]:
        """Assign items block by block; calibrations fall at fixed counts, wherever a batch ends."""
        assignments: list[Assignment] = []
        start = 0
        while start < len(items):
            stop = min(len(items), start + _BLOCK, start + _next_calibration(self._seen) - self._seen)
            assignments += self._block(items[start:stop], vectors[start:stop])
            if self._seen == _next_calibration(self._seen - 1):
                self._calibrate()
            start = stop
        return assignments

    def _block(self, items: Sequence[Brief], vectors: Vectors) -> list[Assignment]:
        """Assign a block: FAISS answers for the centroids as they were, numpy for those the block itself has moved."""
        centred = _unit(vectors - self._mean)
        moved = _Moved(self._dimensions, len(items))
        scores, slots = self._search(centred, _NEIGHBOURS)
        assignments = []
        for row, item in enumerate(items):
            best = moved.best(centred[row], scores[row], slots[row], self._index.ntotal)
            if best is None:
                wide = self._search(centred[row : row + 1], len(moved.slots) + 2)
                best = moved.best(centred[row], wide[0][0], wide[1][0], self._index.ntotal) or []
            score, slot = best[0] if best else (-1.0, -1)
            threshold = self._threshold
            change: Change
            if score >= threshold:
                change = "joined"
                runner_up = best[1] if len(best) > 1 else None
            else:
                change = "opened"
                runner_up = best[0] if best else None
                slot = self._open(item)
            assignments.append(
                Assignment(
                    item,
                    self._ids[slot],
                    change,
                    score,
                    threshold,
                    self._ids[runner_up[1]] if runner_up else None,
                    runner_up[0] if runner_up else None,
                )
            )
            self._join(slot, item, vectors[row])
            moved.put(slot, _unit_row(self._totals[slot] / self._states[slot].size - self._mean))
        self._write(moved)
        return assignments

    def _search(self, queries: Vectors, k: int) -> tuple[Vectors, npt.NDArray[np.int64]]:
        if not self._index.ntotal:
            return np.zeros((len(queries), 0), np.float32), np.zeros((len(queries), 0), np.int64)
        scores, slots = self._index.search(queries, min(k, self._index.ntotal))
        return scores, slots

    def _open(self, item: Brief) -> int:
        slot = len(self._ids)
        cluster_id = cluster_id_for(self._project_id, item.id)
        self._ids.append(cluster_id)
        self._slots[cluster_id] = slot
        self._states.append(_State(item.title, item.text[:280], 0, {}, item.created_at, item.created_at, b""))
        if slot == len(self._totals):
            self._totals = np.resize(self._totals, (max(64, 2 * slot), self._dimensions))
        self._totals[slot] = 0
        return slot

    def _join(self, slot: int, item: Brief, vector: Vectors) -> None:
        state = self._states[slot]
        state.size += 1
        state.sources[item.source] = state.sources.get(item.source, 0) + 1
        state.updated_at = max(state.updated_at, item.created_at)
        state.created_at = min(state.created_at, item.created_at)
        self._totals[slot] += vector
        self._dirty.add(slot)
        self._seen += 1
        self._sum += vector
        # A bottom-k sample: ids are hashes, so the smallest are a uniform sample that no order of arrival can bend.
        rank = int(item.id.replace("-", "")[:16], 16)
        if rank < self._sample_end:
            self._sample[rank] = vector.copy()
            self._dirty_sample.add(rank)
            if len(self._sample) > SAMPLE:
                out = max(self._sample)
                del self._sample[out]
                self._dirty_sample.add(out)
            self._sample_end = _sample_end(self._sample)

    def _write(self, moved: "_Moved") -> None:
        """Bring the index up to date: rows it has are overwritten in place, the others are appended."""
        have = self._index.ntotal
        order = np.argsort(moved.slots)
        slots = np.array(moved.slots, np.int64)[order]
        rows = moved.rows[: len(slots)][order]
        if (slots < have).any():
            stored = faiss.rev_swig_ptr(self._index.get_xb(), have * self._dimensions).reshape(have, self._dimensions)
            stored[slots[slots < have]] = rows[slots < have]
        if (slots >= have).any():
            self._index.add(np.ascontiguousarray(rows[slots >= have]))

    def _calibrate(self) -> None:
        """Take mean and threshold anew, and centre every centroid by the new mean."""
        self._mean = (self._sum / self._seen).astype(np.float32)
        sample = _unit(np.stack([self._sample[rank] for rank in sorted(self._sample)]) - self._mean)
        cosines = (sample @ sample.T)[np.triu_indices(len(sample), 1)]
        self._threshold = min(float(cosines.mean() + DEVIATIONS * cosines.std()), PRIOR_THRESHOLD)
        self._rebuild()

    def _rebuild(self) -> None:
        n = len(self._ids)
        sizes = np.array([state.size for state in self._states], np.float32).reshape(n, 1)
        self._index = faiss.IndexFlatIP(self._dimensions)
        if n:
            self._index.add(_unit(self._totals[:n] / sizes - self._mean))

    def dump(self) -> dict[bytes, bytes]:
        """Return the blobs of the clusters, the sample and the calibration that have changed since the last dump."""
        blobs = {}
        for slot in sorted(self._dirty):
            state = self._states[slot]
            state.total = self._totals[slot].tobytes()
            blobs[b"c" + slot.to_bytes(4, "big") + self._ids[slot].encode()] = _encode(state)
        for rank in sorted(self._dirty_sample):
            vector = self._sample.get(rank)
            blobs[b"s" + rank.to_bytes(8, "big")] = b"" if vector is None else vector.tobytes()
        if blobs:
            blobs[b"m"] = _encode(_Calibration(self._seen, self._threshold, self._sum.tobytes(), self._mean.tobytes()))
        self._dirty.clear()
        self._dirty_sample.clear()
        return blobs

    def load(self, blobs: Mapping[bytes, bytes]) -> None:
        """Take up what dumps have left."""
        clusters = sorted(key for key in blobs if key[:1] == b"c")
        self._ids = [key[5:].decode() for key in clusters]
        self._slots = {cluster_id: slot for slot, cluster_id in enumerate(self._ids)}
        self._states = [_decode_state(blobs[key]) for key in clusters]
        totals = [np.frombuffer(state.total, np.float32) for state in self._states]
        self._totals = np.array(totals, np.float32).reshape(len(totals), self._dimensions)
        self._sample = {
            int.from_bytes(key[1:], "big"): np.frombuffer(blob, np.float32)
            for key, blob in blobs.items()
            if key[:1] == b"s" and blob
        }
        self._sample_end = _sample_end(self._sample)
        if b"m" in blobs:
            calibration = _decode_calibration(blobs[b"m"])
            self._seen = calibration.seen
            self._threshold = calibration.threshold
            self._sum = np.frombuffer(calibration.total, np.float64).copy()
            self._mean = np.frombuffer(calibration.mean, np.float32)
        self._rebuild()


class _Moved:
    """The centroids a block has moved or opened, which the index does not know yet."""

    def __init__(self, dimensions: int, capacity: int) -> None:
        self.slots: list[int] = []
        self.rows = np.zeros((capacity, dimensions), np.float32)
        self._at: dict[int, int] = {}

    def put(self, slot: int, centroid: Vectors) -> None:
        at = self._at.setdefault(slot, len(self.slots))
        if at == len(self.slots):
            self.slots.append(slot)
        self.rows[at] = centroid

    def best(
        self, query: Vectors, scores: Vectors, slots: npt.NDArray[np.int64], indexed: int
    ) -> list[tuple[float, int]] | None:
        """Return the two best (score, slot), or None when the index must be asked for more than `slots` to know."""
        still = [(s, i) for s, i in zip(scores.tolist(), slots.tolist(), strict=True) if i not in self._at]
        found = still[:2]
        if self.slots:
            mine = self.rows[: len(self.slots)] @ query
            for _ in range(min(2, len(mine))):
                at = int(mine.argmax())
                found.append((float(mine[at]), self.slots[at]))
                mine[at] = -np.inf
            found.sort(key=lambda pair: -pair[0])
        if len(still) < 2 and len(slots) < indexed and (len(found) < 2 or found[1][0] < scores[-1]):
            return None  # beyond the last answer the index may hold one as near as that
        return found[:2]


def _next_calibration(seen: int) -> int:
    """Return the count at which the next calibration is due after `seen` items: 16, 32, 64, ..."""
    due = FIRST_CALIBRATION
    while due <= seen:
        due *= 2
    return due


def _sample_end(sample: Mapping[int, Vectors]) -> int:
    """Return the rank from which on an item is not of the sample."""
    return max(sample) if len(sample) == SAMPLE else 1 << 64


def _unit_row(row: Vectors) -> Vectors:
    """Return one vector at unit length; what `_unit` does, without the cost of doing it for many."""
    unit: Vectors = row / np.float32(max(math.sqrt(float(row @ row)), 1e-12))
    return unit


def _unit(rows: Vectors) -> Vectors:
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: Vectors = (rows / np.maximum(norms, 1e-12)).astype(np.float32)
    return unit
