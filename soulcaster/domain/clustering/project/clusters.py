"""The clusters of one project: which item is in which cluster, and the rows that hold it all.

The agent (`agents/cluster.py`) calls `ProjectClusters`, the single writer of a project's rows. Each of its methods
makes a step: it has the parts below change the state and gather events in a draft, and commits the draft as rows.
Calls go one way:

    ProjectClusters -> CommandQueue -> CommandHandlers -> RoundSchedule
                    -> RoundSchedule, ArchiveSchedule, ItemRemoval
    all of these    -> event_factory, ProjectState -> Clusterer (one an embedder)

A row is atomic: it holds records of items together with the micro-clusters and clusters they changed, so that after a
crash an item is either assigned and counted, or neither.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from soulcaster.domain.clustering.clusterer.changes import ClusterChanges, RoundFailed
from soulcaster.domain.clustering.clusterer.clusterer import Clusterer
from soulcaster.domain.clustering.clusterer.clusters import Cluster
from soulcaster.domain.clustering.consolidation.identity import Decision
from soulcaster.domain.clustering.features.vectors import Vectors
from soulcaster.domain.clustering.project import event_factory
from soulcaster.domain.clustering.project.archive_schedule import ArchiveSchedule
from soulcaster.domain.clustering.project.command_handlers import CommandHandlers
from soulcaster.domain.clustering.project.command_queue import CommandQueue
from soulcaster.domain.clustering.project.embedders import EmbedderClusters
from soulcaster.domain.clustering.project.item_records import DONE
from soulcaster.domain.clustering.project.item_removal import ItemRemoval
from soulcaster.domain.clustering.project.near import NearQuestion, near_cluster_question, near_item_question
from soulcaster.domain.clustering.project.round_schedule import Round, RoundSchedule
from soulcaster.domain.clustering.project.state import ProjectState
from soulcaster.domain.clustering.project.steps import RoundOnTheWay, Step, StepDraft
from soulcaster.domain.commands import Command
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.domain.feedback.items import ComparedItem, Deleted
from soulcaster.domain.ids import id_bytes, job_record_id
from soulcaster.domain.lifecycle import JobStep
from soulcaster.domain.segments import RowChange, Segments

GIVEN_UP = "given up: a command or another round came in between"
"""The outcome of a round whose decision is not carried out."""


class ProjectClusters:
    """One project's clusters.

    A step changes what is in memory before its rows are written. A caller that fails in between throws the object away
    and loads it from its rows again.
    """

    def __init__(
        self,
        project_id: str,
        segments: Segments,
        *,
        archive_days: int = 0,
        seconds: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Load the state that the rows hold; `segments` has records of `RECORD_BYTES`.

        Micro-clusters without new items for `archive_days` are archived; 0: never. `seconds` is a clock that measures
        rounds.
        """
        self._seconds = seconds
        self._state = ProjectState(project_id, segments)
        self._rounds = RoundSchedule(self._state)
        self._archive = ArchiveSchedule(self._state, archive_days=archive_days)
        self._commands = CommandQueue(self._state, CommandHandlers(self._state, self._rounds))
        self._removal = ItemRemoval(self._state)

    # ---- reading -------------------------------------------------------------------------------------------------

    @property
    def clusterers(self) -> Mapping[EmbedderKey, Clusterer]:
        """Return the clusterer of each embedder, in the order in which embedders came."""
        return {clusters.key: clusters.clusterer for clusters in self._state.embedders}

    @property
    def embedders(self) -> Sequence[EmbedderKey]:
        """Return the embedders that the project has items of, in the order in which they came."""
        return [clusters.key for clusters in self._state.embedders]

    def cluster_of(self, item_ids: Sequence[str]) -> list[str | None]:
        """Return the cluster that each item is in, None for one that is unknown or deleted."""
        return [None if location is None else location.cluster_id for location in self._state.locate(item_ids)]

    def cluster(self, cluster_id: str) -> Cluster | None:
        """Return the cluster that an id resolves to, None for one that is unknown or deleted."""
        return self._state.embedders.cluster(cluster_id)

    def near_item(self, item_id: str) -> NearQuestion | None:
        """Return the question what is near an item, None for one that is unknown, deleted or archived."""
        return near_item_question(self._state, item_id)

    def near_cluster(self, cluster_id: str) -> NearQuestion | None:
        """Return the question what is near a cluster, None for one that is unknown, deleted or archived."""
        return near_cluster_question(self._state, cluster_id)

    # ---- outbox --------------------------------------------------------------------------------------------------

    @property
    def all_sent(self) -> bool:
        """Return whether nothing is left to send; looked up at once."""
        return self._state.outbox.is_empty

    def unsent(self) -> Step:
        """Return what is stored and perhaps not sent, made from the state as it is now; empty if all is sent."""
        return self._state.unsent()

    def sent(self) -> tuple[RowChange, ...]:
        """Empty the outbox; return rows to write, if something must not be sent again after a restart.

        Events may be sent again, and the next step's row says that they were sent; fixes must not.
        """
        return self._state.empty_outbox().rows

    # ---- items ---------------------------------------------------------------------------------------------------

    def add(self, embedder: EmbedderKey, items: Sequence[ComparedItem], vectors: Vectors) -> Step:
        """Assign new items to clusters; vectors are unit rows, shape (len(items), dimensions).

        An item that is known keeps its cluster, whatever its text is now, and a deleted one gets none. In a small
        project, rounds that come due run on the way; in a large one, `round_due` says so.
        """
        new: dict[str, int] = {}
        raw_records = self._state.segments.get([id_bytes(item.id) for item in items])
        for row, (item, raw) in enumerate(zip(items, raw_records, strict=True)):
            if raw is None:
                new[item.id] = row  # of an item that comes twice, the newest version
        if not new:
            return Step()
        rows = sorted(new.values())
        draft = StepDraft()
        clusters = self._embedder(embedder, draft)
        self._place(clusters, [items[row] for row in rows], vectors[rows], draft)
        if any(round_.moved_share is not None for round_ in draft.rounds):
            self._rounds.carried_out_on_the_way(clusters, draft)
            self._archive.note(self._archive.expired(), draft)
        step = self._commit_and_retry(draft)
        return step + self._archive_more() if self._state.expired_left else step

    def _embedder(self, key: EmbedderKey, draft: StepDraft) -> EmbedderClusters:
        """Return an embedder, adding one that is new."""
        embedders = self._state.embedders
        if key in embedders:
            return embedders.of(key)
        added = embedders.add(key, threshold=self._state.configuration.threshold)
        self._state.store_embedders(draft)
        return added

    def _place(
        self, clusters: EmbedderClusters, items: Sequence[ComparedItem], vectors: Vectors, draft: StepDraft
    ) -> None:
        """Have the clusterer place items and carry out the rounds that come due on the way."""
        touched: set[int] = set()
        asked = self._seconds()
        for outcome in clusters.clusterer.add(items, vectors, self._state.configuration.granularity):
            took = self._seconds() - asked
            if isinstance(outcome, ClusterChanges):
                cause = event_factory.caused_by_round(clusters, None)
                event_factory.add_changes(draft, clusters, outcome, cause)
                touched.update(outcome.changed)
                draft.rounds.append(RoundOnTheWay(outcome.moved_share, took))
            elif isinstance(outcome, RoundFailed):
                failed = f"failed: {outcome.reason}"
                draft.rounds.append(RoundOnTheWay(None, took))
                draft.events.append(event_factory.status(self._state.embedders, failed, items[-1].created_at))
            else:
                touched |= event_factory.add_placements(draft, clusters, outcome)
            asked = self._seconds()
        draft.events = event_factory.folded(draft.events)
        event_factory.add_clusters(draft, clusters, touched)
        if draft.rounds:
            draft.events.append(event_factory.proposals(self._state.embedders))

    def remove(self, deleted: Sequence[Deleted], at: datetime) -> Step:
        """Remove items for good, once each, whether they have come yet or not, and answer the commands that asked."""
        draft = StepDraft(titles_in_row=True)
        was_in = self._removal.remove(deleted, draft)
        self._rounds.items_removed(at, draft)
        self._removal.answer(deleted, was_in, at, draft)
        return self._commit_and_retry(draft) if draft.events else Step()

    # ---- commands ------------------------------------------------------------------------------------------------

    def apply(self, command: Command, at: datetime) -> Step:
        """Carry out a command, once. One that names something unknown waits for it; an impossible one is refused."""
        if self._commands.is_known(command):
            return Step()
        draft = StepDraft()
        self._commands.apply(command, at, draft)
        return self._commit_and_retry(draft)

    def take_job_steps(self, steps: Sequence[JobStep], at: datetime) -> Step:
        """Take what jobs report, because a job that has ended frees its cluster."""
        draft = StepDraft()
        jobs = self._state.jobs
        for step in steps:
            record_id = job_record_id(step.job_id)
            if jobs.get(step.job_id) is None:
                if self._state.is_known(record_id) or id_bytes(record_id) in draft.records:
                    continue  # a late step of a job that was forgotten: it must not begin again
                draft.remember(id_bytes(record_id), DONE)
            jobs.apply(step, draft)
        jobs.forget_old(at, draft)
        return self._state.commit(draft) if draft.blobs or draft.records else Step()

    # ---- rounds --------------------------------------------------------------------------------------------------

    def stale(self) -> bool:
        """Return whether a round would have something to do."""
        return self._rounds.stale()

    def settled(self) -> bool:
        """Return whether the clusters will hardly change without new items."""
        return self._rounds.settled()

    def is_round_due(self) -> bool:
        """Return whether a round is due, and none is running; looked up at once."""
        return self._rounds.next_due() is not None

    def round_due(self) -> Round | None:
        """Return a round that is due, if none is running; it is running from now on."""
        return self._rounds.start_due()

    def give_up(self) -> None:
        """Forget the round that is running; it is due again."""
        self._rounds.give_up()

    def running(self, at: datetime) -> Step:
        """Say that a round is running. It is said once, so the outbox does not have it."""
        return Step((self._rounds.running_status(at),))

    def failed(self, reason: str, at: datetime) -> Step:
        """Say that a round has failed; requests for rounds are refused."""
        draft = StepDraft()
        self._rounds.failed(reason, at, draft)
        return self._state.commit(draft)

    def finish(self, round_: Round, decision: Decision, at: datetime, seconds: float) -> Step:
        """Carry out what a round decided, if nothing came in between, and archive what has expired.

        `seconds` is what the round took.
        """
        self._rounds.give_up()
        embedders = self._state.embedders
        clusters = embedders.of(round_.embedder)
        draft = StepDraft()
        changes = clusters.clusterer.rounds.finish(round_.snapshot, decision)
        if changes is None:
            draft.events.append(event_factory.status(embedders, GIVEN_UP, at, seconds=seconds))
            return self._state.commit(draft)
        event_factory.add_changes(draft, clusters, changes, event_factory.caused_by_round(clusters, at))
        event_factory.add_clusters(draft, clusters, changes.changed)
        draft.events.append(event_factory.proposals(embedders))
        outcome = _outcome(changes, complete=clusters.clusterer.rounds.complete)
        share = changes.moved_share
        draft.events.append(event_factory.status(embedders, outcome, at, seconds=seconds, moved_share=share))
        self._rounds.finished(clusters, outcome, at, draft)
        expired = self._archive.expired()
        self._archive.note(expired, draft)
        step = self._state.commit(draft)
        if not expired:
            return step
        count, archived = self._archive.archive(expired)
        outcome += f"; {count} groups archived{', more with the next items' if self._state.expired_left else ''}"
        status = event_factory.status(embedders, outcome, at, seconds=seconds, moved_share=share)
        return step + archived + self._state.commit(StepDraft([event_factory.proposals(embedders), status]))

    # ---- steps ---------------------------------------------------------------------------------------------------

    def _commit_and_retry(self, draft: StepDraft) -> Step:
        """Commit a draft, then carry out commands that waited for what it brought."""
        step = self._state.commit(draft)
        while self._state.waiting and self._commands.retry(later := StepDraft()):
            step += self._state.commit(later)
        return step

    def _archive_more(self) -> Step:
        """Archive what is left. It is looked up again, because a command that waited may have named some of it."""
        count, archived = self._archive.archive(self._archive.expired())
        if not count:
            return archived
        return archived + self._state.commit(StepDraft([event_factory.proposals(self._state.embedders)]))


def _outcome(changes: ClusterChanges, *, complete: bool) -> str:
    """Return what a round has done, for people."""
    return (
        f"{len(changes.merged)} merged, {len(changes.split)} split off, "
        f"{changes.moved_share:.1%} of the items moved{'' if complete else ', more in the next round'}"
    )
