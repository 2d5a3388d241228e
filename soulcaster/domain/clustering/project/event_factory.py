"""Events from what clusterers did: placements and changes in, `ClusterEvent`s and item records out.

Whatever makes a step calls these functions; they read clusterers and write to the step's draft. They call nothing back.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from soulcaster.domain.assignment import Change, Rule
from soulcaster.domain.clustering.clusterer.changes import ClusterChanges, Placement, ProposedChange
from soulcaster.domain.clustering.clusterer.themes import Theme as SettledTheme
from soulcaster.domain.clustering.project.embedders import EmbedderClusters, Embedders, ItemLocation
from soulcaster.domain.clustering.project.item_records import ItemRecord
from soulcaster.domain.clustering.project.steps import StepDraft
from soulcaster.domain.clustering.templates.index import SAME_TEMPLATE, shown
from soulcaster.domain.commands import Command
from soulcaster.domain.events import (
    By,
    ClusterChanged,
    ClusterEvent,
    ClusteringStatus,
    ClusterMerged,
    ClusterRegressed,
    ClusterRestored,
    ClusterSplit,
    ItemAssigned,
    Proposal,
    ProposalsChanged,
    Theme,
    ThemesChanged,
)
from soulcaster.domain.ids import cluster_id_for, id_bytes

_TEMPLATE_CHARS = 300
"""Characters of a template that are shown."""

MOST_LANGUAGES = 20
"""Languages that are counted for people."""

NO_LINKAGE = 1.0
"""The threshold of an item that a person moved: no linkage decided."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why clusters changed: a round of consolidation, or a person's command."""

    by: By
    reason: str
    at: datetime | None
    command_id: str | None = None


def caused_by_round(clusters: EmbedderClusters, at: datetime | None) -> Cause:
    """Return the cause of what the last round changed."""
    return Cause("consolidation", f"round {clusters.state.progress.number}", at)


def caused_by_command(command: Command, at: datetime) -> Cause:
    """Return the cause of what a command changed."""
    return Cause("person", f"{command.requested_by} said so", at, command.id)


# ---- items -----------------------------------------------------------------------------------------------------------


def add_placements(draft: StepDraft, clusters: EmbedderClusters, placements: Iterable[Placement]) -> set[int]:
    """Add the events and records of items that were placed; return the numbers of their clusters."""
    state = clusters.state
    number_of, cluster_id = state.index.number_of, clusters.cluster_id
    touched = set()
    for placement in placements:
        number = number_of(placement.slot)
        touched.add(number)
        event = ItemAssigned(
            item_id=placement.item.id,
            item_created_at=placement.item.created_at,
            cluster_id=cluster_id(number),
            change=placement.change,
            score=placement.score,
            threshold=placement.threshold,
            runner_up_id=None if placement.runner_up is None else cluster_id(number_of(placement.runner_up)),
            runner_up_score=placement.runner_up_score,
            rule=placement.rule,
            calibration=state.calibration.number,
            round=state.progress.number,
            embedder=clusters.label,
            reason=_named(placement.template),
        )
        draft.events.append(event)
        draft.remember(
            id_bytes(placement.item.id),
            ItemRecord(
                state="assigned",
                slot=placement.slot,
                embedder=clusters.number,
                rule=event.rule,
                calibration=event.calibration,
                time=event.item_created_at.timestamp(),
                score=event.score,
                threshold=event.threshold,
                runner_up=placement.runner_up,
                runner_up_score=event.runner_up_score,
                round=event.round,
                fingerprint=placement.fingerprint,
            ),
        )
    return touched


def _named(template: Sequence[str] | None) -> str | None:
    """Return what the assignment of a machine's text says of its template; one that a person has divided has none."""
    return f"Its template is: {shown(template)[:_TEMPLATE_CHARS]}" if template else None


def _template(record: ItemRecord, clusters: EmbedderClusters) -> Sequence[str] | None:
    """Return the template of an item's micro-cluster, if that decided and is still there."""
    known = record.state == "assigned" and record.rule == "template"
    return clusters.state.index.micro_clusters[record.slot].template if known else None


def stored_assignment(project_id: str, item_id: bytes, record: ItemRecord, location: ItemLocation) -> ItemAssigned:
    """Return an item's assignment as its record has it, with the cluster that the item is in now."""
    item = str(UUID(bytes=item_id))
    clusters = location.clusters
    change: Change = "joined"
    if record.rule in ("consolidation", "person"):
        change = "moved"
    elif location.cluster_id == cluster_id_for(project_id, item):
        change = "opened"  # otherwise the cluster that it opened may have been merged within the step
    runner_up = record.runner_up
    return ItemAssigned(
        item_id=item,
        item_created_at=datetime.fromtimestamp(record.time, UTC),
        cluster_id=location.cluster_id,
        change=change,
        score=record.score,
        threshold=record.threshold,
        runner_up_id=None if runner_up is None else clusters.state.cluster_at(runner_up).id,
        runner_up_score=record.runner_up_score,
        rule=record.rule,
        calibration=record.calibration,
        round=record.round,
        embedder=clusters.label,
        reason=_named(_template(record, clusters)),
    )


def _add_moved(draft: StepDraft, clusters: EmbedderClusters, changes: ClusterChanges, cause: Cause) -> None:
    """Add the events and records of the items of micro-clusters that are in another cluster now."""
    state = clusters.state
    by_round = cause.by == "consolidation"
    rule: Rule = "consolidation" if by_round else "person"
    merge_threshold = state.calibration.merge_threshold
    for moved in changes.moved:
        cluster_id = state.cluster_at(moved.slot).id
        for item_id, time, fingerprint in state.index.members(moved.slot):
            draft.events.append(
                ItemAssigned(
                    item_id=str(UUID(bytes=item_id)),
                    item_created_at=datetime.fromtimestamp(time, UTC),
                    cluster_id=cluster_id,
                    change="moved",
                    score=moved.score,
                    threshold=merge_threshold if by_round else NO_LINKAGE,
                    runner_up_score=moved.old_score if by_round else None,
                    rule=rule,
                    calibration=state.calibration.number,
                    round=state.progress.number,
                    embedder=clusters.label,
                    reason=cause.reason,
                )
            )
            draft.remember(
                item_id,
                ItemRecord(
                    state="assigned",
                    slot=moved.slot,
                    embedder=clusters.number,
                    rule=rule,
                    calibration=state.calibration.number,
                    time=time,
                    score=moved.score,
                    threshold=merge_threshold,
                    round=state.progress.number,
                    fingerprint=fingerprint,
                ),
            )


# ---- clusters --------------------------------------------------------------------------------------------------------


def add_changes(draft: StepDraft, clusters: EmbedderClusters, changes: ClusterChanges, cause: Cause) -> None:
    """Add the events of a round or a command: first what ids mean, then where items are.

    `add_clusters` with `changes.changed` follows, now or at the end of the step.
    """
    state, cluster_id = clusters.state, clusters.cluster_id
    by, reason, round_ = cause.by, cause.reason, state.progress.number
    why = (cause.at, cause.command_id)
    draft.events += [ClusterRestored(cluster_id(number), reason, *why) for number in changes.restored]
    for new in map(state.clusters.__getitem__, changes.split):
        draft.events.append(ClusterSplit(new.id, new.parent_id or "", by, reason, round_, *why))
    for number, into in changes.merged:
        draft.events.append(ClusterMerged(cluster_id(number), cluster_id(into), by, reason, round_, *why))
    _add_moved(draft, clusters, changes, cause)


def add_clusters(draft: StepDraft, clusters: EmbedderClusters, numbers: Iterable[int]) -> None:
    """Add how these clusters are now; resolved ones that have newer feedback regress. Not aliases and deleted ones."""
    state = clusters.state
    for number in sorted(set(numbers)):
        c = state.clusters[number]
        if c.is_alias or c.is_deleted:
            continue
        if state.regress_if_newer(number):
            draft.events.append(ClusterRegressed(c.id, "newer feedback came after it was resolved", c.updated_at))
        draft.events.append(
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
                theme_id=c.theme_id,
            )
        )


# ---- the project -----------------------------------------------------------------------------------------------------


def status(
    embedders: Embedders, outcome: str, at: datetime, *, seconds: float = 0.0, moved_share: float = 0.0
) -> ClusteringStatus:
    """Return how the project's clustering is now; thresholds are those of the last embedder."""
    last = embedders[len(embedders) - 1].state
    return ClusteringStatus(
        state="idle" if all(clusters.clusterer.rounds.complete for clusters in embedders) else "pending",
        round=last.progress.number,
        outcome=outcome,
        at=at,
        seconds=seconds,
        items=embedders.items,
        groups=sum(len(clusters.state.index) for clusters in embedders),
        clusters=sum(not (c.is_alias or c.is_deleted) for clusters in embedders for c in clusters.state.clusters),
        moved_share=moved_share,
        threshold=last.calibration.join_threshold,
        calibration=last.calibration.number,
        foreign=_foreign(embedders),
    )


def _foreign(embedders: Embedders) -> tuple[tuple[str, int], ...]:
    """Return the items of the most frequent languages that their embedder does not know."""
    items: Counter[str] = Counter()
    for clusters in embedders:
        items.update(clusters.state.index.items_by_language()[0])
    return tuple(sorted(items.items(), key=lambda of: (-of[1], of[0]))[:MOST_LANGUAGES])


def proposals(embedders: Embedders) -> ProposalsChanged:
    """Return what a person may want to do, likeliest first."""
    found = [proposal for clusters in embedders for proposal in _proposals(clusters)]
    return ProposalsChanged(tuple(sorted(found, key=lambda proposal: (-proposal.score, proposal.id))))


def _proposals(clusters: EmbedderClusters) -> Iterable[Proposal]:
    state = clusters.state
    for proposed in state.proposals:
        one = state.clusters[proposed.one]
        if proposed.slots:
            if set(proposed.slots) < set(one.slots):
                yield _split_proposal(clusters, proposed)
            continue
        other = state.clusters[proposed.other]
        if not one.slots or not other.slots:
            continue
        share, threshold = proposed.linkage, state.calibration.merge_threshold
        if state.index.mined[[one.slots[0], other.slots[0]]].all():
            score = threshold - (SAME_TEMPLATE - share)  # as far below the threshold as the share is below its own
            reason = f"their templates share {share:.0%} of their words; from {SAME_TEMPLATE:.0%} on they would be one"
        else:
            score = share
            reason = f"their items are {share:.2f} alike; from {threshold:.2f} on they would be one"
        yield Proposal(proposed.id, "merge", (one.id, other.id), score, reason)


def _split_proposal(clusters: EmbedderClusters, proposed: ProposedChange) -> Proposal:
    state = clusters.state
    cluster, threshold = state.clusters[proposed.one], state.calibration.merge_threshold
    split_off = int(state.index.counts[list(proposed.slots)].sum())
    reason = (
        f"its halves ({cluster.size - split_off} and {split_off} items) are {proposed.linkage:.2f} alike; "
        f"from {threshold:.2f} on they would be one"
    )
    return Proposal(proposed.id, "split", (cluster.id,), threshold - proposed.linkage, reason)


def themes(embedders: Embedders) -> ThemesChanged:
    """Return the themes of all embedders, the largest first."""
    found = [
        Theme(t.id, t.title, t.terms, _why(t), t.items, t.clusters)
        for clusters in embedders
        for t in clusters.state.themes
    ]
    return ThemesChanged(tuple(sorted(found, key=lambda theme: (-theme.items, theme.id))))


def _why(theme: SettledTheme) -> str:
    shared = f"share {', '.join(theme.terms)} and " if theme.terms else ""
    return (
        f"Its clusters {shared}are at least {theme.linkage:.2f} alike on average, where any two texts here are "
        f"{theme.usual:.2f} alike; from {theme.threshold:.2f} on clusters are one theme"
    )


# ---- folding ---------------------------------------------------------------------------------------------------------


def folded(events: Sequence[ClusterEvent]) -> list[ClusterEvent]:
    """Leave out clusters that were opened and merged within these events: nobody has heard of them.

    Their items are assigned to the cluster they ended in, which is what the events said in more words.
    """
    opened = {e.cluster_id for e in events if isinstance(e, ItemAssigned) and e.change == "opened"}
    # A cluster that is split off in the same step does not exist yet when these items come.
    split_off = {e.cluster_id for e in events if isinstance(e, ClusterSplit)}
    into = {
        e.cluster_id: e.into_id
        for e in events
        if isinstance(e, ClusterMerged) and e.cluster_id in opened and e.into_id not in split_off
    }
    return _Folding(into).fold(events) if into else list(events)


class _Folding:
    """Replaces clusters by those they were merged into."""

    def __init__(self, into: dict[str, str]) -> None:
        self._into = into

    def fold(self, events: Sequence[ClusterEvent]) -> list[ClusterEvent]:
        # A cluster may be opened after one that is merged into it, and nothing may join it before it is opened.
        assigned = (event for event in events if isinstance(event, ItemAssigned))
        result: list[ClusterEvent] = [self._assigned(event) for event in assigned if self._opens(event)]
        for event in events:
            if isinstance(event, ItemAssigned):
                if not self._opens(event):
                    result.append(self._assigned(event))
            elif isinstance(event, ClusterMerged):
                if event.cluster_id not in self._into:
                    result.append(replace(event, into_id=self._resolve(event.into_id)))
            elif isinstance(event, ClusterSplit):
                result.append(replace(event, parent_id=self._resolve(event.parent_id)))
            else:
                result.append(event)
        return result

    def _resolve(self, cluster_id: str) -> str:
        while cluster_id in self._into:
            cluster_id = self._into[cluster_id]
        return cluster_id

    def _opens(self, event: ItemAssigned) -> bool:
        return event.change == "opened" and event.cluster_id not in self._into

    def _assigned(self, event: ItemAssigned) -> ItemAssigned:
        cluster_id = self._resolve(event.cluster_id)
        runner_up = event.runner_up_id and self._resolve(event.runner_up_id)
        score = event.runner_up_score
        if runner_up is not None and runner_up == cluster_id:
            runner_up = score = None
        change = event.change if cluster_id == event.cluster_id or event.change != "opened" else "joined"
        return replace(event, cluster_id=cluster_id, change=change, runner_up_id=runner_up, runner_up_score=score)
