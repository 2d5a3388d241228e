"""What is known of one project, as its rows hold it; the parts of `ProjectClusters` share it."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from soulcaster.domain.clustering.clusterer import snapshot_codec
from soulcaster.domain.clustering.project import event_factory, item_records
from soulcaster.domain.clustering.project.command_codec import (
    dump_command,
    dump_configuration,
    load_command,
    load_configuration,
)
from soulcaster.domain.clustering.project.embedders import EmbedderClusters, Embedders, ItemLocation, load_keys
from soulcaster.domain.clustering.project.item_records import ItemRecord, unpack
from soulcaster.domain.clustering.project.jobs import ATTEMPTS, JOB, ProjectJobs
from soulcaster.domain.clustering.project.outbox import Outbox
from soulcaster.domain.clustering.project.steps import Step, StepDraft
from soulcaster.domain.commands import Command, Configure, Rebalance, Reset
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.domain.events import ClusterChanged
from soulcaster.domain.ids import command_record_id, id_bytes
from soulcaster.domain.segments import SEGMENT_BYTES, Segments, newest_blob
from soulcaster.domain.splitting import split_by_bytes

_SEPARATOR = b"\0"
_CLUSTERER = b"core"
"""With the embedder's number: these keys are very many, so it is short."""
_COMMAND = b"command"
_CONFIGURATION = b"config"
_EMBEDDERS = b"embedders"
_OUTBOX = b"outbox"
_EXPIRED_LEFT = b"lapsing"

Name = str | bytes
"""What a command may wait for: the id of a cluster, or the 16 bytes of an item's id."""


class ProjectState:
    """A project's clusterers, records, commands and outbox. It changes in memory at once, in rows by `commit`.

    Attributes:
        embedders: the embedders with their clusterers.
        configuration: the command that the project is configured by.
        waiting: commands that name something unknown, by id, in the order in which they came.
        requested: commands that wait for a round.
        come: names that became known since commands that wait were tried last; empty while none waits.
        jobs: the jobs under way and of the last day.
        outbox: what the last step has still to send.
        expired_left: whether expired micro-clusters are left to archive.
    """

    def __init__(self, project_id: str, segments: Segments) -> None:
        """Load the state that the rows hold."""
        self.project_id = project_id
        self.segments = segments
        blobs: dict[bytes, dict[bytes, bytes]] = defaultdict(dict)
        for key, blob in segments.blobs().items():
            kind, _, name = key.partition(_SEPARATOR)
            blobs[kind][name] = blob
        self.configuration = Configure("", "", datetime.fromtimestamp(0, UTC), granularity="auto")
        if b"" in blobs[_CONFIGURATION]:
            self.configuration = load_configuration(blobs[_CONFIGURATION][b""])
        self.outbox = Outbox(blobs[_OUTBOX].get(b""))
        self.expired_left = b"" in blobs[_EXPIRED_LEFT]
        self.waiting: dict[str, Command] = {}
        self.requested: dict[str, Rebalance | Reset] = {}
        self.come: set[Name] = set()
        for command in map(load_command, blobs[_COMMAND].values()):
            if isinstance(command, Rebalance | Reset):
                self.requested[command.id] = command
            else:
                self.waiting[command.id] = command
        self.jobs = ProjectJobs(blobs[JOB], blobs[ATTEMPTS])
        self.embedders = Embedders(project_id)
        if b"" in blobs[_EMBEDDERS]:
            self._load_embedders(blobs)

    def _load_embedders(self, blobs: Mapping[bytes, Mapping[bytes, bytes]]) -> None:
        members = item_records.members(*self.segments.columns())
        for key in load_keys(blobs[_EMBEDDERS][b""]):
            clusters = self.embedders.add(key, threshold=self.configuration.threshold)
            number = clusters.number
            snapshot_codec.load(clusters.state, blobs[_clusterer_key(number)], members.get(number, {}))

    # ---- records -------------------------------------------------------------------------------------------------

    def records(self, ids: Sequence[bytes]) -> list[ItemRecord | None]:
        """Return records by 16-byte id, None for an unknown one."""
        return [None if raw is None else unpack(raw) for raw in self.segments.get(ids)]

    def is_known(self, record_id: str) -> bool:
        """Return whether there is a record of this id."""
        return self.segments.get([id_bytes(record_id)]) != [None]

    def is_done(self, command_id: str) -> bool:
        """Return whether a command has been applied or refused."""
        return self.is_known(command_record_id(command_id))

    def locate(self, item_ids: Sequence[str]) -> list[ItemLocation | None]:
        """Return where items are, None for one that is unknown or deleted."""
        return [self.embedders.locate(record) for record in self.records([id_bytes(i) for i in item_ids])]

    def without_runner_up(
        self, clusters: EmbedderClusters, slots: Collection[int], *, but: Collection[bytes]
    ) -> list[tuple[bytes, ItemRecord]]:
        """Return, by id, records of unsent items whose runner-up is one of these slots, without it; leave out `but`.

        The slots are given up, so they may soon be others'; the outbox would make the wrong events of the records.
        """
        ids = [item_id for item_id in self.outbox.item_ids() if slots and item_id not in but]
        return [
            (item_id, record.without_runner_up())
            for item_id, record in zip(ids, self.records(ids), strict=True)
            if record is not None and record.embedder == clusters.number and record.runner_up in slots
        ]

    # ---- what a draft stores -------------------------------------------------------------------------------------

    def store_embedders(self, draft: StepDraft) -> None:
        """Store which embedders there are."""
        draft.blobs[_EMBEDDERS + _SEPARATOR] = self.embedders.dump_keys()

    def configure(self, command: Configure, draft: StepDraft) -> None:
        """Set the configuration, and store it."""
        self.configuration = command
        draft.blobs[_CONFIGURATION + _SEPARATOR] = dump_configuration(command)

    def set_expired_left(self, left: bool, draft: StepDraft) -> None:
        """Remember whether expired micro-clusters are left, so that a restart goes on with them."""
        if self.expired_left != left:
            self.expired_left = left
            draft.blobs[_EXPIRED_LEFT + _SEPARATOR] = b"more" if left else b""

    def store_command(self, command: Command, draft: StepDraft) -> None:
        """Store a command that waits."""
        draft.blobs[_command_key(command.id)] = dump_command(command)

    def drop_command(self, command_id: str, draft: StepDraft) -> None:
        """Delete a command that waits no more."""
        draft.blobs[_command_key(command_id)] = b""

    # ---- rows ----------------------------------------------------------------------------------------------------

    def commit(self, draft: StepDraft) -> Step:
        """Make a step of a draft: one row with everything that must be stored together, and rows with titles.

        Part of the titles may be lost; a later round computes them again. Themes follow what the step did to clusters.
        """
        self._settle_themes(draft)
        titles: dict[bytes, bytes] = {}
        for clusters in self.embedders:
            prefix = _clusterer_key(clusters.number) + _SEPARATOR
            together, apart = snapshot_codec.dump_changes(clusters.state)
            draft.blobs.update((prefix + name, blob) for name, blob in together.items())
            titles.update((prefix + name, blob) for name, blob in apart.items())
        if draft.titles_in_row:
            draft.blobs |= titles
            titles = {}
        if draft.events or draft.fixes or draft.job_steps:
            self.outbox.put(draft.events, draft.fixes, draft.job_steps)
            draft.blobs[_OUTBOX + _SEPARATOR] = self.outbox.dump()
        if self.waiting:
            self.come.update(draft.records)
            self.come.update(event.cluster_id for event in draft.events if isinstance(event, ClusterChanged))
        rows = self.segments.commit(draft.records, draft.blobs)
        sizes = [(blob, len(blob[0]) + len(blob[1])) for blob in titles.items()]
        for run in split_by_bytes(sizes, SEGMENT_BYTES):
            rows += self.segments.commit({}, dict(run))
        return Step(tuple(draft.events), tuple(draft.fixes), tuple(rows), tuple(draft.job_steps), tuple(draft.rounds))

    def _settle_themes(self, draft: StepDraft) -> None:
        stale = [clusters for clusters in self.embedders if clusters.state.themes.stale]
        for clusters in stale:
            event_factory.add_clusters(draft, clusters, clusters.state.settle_themes())
        if any(clusters.state.dirty.themes for clusters in stale):
            draft.events.append(event_factory.themes(self.embedders))

    def unsent(self) -> Step:
        """Return what is stored and perhaps not sent, made from the state as it is now."""
        return self.outbox.unsent(self.project_id, self.embedders, self.segments)

    def empty_outbox(self) -> Step:
        """Forget what was to be sent. Of events it need not be stored: sent again they change nothing."""
        had_jobs = self.outbox.clear()
        return Step(rows=tuple(self.segments.commit({}, {_OUTBOX + _SEPARATOR: b""}))) if had_jobs else Step()


def stored_embedders(rows: Mapping[str, bytes]) -> Sequence[EmbedderKey]:
    """Return the embedders of a project from its rows, in the order in which they came, without loading its state."""
    blob = newest_blob(rows, item_records.RECORD_BYTES, _EMBEDDERS + _SEPARATOR)
    return load_keys(blob) if blob else []


def _clusterer_key(number: int) -> bytes:
    return _CLUSTERER + str(number).encode()


def _command_key(command_id: str) -> bytes:
    return _COMMAND + _SEPARATOR + command_id.encode()
