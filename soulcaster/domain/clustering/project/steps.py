"""A step: one atomic change of a project's clusters. Its rows are written first, then it is sent."""

from dataclasses import dataclass, field

from soulcaster.domain.clustering.project.item_records import ItemRecord, pack
from soulcaster.domain.events import ClusterEvent
from soulcaster.domain.fixes.fix import Fix
from soulcaster.domain.lifecycle import JobStep
from soulcaster.domain.segments import RowChange


@dataclass(frozen=True, slots=True)
class RoundOnTheWay:
    """A round that came due while items were added, and the seconds it took.

    `moved_share` is the share of items that it moved, None if it failed.
    """

    moved_share: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """What a step did: rows to write, then events, job steps and fixes to send; and the rounds on its way."""

    events: tuple[ClusterEvent, ...] = ()
    fixes: tuple[Fix, ...] = ()
    rows: tuple[RowChange, ...] = ()
    job_steps: tuple[JobStep, ...] = ()
    rounds: tuple[RoundOnTheWay, ...] = ()

    def __add__(self, later: "Step") -> "Step":
        """Return both, one after the other."""
        return Step(
            self.events + later.events,
            self.fixes + later.fixes,
            self.rows + later.rows,
            self.job_steps + later.job_steps,
            self.rounds + later.rounds,
        )


@dataclass(slots=True)
class StepDraft:
    """What a step gathers until it is committed (`ProjectState.commit`).

    `records` are packed, by 16-byte id; `blobs` are by key, an empty one deletes. `titles_in_row` stores clusters'
    titles in the same row as the rest, because the old ones must be forgotten.
    """

    events: list[ClusterEvent] = field(default_factory=list)
    fixes: list[Fix] = field(default_factory=list)
    job_steps: list[JobStep] = field(default_factory=list)
    records: dict[bytes, bytes] = field(default_factory=dict)
    blobs: dict[bytes, bytes] = field(default_factory=dict)
    rounds: list[RoundOnTheWay] = field(default_factory=list)
    titles_in_row: bool = False

    def remember(self, record_id: bytes, record: ItemRecord) -> None:
        """Store a record."""
        self.records[record_id] = pack(record)
