"""What each kind of command does: one handler a kind, chosen by the command's class.

`CommandQueue` calls `handle`. A handler checks what the command names, has a clusterer carry it out (`edits`,
`undoing`), and adds the events to the step's draft. Nothing calls back.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import singledispatchmethod

from soulcaster.domain.clustering.clusterer.changes import ClusterChanges, ProposedChange
from soulcaster.domain.clustering.clusterer.clusters import Cluster
from soulcaster.domain.clustering.project import event_factory
from soulcaster.domain.clustering.project.embedders import EmbedderClusters
from soulcaster.domain.clustering.project.item_records import DELETED, DONE
from soulcaster.domain.clustering.project.round_schedule import RoundSchedule
from soulcaster.domain.clustering.project.state import Name, ProjectState
from soulcaster.domain.clustering.project.steps import StepDraft
from soulcaster.domain.commands import (
    ApproveFix,
    Cleanup,
    Command,
    Configure,
    Merge,
    Move,
    Mute,
    NotePullRequest,
    Pin,
    PullRequestNews,
    Rebalance,
    Rename,
    Reopen,
    Reset,
    Resolve,
    Split,
    StartFix,
    Undo,
)
from soulcaster.domain.events import ClusteringConfigured, ClusterPullRequest
from soulcaster.domain.fixes.fix import Fix, branch_name
from soulcaster.domain.fixes.limits import check_limits
from soulcaster.domain.ids import command_record_id, id_bytes, job_id_for, job_record_id, step_id_for
from soulcaster.domain.lifecycle import JobState, JobStep
from soulcaster.errors import BadInput, QuotaExceeded

_TRIAGED = {"mute": "muted", "resolve": "resolved", "reopen": "reopened"}

_NEWS: Mapping[PullRequestNews, str] = {
    "opened": "is open",
    "reopened": "is open again",
    "merged": "is merged",
    "released": "is released",
    "closed": "is closed without a merge",
}


class NotKnownYet(Exception):
    """A command names something that has not come yet: `name` is the id of a cluster, or the 16 bytes of an item's."""

    def __init__(self, reason: str, name: Name) -> None:
        super().__init__(reason)
        self.name = name


@dataclass(frozen=True, slots=True)
class CommandContext:
    """A command that is being carried out, the step it is part of, and the clusters it has changed so far."""

    command: Command
    at: datetime
    draft: StepDraft
    cluster_ids: list[str] = field(default_factory=list)


class CommandHandlers:
    """Carries commands out."""

    def __init__(self, state: ProjectState, rounds: RoundSchedule) -> None:
        """Change this state; ask this schedule for rounds."""
        self._state = state
        self._rounds = rounds

    @singledispatchmethod
    def handle(self, command: Command, context: CommandContext) -> str | None:
        """Carry out a command, and return what was done, for people; None where it waits for a round.

        Raises:
            NotKnownYet: it names something that has not come yet.
            BadInput: it is impossible; the message says why.
        """
        raise NotImplementedError(f"no handler for {type(command).__name__}")

    # ---- changing clusters ---------------------------------------------------------------------------------------

    @handle.register
    def _merge(self, command: Merge, context: CommandContext) -> str:
        cluster_ids = (command.cluster_id, *command.cluster_ids)
        for cluster_id in cluster_ids:
            self._known(cluster_id)
        clusters = _same_embedder([self._find(cluster_id)[0] for cluster_id in cluster_ids])
        self._changed(context, clusters, clusters.clusterer.edits.merge(command))
        return f"{len(command.cluster_ids)} merged into {command.cluster_id}"

    @handle.register
    def _split(self, command: Split, context: CommandContext) -> str:
        clusters, items = self._find_items(command.cluster_id, command.item_ids)
        self._changed(context, clusters, clusters.clusterer.edits.split(command, items))
        return f"{len(command.item_ids)} split off"

    @handle.register
    def _move(self, command: Move, context: CommandContext) -> str:
        clusters, items = self._find_items(command.cluster_id, command.item_ids)
        self._changed(context, clusters, clusters.clusterer.edits.move(command, items))
        return f"{len(command.item_ids)} moved to {command.cluster_id}"

    @handle.register
    def _rename(self, command: Rename, context: CommandContext) -> str:
        clusters, _ = self._find(command.cluster_id)
        self._changed(context, clusters, clusters.clusterer.edits.rename(command))
        return "renamed" if command.title else "the title is the machine's again"

    @handle.register
    def _pin(self, command: Pin, context: CommandContext) -> str:
        clusters, _ = self._find(command.cluster_id)
        self._changed(context, clusters, clusters.clusterer.edits.pin(command))
        return "pinned" if command.pinned else "unpinned"

    @handle.register
    def _triage(self, command: Mute | Resolve | Reopen, context: CommandContext) -> str:
        clusters, _ = self._find(command.cluster_id)
        self._changed(context, clusters, clusters.clusterer.edits.triage(command))
        return _TRIAGED[command.type]

    @handle.register
    def _note_pull_request(self, command: NotePullRequest, context: CommandContext) -> str:
        clusters, number = self._find(command.cluster_id)
        changes = clusters.clusterer.edits.resolve_by(command) if command.resolves else ClusterChanges()
        reason = f"{command.pull_request} {_NEWS[command.news]}"
        if command.news == "merged" and not command.resolves:
            reason += "; it waits for a release"
        context.draft.events.append(
            ClusterPullRequest(
                clusters.cluster_id(number),
                command.news,
                reason,
                command.pr_url,
                command.happened_at,
                command.id if changes.changed else None,
            )
        )
        self._changed(context, clusters, changes)
        return reason

    @handle.register
    def _undo(self, command: Undo, context: CommandContext) -> str:
        """Take back a command, or one that waits; a cleanup is one constraint a proposal, the newest first."""
        undone = command.command_id
        if self._state.waiting.pop(undone, None) is not None:
            context.draft.remember(id_bytes(command_record_id(undone)), DONE)
            self._state.drop_command(undone, context.draft)
            return f"{undone} waits no more"
        found = [
            (clusters, constraint.command_id)
            for clusters in self._state.embedders
            for constraint in sorted(clusters.state.constraints.by_command.values(), key=lambda c: -c.order)
            if constraint.command_id == undone or constraint.command_id.startswith(f"{undone}/")
        ]
        if not found:
            raise BadInput(f"no command {undone} stands that could be undone")
        if len(found) > 1:
            for clusters in self._state.embedders:
                clusters.clusterer.undoing.check([part for of, part in found if of is clusters])
        for clusters, part in found:
            undo = Undo(command.id, command.requested_by, command.requested_at, part)
            self._changed(context, clusters, clusters.clusterer.undoing.undo(undo))
        return f"{undone} undone"

    @handle.register
    def _cleanup(self, command: Cleanup, context: CommandContext) -> str:
        proposed = {p.id: (clusters, p) for clusters in self._state.embedders for p in clusters.state.proposals}
        for proposal_id in command.proposal_ids:
            if proposal_id not in proposed:
                raise BadInput(f"proposal {proposal_id} does not stand any more")
        refused = []
        for proposal_id in command.proposal_ids:
            try:
                self._apply_proposal(command, context, *proposed[proposal_id])
            except BadInput as error:
                refused.append(str(error))
        context.draft.events.append(event_factory.proposals(self._state.embedders))
        return "; ".join([f"{len(command.proposal_ids) - len(refused)} applied", *refused])

    def _apply_proposal(
        self, command: Cleanup, context: CommandContext, clusters: EmbedderClusters, proposed: ProposedChange
    ) -> None:
        edits, index = clusters.clusterer.edits, clusters.state.index
        part = f"{command.id}/{proposed.id}"
        one = clusters.cluster_id(proposed.one)
        if proposed.slots:
            items = {slot: [item_id for item_id, _, _ in index.members(slot)] for slot in proposed.slots}
            split = Split(part, command.requested_by, command.requested_at, one, ())
            self._changed(context, clusters, edits.split(split, items))
            return
        other = clusters.cluster_id(proposed.other)
        find = clusters.state.clusters.find
        if find(one) != find(other):  # another of these proposals, or an earlier command, may have merged them
            merge = Merge(part, command.requested_by, command.requested_at, one, (other,))
            self._changed(context, clusters, edits.merge(merge))

    # ---- the project ---------------------------------------------------------------------------------------------

    @handle.register
    def _start_fix(self, command: StartFix, context: CommandContext) -> str:
        """Order a fix, once: the job's id gets a record, as items have."""
        clusters, number = self._find(command.cluster_id)
        cluster = clusters.state.clusters[number]
        job_id = job_id_for(command.id)
        if self._state.is_known(job_id):
            return f"job {job_id}"
        self._check_fix(command, cluster, context)
        attempt = self._state.jobs.next_attempt(cluster.id, context.draft)
        fix = Fix(
            job_id,
            cluster.id,
            cluster.shown_title,
            command.requested_by,
            command.requested_at,
            attempt,
            _branch(command, cluster, attempt),
            command.options,
        )
        context.draft.remember(id_bytes(job_id), DONE)
        context.draft.remember(id_bytes(job_record_id(job_id)), DONE)
        if command.approved:
            self._job_step(context, fix, "approved", f"requested by {command.requested_by}")
            context.draft.fixes.append(fix)
        else:
            self._job_step(context, fix, "queued", f"requested by {command.requested_by}; waits for approval")
        return f"job {job_id}"

    def _check_fix(self, command: StartFix, cluster: Cluster, context: CommandContext) -> None:
        """Return if the cluster may have a job now.

        Raises:
            BadInput: it is muted, has a job under way, or the project's limits allow no more.
        """
        jobs = self._state.jobs
        jobs.forget_old(context.at, context.draft)
        self._check_cluster(cluster)
        if command.limits is not None:
            try:
                check_limits(command.limits, jobs.known(), budget_usd=command.options.budget_usd, now=context.at)
            except QuotaExceeded as error:
                raise BadInput(str(error)) from error

    def _check_cluster(self, cluster: Cluster, *, but: str | None = None) -> None:
        """Return if a job of a cluster may begin, whatever the state of the job `but`.

        Raises:
            BadInput: the cluster is muted, or another of its jobs is under way.
        """
        if cluster.triage == "muted":
            raise BadInput("the cluster is muted; reopen it first")
        under_way = self._state.jobs.active_of(cluster.id, self._present_id, but=but)
        if under_way is not None:
            raise BadInput(f"job {under_way.id} of this cluster is under way")

    @handle.register
    def _approve_fix(self, command: ApproveFix, context: CommandContext) -> str:
        job = self._state.jobs.get(command.job_id)
        if job is None or job.fix is None:
            raise BadInput(f"no job {command.job_id} waits for approval")
        if job.state != "queued":
            raise BadInput(f"job {job.id} does not wait for approval; it is {job.state}")
        clusters, number = self._find(job.cluster_id)
        self._check_cluster(clusters.state.clusters[number], but=job.id)
        fix = replace(job.fix, options=replace(job.fix.options, stop_at=command.stop_at))
        self._job_step(context, fix, "approved", f"approved by {command.requested_by}")
        context.draft.fixes.append(fix)
        return f"job {job.id} approved"

    def _job_step(self, context: CommandContext, fix: Fix, state: JobState, log: str) -> None:
        """Add a step of a job that this writer decides on, and take it at once: others report on it later.

        A job that goes on with a pull request has it from the beginning.
        """
        follow_up = fix.options.follow_up
        pr_url = None if follow_up is None else follow_up.pr_url
        step = JobStep(
            step_id_for(fix.job_id, state),
            fix.job_id,
            self._state.project_id,
            fix.cluster_id,
            0 if state == "queued" or context.command.type == "start_fix" else 1,
            state,
            context.at,
            log=log,
            pr_url=pr_url,
            pr_state=None if pr_url is None else "open",
            fix=fix,
        )
        self._state.jobs.apply(step, context.draft)
        context.draft.job_steps.append(step)

    def _present_id(self, cluster_id: str) -> str | None:
        found = self._state.embedders.find_cluster(cluster_id)
        return None if found is None else found[0].cluster_id(found[1])

    @handle.register
    def _rebalance(self, command: Rebalance, context: CommandContext) -> str | None:
        if not self._rounds.stale():
            return "nothing is new since the last round"
        self._rounds.request(command, context.draft)
        return None

    @handle.register
    def _reset(self, command: Reset, context: CommandContext) -> str | None:
        if self._state.configuration.threshold is not None:
            raise BadInput("with an explicit threshold there is nothing to cluster anew")
        if not self._rounds.request_reset(command, context.draft):
            return "there is nothing to cluster anew"
        return None

    @handle.register
    def _configure(self, command: Configure, context: CommandContext) -> str:
        embedders = self._state.embedders
        changes_threshold = command.threshold != self._state.configuration.threshold
        if changes_threshold and any(len(clusters.state.clusters) for clusters in embedders):
            raise BadInput("another threshold needs a reset: what is clustered already was clustered by the old one")
        for clusters in embedders:
            clusters.clusterer.rounds.reconsider()
        embedders.renew_empty(threshold=command.threshold)
        self._state.configure(command, context.draft)
        context.draft.events.append(
            ClusteringConfigured(command.threshold, command.granularity, context.at, command.id)
        )
        return "the next round follows it"

    # ---- shared parts --------------------------------------------------------------------------------------------

    # A command waits as long as anything that it names is unknown, whatever becomes of the rest meanwhile. Otherwise a
    # restart, after which all that wait are tried, would refuse what a worker that runs on does not look at.

    def _known(self, cluster_id: str) -> tuple[EmbedderClusters, int]:
        """Return a cluster, which may be gone.

        Raises:
            NotKnownYet: it has not come yet.
        """
        found = self._state.embedders.find_cluster(cluster_id)
        if found is None:
            raise NotKnownYet(f"waits for cluster {cluster_id}, which is not known yet", cluster_id)
        return found

    def _find(self, cluster_id: str) -> tuple[EmbedderClusters, int]:
        """Return a cluster.

        Raises:
            NotKnownYet: it has not come yet.
            BadInput: it is gone.
        """
        clusters, number = self._known(cluster_id)
        if clusters.state.clusters[number].is_deleted:
            raise BadInput(f"all items of cluster {cluster_id} were deleted; it is gone")
        return clusters, number

    def _find_items(self, cluster_id: str, item_ids: Sequence[str]) -> tuple[EmbedderClusters, dict[int, list[bytes]]]:
        """Return the embedder of a cluster, and items of the same embedder by the slot of their micro-cluster.

        Raises:
            NotKnownYet: one of them has not come yet.
            BadInput: one of them is gone, archived or of another embedder, or an id is none.
        """
        self._known(cluster_id)
        try:
            ids = [id_bytes(item_id) for item_id in item_ids]
        except ValueError as error:
            raise BadInput(str(error)) from error
        records = self._state.records(ids)
        locations = [self._state.embedders.locate(record) for record in records]
        for item_id, raw_id, record, location in zip(item_ids, ids, records, locations, strict=True):
            if location is None and record != DELETED:
                raise NotKnownYet(f"waits for item {item_id}, which is not known yet", raw_id)
        clusters, _ = self._find(cluster_id)
        by_slot: dict[int, list[bytes]] = defaultdict(list)
        for item_id, raw_id, location in zip(item_ids, ids, locations, strict=True):
            if location is None:
                raise BadInput(f"item {item_id} was deleted")
            if location.clusters is not clusters:
                raise BadInput(f"item {item_id} is of another embedder, whose vectors cannot be compared")
            if location.slot is None:
                raise BadInput(f"item {item_id} is archived; it stays in cluster {location.cluster_id}")
            by_slot[location.slot].append(raw_id)
        return clusters, dict(by_slot)

    def _changed(self, context: CommandContext, clusters: EmbedderClusters, changes: ClusterChanges) -> None:
        """Add the events of what a command changed."""
        draft = context.draft
        event_factory.add_changes(
            draft, clusters, changes, event_factory.caused_by_command(context.command, context.at)
        )
        event_factory.add_clusters(draft, clusters, changes.changed)
        if changes.merged:
            draft.events.append(event_factory.proposals(self._state.embedders))
        numbers = [*changes.changed, *changes.split, *(number for number, _ in changes.merged)]
        context.cluster_ids.extend(map(clusters.cluster_id, numbers))


def _branch(command: StartFix, cluster: Cluster, attempt: int) -> str:
    """Return the branch of a job: its own, or that of the pull request that it goes on with."""
    follow_up = command.options.follow_up
    return follow_up.branch if follow_up is not None and follow_up.branch else branch_name(cluster.id, attempt)


def _same_embedder(found: Sequence[EmbedderClusters]) -> EmbedderClusters:
    if any(clusters is not found[0] for clusters in found):
        raise BadInput("these clusters are of two embedders, whose vectors cannot be compared")
    return found[0]
