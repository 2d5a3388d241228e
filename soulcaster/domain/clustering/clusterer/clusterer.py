"""The clusterer of one project and one embedder: it sees each item once, corrects itself later, and can say why.

An item joins a micro-cluster or opens one (online.py); a micro-cluster belongs to a cluster, which has the public id.
The join threshold calibrates itself from the stream: it is the one at which the last round's own micro-clusters would
best have been placed (join_threshold.py). A round works on a snapshot, anywhere, and is then carried out (rounds.py).
Constraints that people's commands leave behind come before both (constraints.py).
"""

from collections.abc import Iterator, Sequence

from soulcaster.domain.clustering.clusterer.archiving import Archiving
from soulcaster.domain.clustering.clusterer.changes import AddOutcome, ClusterChanges, RoundFailed
from soulcaster.domain.clustering.clusterer.deletion import Deletion
from soulcaster.domain.clustering.clusterer.edits import Edits
from soulcaster.domain.clustering.clusterer.online import BLOCK_ITEMS, OnlineStep
from soulcaster.domain.clustering.clusterer.progress import EARLY_ITEMS
from soulcaster.domain.clustering.clusterer.rounds import Rounds
from soulcaster.domain.clustering.clusterer.state import ClusterState
from soulcaster.domain.clustering.clusterer.undoing import Undoing
from soulcaster.domain.clustering.consolidation.identity import decide
from soulcaster.domain.clustering.features.vectors import Vectors
from soulcaster.domain.commands import Granularity
from soulcaster.domain.feedback.items import ComparedItem


class Clusterer:
    """An online clusterer. It must not be used from two threads at once; a `Snapshot` may be used in another."""

    def __init__(self, project_id: str, dimensions: int, *, threshold: float | None = None) -> None:
        """Start empty.

        `threshold` is an explicit cosine: items join the cluster whose mean is at least that near, raw vectors alone
        count, and no round changes anything.
        """
        self.state = ClusterState(project_id, dimensions, explicit_threshold=threshold)
        self.online = OnlineStep(self.state)
        self.rounds = Rounds(self.state)
        self.edits = Edits(self.state)
        self.undoing = Undoing(self.state)
        self.archiving = Archiving(self.state)
        self.deletion = Deletion(self.state)

    def add(
        self, items: Sequence[ComparedItem], vectors: Vectors, granularity: Granularity = "auto"
    ) -> Iterator[AddOutcome]:
        """Place items, in order, and yield what was done; vectors are unit rows, shape (len(items), dimensions).

        Up to `EARLY_ITEMS`, rounds that come due are carried out on the way; later, `rounds.until_due` says when one is
        due.
        """
        at = 0
        while at < len(items):
            until = self.rounds.until_due() if self.state.live_items < EARLY_ITEMS else None
            to = min(len(items), at + BLOCK_ITEMS, len(items) if until is None else at + max(1, until))
            yield self.online.place(items[at:to], vectors[at:to])
            at = to
            if until is not None and self.rounds.until_due() <= 0:
                outcome = self._round(granularity)
                if outcome is not None:
                    yield outcome
        try:
            self.rounds.describe()
        except Exception as error:
            yield RoundFailed(repr(error))

    def _round(self, granularity: Granularity) -> ClusterChanges | RoundFailed | None:
        snapshot = self.rounds.snapshot(granularity)
        try:
            decision = decide(snapshot)
        except Exception as error:
            self.rounds.skip()
            return RoundFailed(repr(error))
        return self.rounds.carry_out(snapshot, decision)
