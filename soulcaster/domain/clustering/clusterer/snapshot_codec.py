"""How a project's clusters are stored: as small blobs, of which a dump has those that changed.

Keys start with a letter: g a micro-cluster, a the cluster numbers of a block of slots, c a cluster, t its automatic
title, w a constraint, l counters of the lexicon, m counters and thresholds, h the themes. An empty blob deletes.
Members are not among them; they come from the items' records. Keys of other letters and fields behind the known ones
are those of a newer version, which may run beside this one: they are passed over.
"""

import sys
from collections.abc import Mapping
from uuid import UUID

import msgspec
import numpy as np

from soulcaster.domain.clustering.clusterer.archive import Archived
from soulcaster.domain.clustering.clusterer.changes import ProposedChange
from soulcaster.domain.clustering.clusterer.clusters import Cluster
from soulcaster.domain.clustering.clusterer.constraints import Constraint, Constraints
from soulcaster.domain.clustering.clusterer.state import ClusterState
from soulcaster.domain.clustering.clusterer.themes import Theme, Themes
from soulcaster.domain.clustering.micro_clusters.index_codec import (
    CLUSTER_NUMBERS,
    MICRO_CLUSTER,
    Blobs,
    dump_index,
    load_index,
    number_key,
)
from soulcaster.domain.clustering.micro_clusters.micro_cluster import MEMBER_BYTES, MicroCluster
from soulcaster.domain.clustering.templates.kinds import SourceEvidence
from soulcaster.domain.ids import cluster_id_for
from soulcaster.domain.lifecycle import Triage

_CLUSTER, _TITLE, _CONSTRAINT, _LEXICON, _COUNTERS, _THEMES = b"c", b"t", b"w", b"l", b"m", b"h"


class _ClusterBlob(msgspec.Struct, array_like=True):
    id: str
    given_title: str | None
    pinned: bool
    parent_id: str | None
    merged_into: int | None
    archived: Archived | None = None
    triage: Triage = "open"
    resolved_at: float = 0.0
    theme_id: str | None = None


class _TitleBlob(msgspec.Struct, array_like=True):
    title: str
    summary: str
    terms: tuple[str, ...]
    coherence: float | None
    titled_size: int


class _CountersBlob(msgspec.Struct, array_like=True):
    seen: int
    lexicon_seen: int
    background: bytes
    centred_at: int
    join_threshold: float
    merge_threshold: float
    calibration: int
    round: int
    round_items: int
    changed: bool
    complete: bool
    proposals: list[tuple[str, int, int, float, tuple[int, ...]]]
    sources: dict[str, SourceEvidence] = {}


class _ThemeBlob(msgspec.Struct, array_like=True):
    id: str
    linkage: float
    threshold: float
    usual: float
    title: str
    terms: tuple[str, ...]
    items: int
    clusters: int


_encode = msgspec.msgpack.Encoder().encode
_decode_cluster = msgspec.msgpack.Decoder(_ClusterBlob).decode
_decode_title = msgspec.msgpack.Decoder(_TitleBlob).decode
_decode_constraint = msgspec.msgpack.Decoder(Constraint).decode
_decode_themes = msgspec.msgpack.Decoder(list[_ThemeBlob]).decode
_decode_counters = msgspec.msgpack.Decoder(_CountersBlob).decode


# ---- dumping ---------------------------------------------------------------------------------------------------------


def dump_changes(state: ClusterState) -> tuple[Blobs, Blobs]:
    """Return the blobs that changed since the last dump: those to store together, and titles.

    Titles may be stored apart and be lost: a later round computes them again.
    """
    blobs = dump_index(state.index)
    for number in sorted(state.dirty.clusters):
        blobs[_CLUSTER + number_key(number)] = _cluster_blob(state, number)
    for command_id in sorted(state.dirty.commands):
        constraint = state.constraints.by_command.get(command_id)
        blobs[_CONSTRAINT + command_id.encode()] = b"" if constraint is None else _encode(constraint)
    for key, blob in state.lexicon.dump():
        blobs[_LEXICON + key] = blob
    if state.dirty.themes:
        blobs[_THEMES] = _themes_blob(state)
    titles = {_TITLE + number_key(number): _title_blob(state, number) for number in sorted(state.dirty.titles)}
    if blobs or titles or state.dirty.progress:
        blobs[_COUNTERS] = _counters_blob(state)
    state.dirty.clear()
    return blobs, titles


def _cluster_blob(state: ClusterState, number: int) -> bytes:
    c = state.clusters[number]
    archived = state.archive.get(number)
    return _encode(
        _ClusterBlob(
            c.id,
            c.given_title,
            c.pinned,
            c.parent_id,
            c.merged_into,
            archived,
            c.triage,
            c.resolved_at,
            c.theme_id,
        )
    )


def _themes_blob(state: ClusterState) -> bytes:
    return _encode(
        [_ThemeBlob(t.id, t.linkage, t.threshold, t.usual, t.title, t.terms, t.items, t.clusters) for t in state.themes]
    )


def _title_blob(state: ClusterState, number: int) -> bytes:
    c = state.clusters[number]
    if c.is_alias or c.is_deleted:
        return b""
    return _encode(_TitleBlob(c.title, c.summary, c.terms, c.coherence, c.titled_size))


def _counters_blob(state: ClusterState) -> bytes:
    calibration, progress = state.calibration, state.progress
    return _encode(
        _CountersBlob(
            state.seen,
            state.lexicon.seen,
            state.index.background.tobytes(),
            calibration.centred_at,
            calibration.join_threshold,
            calibration.merge_threshold,
            calibration.number,
            progress.number,
            progress.items,
            progress.epoch != progress.round_epoch,
            progress.complete,
            [(p.id, p.one, p.other, p.linkage, p.slots) for p in state.proposals],
            state.kinds.sources,
        )
    )


# ---- loading ---------------------------------------------------------------------------------------------------------


def load(state: ClusterState, blobs: Mapping[bytes, bytes], members: Mapping[int, bytearray]) -> None:
    """Fill an empty state from the blobs of all dumps, a later dump's over an earlier one's.

    `members` are by slot the items that are not archived, as `MicroCluster.packed_members` holds them.
    """
    kinds: dict[bytes, Blobs] = {
        kind: {}
        for kind in (MICRO_CLUSTER, CLUSTER_NUMBERS, _CLUSTER, _TITLE, _CONSTRAINT, _LEXICON, _COUNTERS, _THEMES)
    }
    for key, blob in blobs.items():
        if blob and key[:1] in kinds:
            kinds[key[:1]][key[1:]] = blob
    if kinds[_THEMES]:
        state.themes = Themes(_theme(blob) for blob in _decode_themes(kinds[_THEMES][b""]))
    untitled = _load_clusters(state, kinds[_CLUSTER], kinds[_TITLE])
    load_index(state.index, kinds[MICRO_CLUSTER], kinds[CLUSTER_NUMBERS])
    for slot in state.index.slots().tolist():
        state.cluster_at(slot).slots.append(slot)
        state.fingerprints.claim(slot)
        template = state.index.micro_clusters[slot].template
        if template:
            state.templates.set(slot, template)
    for slot, packed in members.items():
        state.index.micro_clusters[slot].packed_members = packed
    _archive_missing(state)
    state.refresh_archived()
    for number in range(len(state.clusters)):
        state.recount(number)
    for number in untitled:
        _title_from_first(state, number)
    state.constraints = Constraints(map(_decode_constraint, kinds[_CONSTRAINT].values()))
    if kinds[_COUNTERS]:
        _load_counters(state, kinds[_COUNTERS][b""], kinds[_LEXICON])
    _add_words(state)


def _load_clusters(state: ClusterState, blobs: Mapping[bytes, bytes], titles: Mapping[bytes, bytes]) -> list[int]:
    """Load clusters, and return the numbers of those whose title is not stored."""
    untitled = []
    for key in sorted(blobs):
        c = _decode_cluster(blobs[key])
        cluster = Cluster(
            c.id,
            "",
            "",
            given_title=c.given_title,
            pinned=c.pinned,
            parent_id=c.parent_id,
            merged_into=c.merged_into,
            triage=c.triage,
            resolved_at=c.resolved_at,
            theme_id=c.theme_id if c.theme_id is None else sys.intern(c.theme_id),
        )
        number = state.clusters.add(cluster)
        if c.archived:
            state.archive.add(number, c.archived)
        if key in titles:
            t = _decode_title(titles[key])
            cluster.title, cluster.summary, cluster.terms = t.title, t.summary, t.terms
            cluster.coherence, cluster.titled_size = t.coherence, t.titled_size
        else:
            untitled.append(number)
    return untitled


def _theme(blob: _ThemeBlob) -> Theme:
    return Theme(blob.id, blob.linkage, blob.threshold, blob.usual, blob.title, blob.terms, blob.items, blob.clusters)


def _add_words(state: ClusterState) -> None:
    """Give micro-clusters of rows from before words were kept those of what is kept of their text."""
    found = [state.index.micro_clusters[slot] for slot in state.index.slots().tolist()]
    found = [mc for mc in found if not mc.words and (mc.template or mc.summary)]
    texts = [" ".join(mc.template) if mc.template else mc.summary for mc in found]
    for micro_cluster, words in zip(found, state.lexicon.words(texts), strict=True):
        micro_cluster.words = words


def _archive_missing(state: ClusterState) -> None:
    """Count items as archived that a micro-cluster lost to a step that was cut off (`ArchiveSchedule.archive`)."""
    for slot in state.index.slots().tolist():
        left = len(state.index.micro_clusters[slot].packed_members) // MEMBER_BYTES
        missing = int(state.index.counts[slot]) - left
        if missing:
            state.count_archived(slot, missing)
            state.index.set_count(slot, left)


def _title_from_first(state: ClusterState, number: int) -> None:
    """Give a cluster the title of the item that opened it, or, where its own was lost, of its first micro-cluster."""
    cluster = state.clusters[number]
    if not cluster.slots:
        return
    micro_clusters = [state.index.micro_clusters[slot] for slot in cluster.slots]
    opener = next((mc for mc in micro_clusters if _opened(state, mc, cluster)), None)
    cluster.titled_size = 1 if opener else 0
    if opener is None:
        opener = micro_clusters[0]
        state.dirty.titles.add(number)
    cluster.title, cluster.summary = opener.title, opener.summary


def _opened(state: ClusterState, micro_cluster: MicroCluster, cluster: Cluster) -> bool:
    """Return whether the first item of a micro-cluster opened the cluster."""
    return cluster_id_for(state.project_id, str(UUID(bytes=micro_cluster.item_id))) == cluster.id


def _load_counters(state: ClusterState, blob: bytes, lexicon: Mapping[bytes, bytes]) -> None:
    counters = _decode_counters(blob)
    calibration, progress = state.calibration, state.progress
    state.seen = counters.seen
    state.kinds.sources = counters.sources
    state.lexicon.load(counters.lexicon_seen, lexicon)
    calibration.centred_at, calibration.number = counters.centred_at, counters.calibration
    calibration.join_threshold, calibration.merge_threshold = counters.join_threshold, counters.merge_threshold
    progress.number, progress.items, progress.complete = counters.round, counters.round_items, counters.complete
    progress.epoch = int(counters.changed)
    state.proposals = tuple(ProposedChange(*of) for of in counters.proposals)
    snapshot = state.index.snapshot().around(np.frombuffer(counters.background, np.float32))
    state.index.adopt(snapshot.build_search(snapshot.features()))
