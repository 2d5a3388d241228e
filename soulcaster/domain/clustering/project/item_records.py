"""The record of an item in a project's rows: where it is and why, `RECORD_BYTES` beside the 16 bytes of its id.

Jobs and commands have records too, under ids of their own; these only say that they are done.
"""

import math
import struct
from collections import defaultdict
from itertools import pairwise
from typing import Literal, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from soulcaster.domain.assignment import Rule
from soulcaster.domain.clustering.micro_clusters.micro_cluster import pack_columns

ItemState = Literal["assigned", "archived", "deleted", "done"]
"""An item in a micro-cluster, one whose micro-cluster is archived, a deleted one; a job or command that is done."""


class ItemRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a project remembers of an item.

    An assigned item has the `slot` of its micro-cluster, an archived one the number of its `cluster` (-1: none).
    `embedder` is the number of its embedder in the project, `time` its own (epoch seconds), `runner_up` a slot,
    `fingerprint` that of its text. The others are those of its `Assignment`; scores have the precision of half floats,
    counts are modulo 65,536. A record that is deleted or done has none of these.
    """

    state: ItemState
    slot: int = -1
    cluster: int = -1
    embedder: int = 0
    rule: Rule = "near"
    calibration: int = 0
    time: float = 0.0
    score: float = 0.0
    threshold: float = 0.0
    runner_up: int | None = None
    runner_up_score: float | None = None
    round: int = 0
    fingerprint: int = 0

    def archived_in(self, cluster: int) -> "ItemRecord":
        """Return the record that the item has once its micro-cluster is archived; slots then mean nothing."""
        return msgspec.structs.replace(
            self, state="archived", slot=-1, cluster=cluster, runner_up=None, runner_up_score=None
        )

    def without_runner_up(self) -> "ItemRecord":
        """Return the record without the runner-up, whose slot another micro-cluster may take."""
        return msgspec.structs.replace(self, runner_up=None, runner_up_score=None)


DONE = ItemRecord(state="done")
DELETED = ItemRecord(state="deleted")
"""Deleted items are known: they never come again."""

# ---- bytes -----------------------------------------------------------------------------------------------------------

_STRUCT = struct.Struct("<IBBHdeeIeHQ")
"""Slot (or cluster, where archived), embedder, rule, calibration, time, score, threshold, runner-up, its score, round,
fingerprint."""

RECORD_BYTES = _STRUCT.size

_COLUMNS = np.dtype(
    [
        ("slot", "<u4"),
        ("embedder", "u1"),
        ("rule", "u1"),
        ("calibration", "<u2"),
        ("time", "<f8"),
        ("score", "<f2"),
        ("threshold", "<f2"),
        ("runner_up", "<u4"),
        ("runner_up_score", "<f2"),
        ("round", "<u2"),
        ("fingerprint", "<u8"),
    ]
)
"""The same, for many records at once."""

_NOTHING = 0xFFFFFFFF
"""In place of a slot or a runner-up: there is none."""

_ARCHIVED = 0xFFFFFFFE
"""In place of the runner-up: the item is archived."""

_RULES: tuple[Rule, ...] = get_args(Rule)
_RULE_NUMBERS = {rule: number for number, rule in enumerate(_RULES)}

_DONE = _STRUCT.pack(_NOTHING, 0, 0, 0, 0.0, 0.0, 0.0, _NOTHING, 0.0, 0, 0)
_DELETED = _STRUCT.pack(_NOTHING, 0, 0, 0, 0.0, 0.0, 0.0, 0, 0.0, 0, 0)


def pack(record: ItemRecord) -> bytes:
    """Return a record as rows hold it."""
    if record.state == "done":
        return _DONE
    if record.state == "deleted":
        return _DELETED
    archived = record.state == "archived"
    no_runner_up = _ARCHIVED if archived else _NOTHING
    return _STRUCT.pack(
        record.cluster if archived else record.slot,
        record.embedder,
        _RULE_NUMBERS[record.rule],
        record.calibration & 0xFFFF,
        record.time,
        record.score,
        record.threshold,
        no_runner_up if record.runner_up is None else record.runner_up,
        math.nan if record.runner_up_score is None else record.runner_up_score,
        record.round & 0xFFFF,
        record.fingerprint,
    )


def unpack(raw: bytes) -> ItemRecord:
    """Return the record that `pack` has written."""
    if raw == _DONE:
        return DONE
    if raw == _DELETED:
        return DELETED
    at, embedder, rule, calibration, time, score, threshold, near, near_score, round_, fingerprint = _STRUCT.unpack(raw)
    archived = near == _ARCHIVED
    return ItemRecord(
        state="archived" if archived else "assigned",
        slot=-1 if archived else at,
        cluster=at if archived else -1,
        embedder=embedder,
        rule=_RULES[rule],
        calibration=calibration,
        time=time,
        score=score,
        threshold=threshold,
        runner_up=None if near >= _ARCHIVED else near,
        runner_up_score=None if math.isnan(near_score) else near_score,
        round=round_,
        fingerprint=fingerprint,
    )


def members(ids: npt.NDArray[np.uint8], packed: npt.NDArray[np.uint8]) -> dict[int, dict[int, bytearray]]:
    """Return by embedder and slot the items that are assigned, as `MicroCluster.packed_members` holds them.

    A restart reads every item of a project, so none of them becomes a Python object here.

    Args:
        ids: of the items, shape (n, 16); a slot has its items in their order.
        packed: their records, shape (n, `RECORD_BYTES`).
    """
    records = np.ascontiguousarray(packed).view(_COLUMNS)[:, 0]
    assigned = np.flatnonzero((records["slot"] != _NOTHING) & (records["runner_up"] != _ARCHIVED))
    place = records["embedder"][assigned].astype(np.int64) << 32 | records["slot"][assigned]
    order = np.argsort(place, kind="stable")
    place, records = place[order], records[assigned[order]]
    found = pack_columns(ids[assigned[order]], records["time"], records["fingerprint"])
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    by_embedder: dict[int, dict[int, bytearray]] = defaultdict(dict)
    for start, end in pairwise([*starts.tolist(), len(place)]):
        embedder, slot = divmod(int(place[start]), 1 << 32)
        by_embedder[embedder][slot] = bytearray(found[start:end].tobytes())
    return by_embedder
