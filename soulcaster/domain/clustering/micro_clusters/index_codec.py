"""How micro-clusters are stored: a blob for each, and their cluster numbers in blocks."""

from collections.abc import Mapping
from sys import intern

import msgspec
import numpy as np

from soulcaster.domain.clustering.features.vectors import Slots
from soulcaster.domain.clustering.micro_clusters.index import NUMBERS_A_BLOCK, MicroClusterIndex
from soulcaster.domain.clustering.micro_clusters.micro_cluster import FREE, MicroCluster

Blobs = dict[bytes, bytes]
"""Blobs by key; an empty one deletes."""

MICRO_CLUSTER, CLUSTER_NUMBERS = b"g", b"a"
"""What their keys start with."""


class _MicroClusterBlob(msgspec.Struct, array_like=True):
    """A micro-cluster; its word mean is sparse: the positions of values other than zero, and these values."""

    count: int
    item_id: bytes
    title: str
    summary: str
    sources: tuple[str, ...]
    first: float
    last: float
    fingerprints: tuple[int, ...]
    mean: bytes
    word_positions: bytes
    word_values: bytes
    neighbours: bytes
    text_of: bytes = b""
    template: str | None = None
    language: str = ""
    words: bytes = b""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_MicroClusterBlob).decode


def number_key(number: int) -> bytes:
    """Return a slot, block or cluster number as part of a key."""
    return number.to_bytes(4, "big")


def dump_index(index: MicroClusterIndex) -> Blobs:
    """Return the blobs of what changed in an index since the last dump.

    Cluster numbers are stored apart from micro-clusters, in blocks, because a round may change very many of them.
    """
    slots, blocks = index.take_changes()
    blobs = {}
    rows, positions = np.nonzero(index.word_means[slots])
    ends = np.searchsorted(rows, np.arange(1, len(slots) + 1)).tolist()
    start = 0
    for slot, end in zip(slots, ends, strict=True):
        blobs[MICRO_CLUSTER + number_key(slot)] = _micro_cluster_blob(index, slot, positions[start:end])
        start = end
    for block in blocks:
        end = min((block + 1) * NUMBERS_A_BLOCK, len(index.micro_clusters))
        blobs[CLUSTER_NUMBERS + number_key(block)] = index.cluster_numbers[block * NUMBERS_A_BLOCK : end].tobytes()
    return blobs


def _micro_cluster_blob(index: MicroClusterIndex, slot: int, word_positions: Slots) -> bytes:
    mc = index.micro_clusters[slot]
    if mc is FREE:
        return b""
    return _encode(
        _MicroClusterBlob(
            int(index.counts[slot]),
            mc.item_id,
            mc.title,
            mc.summary,
            mc.sources,
            mc.first,
            mc.last,
            mc.fingerprints,
            index.means[slot].tobytes(),
            word_positions.astype(np.uint8).tobytes(),
            index.word_means[slot, word_positions].tobytes(),
            index.neighbours[slot].tobytes(),
            b"" if mc.text_of == mc.item_id else mc.text_of,
            None if mc.template is None else " ".join(mc.template),
            mc.language,
            mc.words,
        )
    )


def load_index(index: MicroClusterIndex, blobs: Mapping[bytes, bytes], blocks: Mapping[bytes, bytes]) -> None:
    """Fill an empty index from blobs of micro-clusters and blocks of cluster numbers, by keys without their letter."""
    slots = sorted(int.from_bytes(key, "big") for key in blobs)
    index.occupy(slots)
    for slot in slots:
        blob = _decode(blobs[number_key(slot)])
        index.micro_clusters[slot] = MicroCluster(
            blob.item_id,
            blob.title,
            blob.summary,
            blob.sources,
            blob.first,
            blob.last,
            blob.fingerprints,
            text_of=blob.text_of,
            template=None if blob.template is None else tuple(map(intern, blob.template.split())),
            language=intern(blob.language),
            words=blob.words,
        )
        index.note_kind(slot)
        index.means[slot] = np.frombuffer(blob.mean, np.float16)
        word_positions = np.frombuffer(blob.word_positions, np.uint8)
        index.word_means[slot, word_positions] = np.frombuffer(blob.word_values, np.float16)
        index.counts[slot] = blob.count
        index.neighbours[slot] = np.frombuffer(blob.neighbours, np.int32)
    size = len(index.micro_clusters)
    for key, block in blocks.items():
        at = int.from_bytes(key, "big") * NUMBERS_A_BLOCK
        numbers = np.frombuffer(block, np.int32)[: max(0, size - at)]  # the last slots may have become free
        index.cluster_numbers[at : at + len(numbers)] = numbers
