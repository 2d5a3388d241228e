"""When a project's rounds run, and who asked for them.

`ProjectClusters` asks whether a round is due, has it decided anywhere (`Round.decide`), and reports back; this schedule
asks the clusterers and calls nothing else.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from soulcaster.domain.clustering.consolidation.identity import Decision, Snapshot, decide_and_describe
from soulcaster.domain.clustering.project import event_factory
from soulcaster.domain.clustering.project.embedders import EmbedderClusters
from soulcaster.domain.clustering.project.item_records import DONE
from soulcaster.domain.clustering.project.state import ProjectState
from soulcaster.domain.clustering.project.steps import StepDraft
from soulcaster.domain.commands import Rebalance, Reset
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.domain.events import ClusteringStatus, CommandDone, CommandOutcome
from soulcaster.domain.ids import command_record_id, id_bytes
from soulcaster.errors import BadInput

MAX_REQUESTED = 100
"""Commands of a project that may wait for a round."""


@dataclass(frozen=True, slots=True)
class Round:
    """A round that may be decided anywhere: `decide`, then `ProjectClusters.finish`."""

    embedder: EmbedderKey
    snapshot: Snapshot

    @property
    def groups(self) -> int:
        """How many micro-clusters it works on."""
        return len(self.snapshot.micro_clusters)

    def decide(self) -> Decision:
        """Return what is to change, with everything computed."""
        return decide_and_describe(self.snapshot)


class RoundSchedule:
    """Says which round runs next; at most one runs at a time."""

    def __init__(self, state: ProjectState) -> None:
        """Start with no round running. A reset that was requested before a restart still waits for its rounds."""
        self._state = state
        self._running = False
        self._items_at_failure = 0
        self._to_reset: set[EmbedderKey] = set()
        if any(isinstance(command, Reset) for command in state.requested.values()):
            self._to_reset = state.embedders.filled()

    def next_due(self) -> EmbedderClusters | None:
        """Return whose round is due, if none is running.

        After a failed round the next one waits for a tenth more items, or for a request.
        """
        requested = bool(self._state.requested)
        if self._running or (not requested and self._failed_lately()):
            return None
        # Stale embedders first, so that one whose rounds come often does not keep another waiting.
        for clusters in sorted(self._state.embedders, key=lambda clusters: not clusters.clusterer.rounds.stale()):
            if not len(clusters.state.index):
                continue
            reset = clusters.key in self._to_reset
            if reset or clusters.clusterer.rounds.until_due() <= 0 or (requested and _has_work(clusters)):
                return clusters
        return None

    def start_due(self) -> Round | None:
        """Return the round that is due, if none is running; it is running from now on."""
        clusters = self.next_due()
        if clusters is None:
            return None
        self._running = True
        unbounded = clusters.key in self._to_reset
        granularity = self._state.configuration.granularity
        return Round(clusters.key, clusters.clusterer.rounds.snapshot(granularity, unbounded=unbounded))

    def stale(self) -> bool:
        """Return whether a round would have something to do."""
        return any(_has_work(clusters) for clusters in self._state.embedders)

    def settled(self) -> bool:
        """Return whether the clusters will hardly change: few items are new, and the last round has left nothing.

        After a failed round nothing else can be expected for a while.
        """
        rounds = [clusters.clusterer.rounds for clusters in self._state.embedders]
        return self._failed_lately() or all(one.complete and not one.grown() for one in rounds)

    def _failed_lately(self) -> bool:
        return 10 * self._state.embedders.items < 11 * self._items_at_failure

    def give_up(self) -> None:
        """Forget the round that is running; it is due again."""
        self._running = False

    def running_status(self, at: datetime) -> ClusteringStatus:
        """Return the event that says that a round is running."""
        return replace(event_factory.status(self._state.embedders, "", at), state="running")

    # ---- requests ------------------------------------------------------------------------------------------------

    def request(self, command: Rebalance | Reset, draft: StepDraft) -> None:
        """Keep a command until its rounds are done.

        Raises:
            BadInput: too many wait already.
        """
        self._check_room()
        self._state.requested[command.id] = command
        self._state.store_command(command, draft)

    def request_reset(self, command: Reset, draft: StepDraft) -> bool:
        """Keep a command until every embedder has had an unbounded round; return False where there is nothing to do.

        Raises:
            BadInput: too many wait already.
        """
        self._check_room()
        self._to_reset = self._state.embedders.filled()
        if self._to_reset:
            self.request(command, draft)
        return bool(self._to_reset)

    def _check_room(self) -> None:
        if len(self._state.requested) >= MAX_REQUESTED:
            raise BadInput("too many commands wait for a round")

    def _answer(self, outcome: CommandOutcome, reason: str, at: datetime | None, draft: StepDraft) -> None:
        """Say what became of all requests; where no time is given, it is when they were made."""
        for command in self._state.requested.values():
            done = CommandDone(command.id, outcome, reason, at or command.requested_at, command.type)
            draft.events.append(done)
            draft.remember(id_bytes(command_record_id(command.id)), DONE)
            self._state.drop_command(command.id, draft)
        self._state.requested = {}

    # ---- what happened -------------------------------------------------------------------------------------------

    def finished(self, clusters: EmbedderClusters, outcome: str, at: datetime, draft: StepDraft) -> None:
        """Note that a round was carried out; answer requests if no other round is needed for them."""
        self._items_at_failure = 0
        if clusters.clusterer.rounds.complete:
            self._to_reset.discard(clusters.key)
        self._answer_unless_others_wait(clusters, outcome, at, draft)

    def carried_out_on_the_way(self, clusters: EmbedderClusters, draft: StepDraft) -> None:
        """Note that a round was carried out while items were added: it has seen all that a request was about."""
        outcome = f"round {clusters.state.progress.number} was carried out as items came"
        self._answer_unless_others_wait(clusters, outcome, None, draft)

    def _answer_unless_others_wait(
        self, clusters: EmbedderClusters, outcome: str, at: datetime | None, draft: StepDraft
    ) -> None:
        others = (other for other in self._state.embedders if other is not clusters)
        if not self._to_reset and not any(other.clusterer.rounds.stale() for other in others):
            self._answer("applied", outcome, at, draft)

    def failed(self, reason: str, at: datetime, draft: StepDraft) -> None:
        """Note that a round could not be computed; requests are refused."""
        self._running = False
        self._items_at_failure = self._state.embedders.items
        self._to_reset = set()
        draft.events.append(event_factory.status(self._state.embedders, f"failed: {reason}", at))
        self._answer("refused", f"the round failed: {reason}", at, draft)

    def items_removed(self, at: datetime, draft: StepDraft) -> None:
        """Answer requests if deletion has left nothing to do."""
        self._to_reset &= self._state.embedders.filled()
        if self._state.requested and not self._to_reset and not self.stale():
            self._answer("applied", "nothing is left to cluster", at, draft)


def _has_work(clusters: EmbedderClusters) -> bool:
    rounds = clusters.clusterer.rounds
    return rounds.stale() or not rounds.complete
