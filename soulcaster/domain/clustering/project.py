"""The clusters of one project: which item is where, one core an embedder, and the rows that hold it all.

A step takes items, a command or what a round decided, and gives events and the table's changes. Its row is atomic: it
holds the assignments and the groups and clusters they changed together, so that after a crash an item is either
assigned and counted or neither.
"""

import json
import math
import struct
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID

import msgspec

from soulcaster.domain.assignment import Rule
from soulcaster.domain.clustering import snapshot_codec
from soulcaster.domain.clustering.changes import ClusterChanges, Placement, ProposedChange, RoundFailed
from soulcaster.domain.clustering.clusterer import Clusterer
from soulcaster.domain.clustering.clusters import Cluster
from soulcaster.domain.clustering.command_codec import (
    dump_command,
    dump_configuration,
    load_command,
    load_configuration,
)
from soulcaster.domain.clustering.identity import Decision, Snapshot, decide
from soulcaster.domain.clustering.vectors import Vectors
from soulcaster.domain.commands import (
    Cleanup,
    Command,
    Configure,
    Fix,
    Merge,
    Move,
    Mute,
    Pin,
    Rebalance,
    Rename,
    Reopen,
    Reset,
    Resolve,
    Split,
    StartFix,
    Undo,
)
from soulcaster.domain.events import (
    By,
    ClusterChanged,
    ClusterEvent,
    ClusteringConfigured,
    ClusteringStatus,
    ClusterMerged,
    ClusterReopened,
    ClusterRestored,
    ClusterSplit,
    CommandDone,
    CommandOutcome,
    ItemAssigned,
    ItemRemoved,
    Proposal,
    ProposalsChanged,
)
from soulcaster.domain.feedback.items import Brief, Deleted
from soulcaster.domain.ids import cluster_id_for, command_record_id, id_bytes, job_id_for
from soulcaster.domain.segments import SEGMENT_BYTES, RowChange, Segments
from soulcaster.domain.splitting import split_by_bytes
from soulcaster.errors import BadInput

_RECORD = struct.Struct("<IBBHdeeIeHQ")
RECORD_BYTES = _RECORD.size
"""An item's record: its group (slot, embedder), when it was, why it is there, the fingerprint of its text."""

_NOTHING = 0xFFFFFFFF
_DONE = _RECORD.pack(_NOTHING, 0, 0, 0, 0.0, 0.0, 0.0, _NOTHING, 0.0, 0, 0)
"""The record of a job or a command: it is known, and that is all."""

_GONE = _RECORD.pack(_NOTHING, 0, 0, 0, 0.0, 0.0, 0.0, 0, 0.0, 0, 0)
"""The record of an item that was deleted: it is known, and never comes again."""

_ARCHIVED = 0xFFFFFFFE
"""Stands for the runner-up of an archived item, whose record names its cluster's number instead of a group."""

ARCHIVED_BYTES = SEGMENT_BYTES // 2
"""What the groups that are archived in one step may take in a row: tens of milliseconds of work."""

_DAY = 86_400.0
_BLOB_BYTES = 256
"""About what a group that is archived takes in a row besides its items: its cluster's blob and its own, which goes."""

_RULES: tuple[Rule, ...] = get_args(Rule)
_MOST_WAITING = 1_000

_CORE = b"core"
_WAITING = b"command"
_CONFIG = b"config"
_EMBEDDERS = b"embedders"
_OUTBOX = b"outbox"
_LAPSING = b"lapsing"
_SEPARATOR = b"\0"


@dataclass(frozen=True, slots=True)
class EmbedderKey:
    """Which embedder a vector is of; two never meet in one core."""

    name: str
    version: str
    dimensions: int

    def label(self) -> str:
        """Return "name@version"."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Step:
    """What a step did: rows to write first, then events and fixes to send."""

    events: tuple[ClusterEvent, ...] = ()
    fixes: tuple[Fix, ...] = ()
    rows: tuple[RowChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Round:
    """A round that may run anywhere: `decide(snapshot)`, then `ProjectClusters.finish`."""

    embedder: EmbedderKey
    snapshot: Snapshot

    def decide(self) -> Decision:
        """Return what is to change."""
        return decide(self.snapshot)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an item is: its cluster's number, and its group, or None where that is archived."""

    core: Clusterer
    number: int
    slot: int | None


class _Waits(Exception):
    """What a command names is not known yet."""


@dataclass(slots=True)
class _Change:
    """What a step gathers until it is committed."""

    events: list[ClusterEvent] = field(default_factory=list)
    fixes: list[Fix] = field(default_factory=list)
    records: dict[bytes, bytes] = field(default_factory=dict)
    blobs: dict[bytes, bytes] = field(default_factory=dict)
    at: datetime | None = None
    command: Command | None = None
    about: list[str] = field(default_factory=list)
    """The clusters that the command has changed."""
    whole: bool = False
    """Whether what clusters are called is stored in the same row, for what they were called is to be forgotten."""


class _Outbox(msgspec.Struct, array_like=True):
    """What a step says, in so few words that it fits into the row: the state says the rest (a transactional outbox)."""

    items: list[bytes] = []
    clusters: list[str] = []
    told: list[tuple[str, Any]] = []
    proposals: bool = False
    fixes: list[Fix] = []

    def put(self, events: Iterable[ClusterEvent], fixes: Iterable[Fix]) -> None:
        """Take in what is to be sent."""
        for event in events:
            if isinstance(event, ItemAssigned):
                self.items.append(id_bytes(event.item_id))
            elif isinstance(event, ClusterChanged):
                self.clusters.append(event.cluster_id)
            elif isinstance(event, ProposalsChanged):
                self.proposals = True
            else:
                self.told.append((event.type, event))
        self.fixes += fixes


_TOLD: Mapping[str, type[ClusterEvent]] = {
    "merged": ClusterMerged,
    "split": ClusterSplit,
    "restored": ClusterRestored,
    "reopened": ClusterReopened,
    "removed": ItemRemoved,
    "command": CommandDone,
    "status": ClusteringStatus,
    "configured": ClusteringConfigured,
}

_encode = msgspec.msgpack.Encoder().encode


class ProjectClusters:
    """One project's clusters, the single writer of their rows.

    A step changes what is in memory before its rows are written: a caller that fails in between throws the object away
    and loads it from its rows again.
    """

    def __init__(self, project_id: str, segments: Segments, *, archive_days: int = 0) -> None:
        """Take up the state the rows hold; `segments` has records of `RECORD_BYTES`.

        Groups that nothing new has come to for so many days are archived after a round; 0: never.
        """
        self._project_id = project_id
        self._segments = segments
        self._archive_seconds = archive_days * _DAY
        self._cores: dict[EmbedderKey, Clusterer] = {}
        self._keys: list[EmbedderKey] = []
        self._waiting: dict[str, Command] = {}
        self._asked: dict[str, Rebalance | Reset] = {}
        self._anew: set[EmbedderKey] = set()
        self._config = Configure("", "", datetime.fromtimestamp(0, UTC), granularity="auto")
        self._running = False
        self._failed_at = 0
        self._lapsing = False
        self._outbox = _Outbox()
        self._load(segments.blobs())

    def _load(self, blobs: Mapping[bytes, bytes]) -> None:
        saved: dict[bytes, dict[bytes, bytes]] = defaultdict(dict)
        for key, blob in blobs.items():
            head, _, rest = key.partition(_SEPARATOR)
            saved[head][rest] = blob
        for blob in saved.get(_CONFIG, {}).values():
            self._config = load_configuration(blob)
        for blob in saved.get(_OUTBOX, {}).values():
            self._outbox = msgspec.msgpack.decode(blob, type=_Outbox)
        self._lapsing = bool(saved.get(_LAPSING))
        for blob in saved.get(_WAITING, {}).values():
            command = load_command(blob)
            if isinstance(command, Rebalance | Reset):
                self._asked[command.id] = command
            else:
                self._waiting[command.id] = command
        for blob in saved.get(_EMBEDDERS, {}).values():
            self._keys = [EmbedderKey(*key) for key in json.loads(blob)]
        members: list[list[tuple[int, bytes, float, int]]] = [[] for _ in self._keys]
        for item_id, record in sorted(self._segments.records().items()) if self._keys else ():
            slot, embedder, _, _, time, _, _, near, _, _, text = _RECORD.unpack(record)
            if slot != _NOTHING and near != _ARCHIVED:
                members[embedder].append((slot, item_id, time, text))
        for number, (embedder_key, of_core) in enumerate(zip(self._keys, members, strict=True)):
            core = Clusterer(self._project_id, embedder_key.dimensions, threshold=self._config.threshold)
            snapshot_codec.load(core.state, saved[_core_key(number)], of_core)
            self._cores[embedder_key] = core
        if any(isinstance(command, Reset) for command in self._asked.values()):
            self._anew = self._filled()

    # ---- the outbox ----------------------------------------------------------------------------------------------

    def unsent(self) -> Step:
        """Return what was stored and perhaps not sent, as it stands now; empty when all is known to be sent."""
        box = self._outbox
        events: list[ClusterEvent] = [msgspec.convert(told, _TOLD[kind]) for kind, told in box.told]
        ids = list(dict.fromkeys(box.items))
        for item_id, record in zip(ids, self._segments.get(ids), strict=True):
            if record is not None and record != _GONE:
                events.append(self._stored(item_id, record))
        change = _Change(events)
        for found in dict.fromkeys(self._find(cluster_id) for cluster_id in box.clusters):
            if found is not None:
                self._changed(found[0], [found[1]], change)
        if box.proposals:
            change.events.append(self._proposals())
        return Step(tuple(change.events), tuple(box.fixes))

    def sent(self) -> tuple[RowChange, ...]:
        """Forget what was to be sent; return rows to write, if it must not be sent again after a restart.

        Events may be, and the next step's row says that they were sent; a fix should not.
        """
        launched, self._outbox = self._outbox.fixes, _Outbox()
        return tuple(self._segments.commit({}, {_OUTBOX + _SEPARATOR: b""})) if launched else ()

    def _stored(self, item_id: bytes, record: bytes) -> ItemAssigned:
        """Return an item's assignment as its record has it."""
        _, key, rule_number, calibration, time, score, threshold, near, near_score, round_, _ = _RECORD.unpack(record)
        core = self._cores[self._keys[key]]
        place = self._place(record)
        rule = _RULES[rule_number]
        moved = rule in ("consolidation", "person")
        cluster_id, of = core.state.clusters[place.number].id, str(UUID(bytes=item_id))
        # One that it opened may have been merged within the step.
        opened = cluster_id == cluster_id_for(self._project_id, of)
        return ItemAssigned(
            item_id=of,
            item_created_at=datetime.fromtimestamp(time, UTC),
            cluster_id=cluster_id,
            change="moved" if moved else "opened" if opened else "joined",
            score=score,
            threshold=threshold,
            runner_up_id=None if near >= _ARCHIVED else core.state.clusters[core.state.index.number_of(near)].id,
            runner_up_score=None if math.isnan(near_score) else near_score,
            rule=rule,
            calibration=calibration,
            round=round_,
            embedder=self._keys[key].label(),
        )

    # ---- what is known -------------------------------------------------------------------------------------------

    def cluster_of(self, item_ids: Sequence[str]) -> list[str | None]:
        """Return the cluster each item is in, None for one not seen."""
        found: list[str | None] = []
        for place in self._places(item_ids):
            if place is None:
                found.append(None)
            else:
                found.append(place.core.state.clusters[place.number].id)
        return found

    def _places(self, item_ids: Sequence[str]) -> list[_Place | None]:
        records = self._segments.get([id_bytes(item_id) for item_id in item_ids])
        return [None if record in (None, _DONE, _GONE) else self._place(record) for record in records]

    def _place(self, record: bytes) -> _Place:
        slot, embedder, _, _, _, _, _, near, _, _, _ = _RECORD.unpack(record)
        core = self._cores[self._keys[embedder]]
        if near == _ARCHIVED:
            return _Place(core, core.state.clusters.resolve(slot), None)
        return _Place(core, core.state.index.number_of(slot), slot)

    def cluster(self, cluster_id: str) -> Cluster | None:
        """Return a cluster as it stands, by its id or an alias, or None."""
        found = self._find(cluster_id)
        cluster = found[0].state.clusters[found[1]] if found else None
        return None if cluster is None or cluster.is_deleted else cluster

    def _find(self, cluster_id: str) -> tuple[Clusterer, int] | None:
        for core in self._cores.values():
            number = core.state.clusters.find(cluster_id)
            if number is not None:
                return core, number
        return None

    def _known(self, core_id: str) -> tuple[Clusterer, int]:
        found = self._find(core_id)
        if found is None:
            raise _Waits(f"waits for cluster {core_id}, which is not known yet")
        if found[0].state.clusters[found[1]].is_deleted:
            raise BadInput(f"all items of cluster {core_id} were deleted; it is gone")
        return found

    # ---- items ---------------------------------------------------------------------------------------------------

    def add(self, embedder: EmbedderKey, items: Sequence[Brief], vectors: Vectors) -> Step:
        """Assign items that have no cluster yet; one that has keeps it, whatever its text says now.

        One that was deleted has none, and gets none. In a small project the rounds that come due are done on the way;
        in a large one `round_due` says so.
        """
        new: dict[str, int] = {}
        for i, (item, record) in enumerate(
            zip(items, self._segments.get([id_bytes(i.id) for i in items]), strict=True)
        ):
            if record is None:
                new[item.id] = i  # of one that comes twice, the newest version
        if not new:
            return Step()
        change = _Change()
        core = self._core(embedder, change)
        rows = sorted(new.values())
        touched: set[int] = set()
        rounds = 0
        for done in core.add([items[i] for i in rows], vectors[rows], self._config.granularity):
            if isinstance(done, ClusterChanges):
                self._tell(core, embedder, done, "consolidation", change, changed=False)
                touched.update(done.changed)
                rounds += 1
                continue
            if isinstance(done, RoundFailed):
                change.events.append(self._status(f"failed: {done.reason}", items[rows[-1]].created_at, 0.0, 0.0))
                continue
            for assignment in done:
                self._assigned(core, embedder, assignment, change)
                touched.add(core.state.index.number_of(assignment.slot))
        change.events = _folded(change.events)
        self._changed(core, touched, change)
        if rounds:
            self._note_lapsing(bool(self._lapsed()), change)
        step = self._commit_and_try(change)
        if not self._lapsing:
            return step
        archived, changes = self._archive(self._lapsed())  # anew: a command that was waiting may have named some
        then = self._commit(_Change([self._proposals()])) if archived else Step()
        return Step(step.events + then.events, step.fixes, (*step.rows, *changes, *then.rows))

    def remove(self, deleted: Sequence[Deleted], at: datetime) -> Step:
        """Take items out for good, once each, whether they have come yet or not; answer who asked for it."""
        change = _Change(at=at, whole=True)
        ids = [id_bytes(one.id) for one in deleted]
        commands = [id_bytes(command_record_id(one.command_id)) if one.command_id else b"" for one in deleted]
        answered = dict(zip(filter(None, commands), self._segments.get(list(filter(None, commands))), strict=True))
        records = dict(zip(ids, self._segments.get(ids), strict=True))
        was_in: dict[bytes, str] = {}
        live: dict[EmbedderKey, dict[int, list[bytes]]] = defaultdict(lambda: defaultdict(list))
        archived: dict[EmbedderKey, Counter[int]] = defaultdict(Counter)
        texts: dict[EmbedderKey, dict[bytes, int]] = defaultdict(dict)
        for item_id, record in records.items():
            if record is None or record in (_DONE, _GONE):
                continue
            slot, embedder, _, _, _, _, _, near, _, _, text = _RECORD.unpack(record)
            key = self._keys[embedder]
            texts[key][item_id] = text
            if near == _ARCHIVED:
                archived[key][slot] += 1
            else:
                live[key][slot].append(item_id)
            place = self._place(record)
            was_in[item_id] = place.core.state.clusters[place.number].id
        for one, item_id in zip(deleted, ids, strict=True):
            if records[item_id] != _GONE:
                records[item_id] = change.records[item_id] = _GONE
                change.events.append(ItemRemoved(one.id, was_in.get(item_id), one.at, one.command_id))
        suggested = [core.state.proposals for core in self._cores.values()]
        for key, of_core in texts.items():
            core = self._cores[key]
            self._changed(core, core.deletion.remove(live[key], archived[key], of_core), change)
            freed = {slot for slot in live[key] if not core.state.index.counts[slot]}
            change.records.update(self._without_runner_up(self._keys.index(key), freed, change.records))
        if suggested != [core.state.proposals for core in self._cores.values()]:
            change.events.append(self._proposals())
        self._anew &= self._filled()
        if self._asked and not self._anew and not self.stale():
            self._answer(change, "applied", "nothing is left to cluster", at)
        for one, item_id, command in zip(deleted, ids, commands, strict=True):
            if one.command_id and answered[command] is None:
                answered[command] = change.records[command] = _DONE
                about = (was_in[item_id],) if item_id in was_in else ()
                change.events.append(CommandDone(one.command_id, "applied", "deleted", at, None, about))
        return self._commit_and_try(change) if change.events else Step()

    def _without_runner_up(
        self, embedder: int, freed: Collection[int], but: Collection[bytes]
    ) -> list[tuple[bytes, bytes]]:
        """Return the records of items still to be told of that have one of these groups for runner-up, without it.

        The slot of a group that was given up may soon be another's.
        """
        ids = [item_id for item_id in dict.fromkeys(self._outbox.items) if freed and item_id not in but]
        records = []
        for item_id, record in zip(ids, self._segments.get(ids), strict=True):
            if record is None or record == _GONE:
                continue
            slot, of, rule, calibration, time, score, threshold, near, _, round_, text = _RECORD.unpack(record)
            if of == embedder and near in freed:
                changed = (slot, of, rule, calibration, time, score, threshold, _NOTHING, math.nan, round_, text)
                records.append((item_id, _RECORD.pack(*changed)))
        return records

    def _assigned(self, core: Clusterer, embedder: EmbedderKey, a: Placement, change: _Change) -> None:
        runner_up = None if a.runner_up is None else core.state.clusters[core.state.index.number_of(a.runner_up)].id
        change.events.append(
            ItemAssigned(
                item_id=a.item.id,
                item_created_at=a.item.created_at,
                cluster_id=core.state.clusters[core.state.index.number_of(a.slot)].id,
                change=a.change,
                score=a.score,
                threshold=a.threshold,
                runner_up_id=runner_up,
                runner_up_score=a.runner_up_score,
                rule=a.rule,
                calibration=core.state.calibration.number,
                round=core.state.progress.number,
                embedder=embedder.label(),
            )
        )
        change.records[id_bytes(a.item.id)] = self._record(
            core,
            embedder,
            a.slot,
            a.rule,
            a.item.created_at.timestamp(),
            a.score,
            a.threshold,
            a.fingerprint,
            a.runner_up,
            a.runner_up_score,
        )

    def _record(
        self,
        core: Clusterer,
        embedder: EmbedderKey,
        slot: int,
        rule: Rule,
        time: float,
        score: float,
        threshold: float,
        text: int,
        runner_up: int | None = None,
        runner_up_score: float | None = None,
    ) -> bytes:
        return _RECORD.pack(
            slot,
            self._keys.index(embedder),
            _RULES.index(rule),
            core.state.calibration.number & 0xFFFF,
            time,
            score,
            threshold,
            _NOTHING if runner_up is None else runner_up,
            math.nan if runner_up_score is None else runner_up_score,
            core.state.progress.number & 0xFFFF,
            text,
        )

    # ---- rounds --------------------------------------------------------------------------------------------------

    def round_due(self) -> Round | None:
        """Return a round that is to run now, if there is one and none is running; it is running from now on.

        After one that failed the next waits until there are a tenth more items, or somebody asks.
        """
        if self._running or (not self._asked and 10 * self._seen() < 11 * self._failed_at):
            return None
        # Of two embedders, the one whose round comes first is not to keep the other waiting.
        for key, core in sorted(self._cores.items(), key=lambda of: not of[1].rounds.stale()):
            anew = key in self._anew
            if not len(core.state.index):
                continue
            if (
                anew
                or core.rounds.until_due() <= 0
                or (self._asked and (core.rounds.stale() or not core.rounds.complete))
            ):
                self._running = True
                return Round(key, core.rounds.snapshot(self._config.granularity, unbounded=anew))
        return None

    def _filled(self) -> set[EmbedderKey]:
        """Return the embedders that there are groups of."""
        return {key for key, core in self._cores.items() if len(core.state.index)}

    def stale(self) -> bool:
        """Return whether a round would have something to do."""
        return any(core.rounds.stale() or not core.rounds.complete for core in self._cores.values())

    def finish(self, of: Round, decision: Decision, at: datetime, seconds: float) -> Step:
        """Carry out what a round decided."""
        self._running = False
        core = self._cores[of.embedder]
        change = _Change(at=at)
        outcome = core.rounds.finish(of.snapshot, decision)
        if outcome is None:
            change.events.append(self._status("given up: a command or another round came in between", at, seconds, 0.0))
            return self._commit(change)
        self._tell(core, of.embedder, outcome, "consolidation", change)
        change.events.append(self._proposals())
        text = (
            f"{len(outcome.merged)} merged, {len(outcome.split)} split off, "
            f"{outcome.moved_share:.1%} of the items moved{'' if core.rounds.complete else ', more in the next round'}"
        )
        change.events.append(self._status(text, at, seconds, outcome.moved_share))
        self._failed_at = 0
        if core.rounds.complete:
            self._anew.discard(of.embedder)
        if not self._anew and not any(other.rounds.stale() for other in self._cores.values() if other is not core):
            self._answer(change, "applied", text, at)
        runs = self._lapsed()
        self._note_lapsing(bool(runs), change)
        step = self._commit(change)
        if not runs:
            return step
        archived, rows = self._archive(runs)
        text += f"; {archived} groups archived{', more with the next items' if self._lapsing else ''}"
        status = self._status(text, at, seconds, outcome.moved_share)
        then = self._commit(_Change([self._proposals(), status]))
        return Step(step.events + then.events, step.fixes, (*step.rows, *rows, *then.rows))

    def _archive(self, runs: Sequence[tuple[EmbedderKey, list[int]]]) -> tuple[int, list[RowChange]]:
        """Archive the first of these groups that have lapsed, after a round; the others follow in later steps.

        Return how many, and the row. Only a group whose items are too many for one row takes more; its first ones then
        are archived before it is, and a crash in between leaves it with the others.
        """
        rows: list[RowChange] = []
        change = _Change()
        for key, slots in runs[:1]:
            core = self._cores[key]
            records = [(of, 16 + RECORD_BYTES) for of in self._archived(core, self._keys.index(key), slots)]
            core.archiving.archive(slots)
            *first, last = split_by_bytes(records, SEGMENT_BYTES)
            for run in first:
                rows += self._segments.commit(dict(run), {})
            change.records |= dict(last)
        self._note_lapsing(len(runs) > 1, change)
        rows += self._commit(change).rows
        return len(runs[0][1]) if runs else 0, rows

    def _lapsed(self) -> list[tuple[EmbedderKey, list[int]]]:
        """Return the groups that are to be archived, those of one step each."""
        if not self._archive_seconds:
            return []
        before = max((core.archiving.newest() for core in self._cores.values()), default=0.0) - self._archive_seconds
        return [
            (key, slots) for key, core in self._cores.items() for slots in _runs(core, core.archiving.expired(before))
        ]

    def _note_lapsing(self, lapsing: bool, change: _Change) -> None:
        """Remember whether groups are left to archive; a restart goes on with them."""
        if self._lapsing != lapsing:
            self._lapsing = lapsing
            change.blobs[_LAPSING + _SEPARATOR] = b"more" if lapsing else b""

    def _archived(self, core: Clusterer, key: int, slots: Sequence[int]) -> list[tuple[bytes, bytes]]:
        """Return the records of the items of groups that are to be archived.

        And those of items still to be told of that have one of these for runner-up: it may soon be another group.
        """
        number_of = {
            item[0]: core.state.index.number_of(slot) for slot in slots for item in core.state.index.members(slot)
        }
        ids = sorted(number_of)
        records = self._without_runner_up(key, set(slots), number_of)
        for item_id, record in zip(ids, self._segments.get(ids), strict=True):
            if record is None:
                raise LookupError(f"item {item_id.hex()} has a group but no record")
            _, embedder, rule, calibration, time, score, threshold, _, _, round_, text = _RECORD.unpack(record)
            of = (number_of[item_id], embedder, rule, calibration, time, score, threshold, _ARCHIVED, math.nan)
            records.append((item_id, _RECORD.pack(*of, round_, text)))
        return records

    def _answer(self, change: _Change, answer: CommandOutcome, text: str, at: datetime) -> None:
        """Tell who asked for a round what came of it."""
        for command in self._asked.values():
            change.events.append(CommandDone(command.id, answer, text, at, command.type))
            change.records[id_bytes(command_record_id(command.id))] = _DONE
            change.blobs[_waiting_key(command.id)] = b""
        self._asked = {}

    def _seen(self) -> int:
        return sum(core.state.seen for core in self._cores.values())

    def give_up(self) -> None:
        """Forget the round that is running; it is due again."""
        self._running = False

    def failed(self, reason: str, at: datetime) -> Step:
        """Say that a round has failed; who asked for it is refused."""
        self._running = False
        self._failed_at = self._seen()
        self._anew = set()
        change = _Change([self._status(f"failed: {reason}", at, 0.0, 0.0)])
        self._answer(change, "refused", f"the round failed: {reason}", at)
        return self._commit(change)

    def running(self, at: datetime) -> Step:
        """Say that a round runs; it is said once, so it is not noted as unsent."""
        return Step((replace(self._status("", at, 0.0, 0.0), state="running"),))

    def _status(self, outcome: str, at: datetime, seconds: float, moved_share: float) -> ClusteringStatus:
        cores = list(self._cores.values())
        core = cores[-1]
        return ClusteringStatus(
            state="idle" if all(c.rounds.complete for c in cores) else "pending",
            round=core.state.progress.number,
            outcome=outcome,
            at=at,
            seconds=seconds,
            items=self._seen(),
            groups=sum(len(c.state.index) for c in cores),
            clusters=sum(
                1
                for c in cores
                for cluster in c.state.clusters
                if cluster.merged_into is None and not cluster.is_deleted
            ),
            moved_share=moved_share,
            threshold=core.state.calibration.join_threshold,
            calibration=core.state.calibration.number,
        )

    def _proposals(self) -> ProposalsChanged:
        proposals = []
        for core in self._cores.values():
            for s in core.state.proposals:
                if s.slots:
                    if set(s.slots) < set(core.state.clusters[s.one].slots):
                        proposals.append(self._proposed_split(core, s))
                    continue
                one, other = core.state.clusters[s.one], core.state.clusters[s.other]
                if one.slots and other.slots:
                    threshold = core.state.calibration.merge_threshold
                    reason = f"their items are {s.linkage:.2f} alike; from {threshold:.2f} on they would be one"
                    proposals.append(Proposal(s.id, "merge", (one.id, other.id), s.linkage, reason))
        return ProposalsChanged(tuple(sorted(proposals, key=lambda p: (-p.score, p.id))))

    def _proposed_split(self, core: Clusterer, s: ProposedChange) -> Proposal:
        cluster = core.state.clusters[s.one]
        half = int(core.state.index.counts[list(s.slots)].sum())
        reason = (
            f"its halves ({cluster.size - half} and {half} items) are {s.linkage:.2f} alike; "
            f"from {core.state.calibration.merge_threshold:.2f} on they would be one"
        )
        return Proposal(s.id, "split", (cluster.id,), core.state.calibration.merge_threshold - s.linkage, reason)

    # ---- commands ------------------------------------------------------------------------------------------------

    def apply(self, command: Command, at: datetime) -> Step:
        """Carry out a command once; what it names may appear later, then it waits; what cannot be is refused."""
        known = self._segments.get([id_bytes(command_record_id(command.id))]) != [None]
        if known or command.id in self._waiting or command.id in self._asked:
            return Step()
        change = _Change()
        if not self._try(command, change, at):
            if len(self._waiting) >= _MOST_WAITING:
                self._refuse(command, "too many commands wait for what is not known", change, at)
            else:
                self._waiting[command.id] = command
                change.blobs[_waiting_key(command.id)] = dump_command(command)
        return self._commit_and_try(change)

    def _commit_and_try(self, change: _Change) -> Step:
        """Commit, and carry out what has waited for this; it finds its items in what is committed."""
        step = self._commit(change)
        if not self._waiting:
            return step
        later = _Change()
        self._try_waiting(later)
        then = self._commit(later)
        return Step(step.events + then.events, step.fixes + then.fixes, step.rows + then.rows)

    def _try_waiting(self, change: _Change) -> None:
        for command in list(self._waiting.values()):
            if self._try(command, change, command.requested_at, again=True):
                del self._waiting[command.id]
                change.blobs[_waiting_key(command.id)] = b""

    def _try(self, command: Command, change: _Change, at: datetime, *, again: bool = False) -> bool:
        """Carry out or refuse a command, or return False where what it names is not known yet."""
        change.at, change.command, change.about = at, command, []
        try:
            reason = self._carry_out(command, change, at)
        except _Waits as waits:
            if not again:
                change.events.append(CommandDone(command.id, "waiting", str(waits), at, command.type))
            return False
        except BadInput as error:
            self._refuse(command, str(error), change, at)
            return True
        if reason is not None:
            about = tuple(dict.fromkeys(change.about))
            change.events.append(CommandDone(command.id, "applied", reason, at, command.type, about))
            change.records[id_bytes(command_record_id(command.id))] = _DONE
        return True

    def _refuse(self, command: Command, reason: str, change: _Change, at: datetime) -> None:
        change.events.append(CommandDone(command.id, "refused", reason, at, command.type))
        change.records[id_bytes(command_record_id(command.id))] = _DONE

    def _carry_out(self, command: Command, change: _Change, at: datetime) -> str | None:
        """Do it, and return what was done, or None where it is under way.

        Raises:
            _Waits: what it names is not known yet.
            BadInput: it cannot be done.
        """
        match command:
            case StartFix():
                return self._start_fix(command, change)
            case Merge():
                found = [self._known(cluster_id) for cluster_id in (command.cluster_id, *command.cluster_ids)]
                core = self._one_core(core for core, _ in found)
                self._told(core, core.edits.merge(command), change)
                return f"{len(command.cluster_ids)} merged into {command.cluster_id}"
            case Split():
                core, _ = self._known(command.cluster_id)
                self._told(core, core.edits.split(command, self._items(core, command.item_ids)), change)
                return f"{len(command.item_ids)} split off"
            case Move():
                core, _ = self._known(command.cluster_id)
                self._told(core, core.edits.move(command, self._items(core, command.item_ids)), change)
                return f"{len(command.item_ids)} moved to {command.cluster_id}"
            case Rename():
                core, _ = self._known(command.cluster_id)
                self._told(core, core.edits.rename(command), change)
                return "renamed" if command.title else "the title is the machine's again"
            case Pin():
                core, _ = self._known(command.cluster_id)
                self._told(core, core.edits.pin(command), change)
                return "pinned" if command.pinned else "unpinned"
            case Mute() | Resolve() | Reopen():
                core, _ = self._known(command.cluster_id)
                self._told(core, core.edits.triage(command), change)
                return {Mute: "muted", Resolve: "resolved", Reopen: "reopened"}[type(command)]
            case Undo():
                return self._undo(command, change)
            case Rebalance():
                if not self.stale():
                    return "nothing is new since the last round"
                self._ask(command, change)
                return None
            case Cleanup():
                return self._clean_up(command, change)
            case Configure():
                return self._configure(command, change, at)
            case Reset():
                if self._config.threshold is not None:
                    raise BadInput("with an explicit threshold there is nothing to cluster anew")
                self._anew = self._filled()
                if not self._anew:
                    return "there is nothing to cluster anew"
                self._ask(command, change)
                return None

    def _ask(self, command: Rebalance | Reset, change: _Change) -> None:
        """Keep a command until the round it asks for is done."""
        self._asked[command.id] = command
        change.blobs[_waiting_key(command.id)] = dump_command(command)

    def _start_fix(self, command: StartFix, change: _Change) -> str:
        """Ask for a fix, marking it as launched: the job's id has a record, as items have."""
        core, number = self._known(command.cluster_id)
        cluster = core.state.clusters[number]
        job_id = job_id_for(command.id)
        if self._segments.get([id_bytes(job_id)]) == [None]:
            change.records[id_bytes(job_id)] = _DONE
            change.fixes.append(
                Fix(job_id, cluster.id, cluster.shown_title, command.requested_by, command.requested_at)
            )
        return f"job {job_id}"

    def _clean_up(self, command: Cleanup, change: _Change) -> str:
        standing = {s.id: (core, s) for core in self._cores.values() for s in core.state.proposals}
        for proposal in command.proposal_ids:
            if proposal not in standing:
                raise BadInput(f"proposal {proposal} does not stand any more")
        refused = []
        for proposal in command.proposal_ids:
            core, s = standing[proposal]
            said = f"{command.id}/{proposal}"
            if s.slots:
                items = {slot: [member[0] for member in core.state.index.members(slot)] for slot in s.slots}
                split = Split(said, command.requested_by, command.requested_at, core.state.clusters[s.one].id, ())
                try:
                    self._told(core, core.edits.split(split, items), change)
                except BadInput as error:
                    refused.append(str(error))
                continue
            one, other = core.state.clusters[s.one].id, core.state.clusters[s.other].id
            if core.state.clusters.find(one) == core.state.clusters.find(other):
                continue  # by the others of these proposals, or before
            merge = Merge(said, command.requested_by, command.requested_at, one, (other,))
            try:
                self._told(core, core.edits.merge(merge), change)
            except BadInput as error:
                refused.append(str(error))
        change.events.append(self._proposals())
        return "; ".join([f"{len(command.proposal_ids) - len(refused)} applied", *refused])

    def _undo(self, command: Undo, change: _Change) -> str:
        """Take back a command, or one that waits; a cleanup is as many merges as it had proposals, newest first."""
        if self._waiting.pop(command.command_id, None) is not None:
            change.records[id_bytes(command_record_id(command.command_id))] = _DONE
            change.blobs[_waiting_key(command.command_id)] = b""
            return f"{command.command_id} waits no more"
        said = [
            (core, word)
            for core in self._cores.values()
            for word in sorted(
                core.state.constraints.by_command,
                reverse=True,
                key=lambda of: core.state.constraints.by_command[of].order,
            )
            if word == command.command_id or word.startswith(f"{command.command_id}/")
        ]
        if not said:
            raise BadInput(f"no command {command.command_id} stands that could be undone")
        if len(said) > 1:
            for core in self._cores.values():
                core.undoing.check([word for of, word in said if of is core])
        for core, word in said:
            undo = Undo(command.id, command.requested_by, command.requested_at, word)
            self._told(core, core.undoing.undo(undo), change)
        return f"{command.command_id} undone"

    def _configure(self, command: Configure, change: _Change, at: datetime) -> str:
        if command.threshold != self._config.threshold and any(core.state.clusters for core in self._cores.values()):
            raise BadInput("another threshold needs a reset: what is clustered already was clustered by the old one")
        self._config = command
        for core in self._cores.values():
            core.rounds.reconsider()
        for key, core in list(self._cores.items()):
            if not core.state.clusters:
                self._cores[key] = Clusterer(self._project_id, key.dimensions, threshold=command.threshold)
        change.blobs[_CONFIG + _SEPARATOR] = dump_configuration(command)
        change.events.append(ClusteringConfigured(command.threshold, command.granularity, at, command.id))
        return "the next round follows it"

    def _one_core(self, cores: Iterable[Clusterer]) -> Clusterer:
        found = list(cores)
        if any(core is not found[0] for core in found):
            raise BadInput("these clusters are of two embedders, whose vectors cannot be compared")
        return found[0]

    def _items(self, core: Clusterer, item_ids: Sequence[str]) -> dict[int, list[bytes]]:
        """Return items by their group."""
        try:
            places = self._places(item_ids)
        except ValueError as error:
            raise BadInput(str(error)) from error
        items: dict[int, list[bytes]] = defaultdict(list)
        for item_id, place in zip(item_ids, places, strict=True):
            if place is None:
                if self._segments.get([id_bytes(item_id)]) == [_GONE]:
                    raise BadInput(f"item {item_id} was deleted")
                raise _Waits(f"waits for item {item_id}, which is not known yet")
            if place.core is not core:
                raise BadInput(f"item {item_id} is of another embedder, whose vectors cannot be compared")
            if place.slot is None:
                raise BadInput(
                    f"item {item_id} is archived; it stays in cluster {core.state.clusters[place.number].id}"
                )
            items[place.slot].append(id_bytes(item_id))
        return dict(items)

    # ---- telling -------------------------------------------------------------------------------------------------

    def _told(self, core: Clusterer, outcome: ClusterChanges, change: _Change) -> None:
        self._tell(core, next(key for key, of in self._cores.items() if of is core), outcome, "person", change)
        if outcome.merged:
            change.events.append(self._proposals())
        numbers = [*outcome.changed, *outcome.split, *(number for number, _ in outcome.merged)]
        change.about += [core.state.clusters[number].id for number in numbers]

    def _tell(
        self,
        core: Clusterer,
        embedder: EmbedderKey,
        outcome: ClusterChanges,
        by: By,
        change: _Change,
        *,
        changed: bool = True,
    ) -> None:
        """Turn an outcome into events: who stands for whom, then where items are, then how clusters stand."""
        command = change.command if by == "person" else None
        command_id = command.id if command else None
        why = f"{command.requested_by} said so" if command else f"round {core.state.progress.number}"
        events = change.events
        clusters = core.state.clusters
        events += [ClusterRestored(clusters[number].id, why, change.at, command_id) for number in outcome.restored]
        for number in outcome.split:
            parent = clusters[number].parent_id or ""
            events.append(
                ClusterSplit(clusters[number].id, parent, by, why, core.state.progress.number, change.at, command_id)
            )
        for number, into in outcome.merged:
            one, other = clusters[number].id, clusters[into].id
            events.append(ClusterMerged(one, other, by, why, core.state.progress.number, change.at, command_id))
        rule: Rule = "consolidation" if by == "consolidation" else "person"
        for moved in outcome.moved:
            cluster = clusters[core.state.index.number_of(moved.slot)]
            for item_id, time, text in core.state.index.members(moved.slot):
                events.append(
                    ItemAssigned(
                        item_id=str(UUID(bytes=item_id)),
                        item_created_at=datetime.fromtimestamp(time, UTC),
                        cluster_id=cluster.id,
                        change="moved",
                        score=moved.score,
                        threshold=core.state.calibration.merge_threshold if by == "consolidation" else 1.0,
                        runner_up_score=moved.old_score if by == "consolidation" else None,
                        rule=rule,
                        calibration=core.state.calibration.number,
                        round=core.state.progress.number,
                        embedder=embedder.label(),
                        reason=why,
                    )
                )
                change.records[item_id] = self._record(
                    core, embedder, moved.slot, rule, time, moved.score, core.state.calibration.merge_threshold, text
                )
        if changed:
            self._changed(core, outcome.changed, change)

    def _changed(self, core: Clusterer, numbers: Iterable[int], change: _Change) -> None:
        for number in sorted(set(numbers)):
            c = core.state.clusters[number]
            if c.merged_into is not None or c.is_deleted:
                continue
            if core.state.reopen_if_newer(number):
                change.events.append(ClusterReopened(c.id, "newer feedback came after it was resolved", c.updated_at))
            change.events.append(
                ClusterChanged(
                    cluster_id=c.id,
                    title=c.shown_title,
                    summary=c.summary,
                    size=c.size,
                    sources=c.sources,
                    created_at=c.created_at,
                    updated_at=c.updated_at,
                    terms=c.terms,
                    coherence=c.coherence,
                    titled_by="person" if c.given_title else "machine",
                    pinned=c.pinned,
                    parent_id=c.parent_id,
                    triage=c.triage,
                )
            )

    def _core(self, embedder: EmbedderKey, change: _Change) -> Clusterer:
        core = self._cores.get(embedder)
        if core is None:
            core = self._cores[embedder] = Clusterer(
                self._project_id, embedder.dimensions, threshold=self._config.threshold
            )
            self._keys.append(embedder)
            listed = [[key.name, key.version, key.dimensions] for key in self._keys]
            change.blobs[_EMBEDDERS + _SEPARATOR] = json.dumps(listed).encode()
        return core

    def _commit(self, change: _Change) -> Step:
        aside: dict[bytes, bytes] = {}
        for number, embedder in enumerate(self._keys):
            prefix = _core_key(number) + _SEPARATOR
            together, told = snapshot_codec.dump_changes(self._cores[embedder].state)
            change.blobs.update((prefix + name, blob) for name, blob in together.items())
            aside.update((prefix + name, blob) for name, blob in told.items())
        if change.whole:
            change.blobs |= aside
            aside = {}
        if change.events or change.fixes:
            self._outbox.put(change.events, change.fixes)
            change.blobs[_OUTBOX + _SEPARATOR] = _encode(self._outbox)
        rows = self._segments.commit(change.records, change.blobs)
        sizes = [(blob, len(blob[0]) + len(blob[1])) for blob in aside.items()]
        for run in split_by_bytes(sizes, SEGMENT_BYTES):
            rows += self._segments.commit({}, dict(run))
        return Step(tuple(change.events), tuple(change.fixes), tuple(rows))


def _folded(events: Sequence[ClusterEvent]) -> list[ClusterEvent]:
    """Leave out clusters that were opened and merged within these events: nobody has heard of them.

    Their items are assigned to where they ended, which is what the events said in more words.
    """
    opened = {e.cluster_id for e in events if isinstance(e, ItemAssigned) and e.change == "opened"}
    # What a split of the same step makes is not there yet when these items come.
    made = {e.cluster_id for e in events if isinstance(e, ClusterSplit)}
    into = {
        e.cluster_id: e.into_id
        for e in events
        if isinstance(e, ClusterMerged) and e.cluster_id in opened and e.into_id not in made
    }
    if not into:
        return list(events)

    def stands(cluster_id: str) -> str:
        while cluster_id in into:
            cluster_id = into[cluster_id]
        return cluster_id

    def opens(e: ItemAssigned) -> bool:
        return e.change == "opened" and e.cluster_id not in into

    def assigned(e: ItemAssigned) -> ItemAssigned:
        at, beside = stands(e.cluster_id), e.runner_up_id and stands(e.runner_up_id)
        change = e.change if at == e.cluster_id or e.change != "opened" else "joined"
        score = e.runner_up_score
        if beside is not None and beside == at:
            beside = score = None
        return replace(e, cluster_id=at, change=change, runner_up_id=beside, runner_up_score=score)

    # One may be opened after what is merged into it, and nothing may join a cluster before it is opened.
    folded: list[ClusterEvent] = [assigned(e) for e in events if isinstance(e, ItemAssigned) and opens(e)]
    for e in events:
        if isinstance(e, ItemAssigned):
            if not opens(e):
                folded.append(assigned(e))
        elif isinstance(e, ClusterMerged):
            if e.cluster_id not in into:
                folded.append(replace(e, into_id=stands(e.into_id)))
        elif isinstance(e, ClusterSplit):
            folded.append(replace(e, parent_id=stands(e.parent_id)))
        else:
            folded.append(e)
    return folded


def _runs(core: Clusterer, slots: Sequence[int]) -> Iterator[list[int]]:
    """Yield the groups of one step each."""
    sized = [(slot, int(core.state.index.counts[slot]) * (16 + RECORD_BYTES) + _BLOB_BYTES) for slot in slots]
    return split_by_bytes(sized, ARCHIVED_BYTES)


def _core_key(number: int) -> bytes:
    """Return what the keys of an embedder's blobs start with; they are very many, so it is short."""
    return _CORE + str(number).encode()


def _waiting_key(command_id: str) -> bytes:
    return _WAITING + _SEPARATOR + command_id.encode()
