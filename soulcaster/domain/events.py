"""What clustering says happened: the payload of cluster.events."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Change = Literal["opened", "joined"]


@dataclass(frozen=True, slots=True)
class ItemAssigned:
    """An item is in this cluster from now on, and in no other; the scores say why.

    `score` is the similarity that decided, `threshold` what it had to reach, the runner-up the next best cluster. An
    item that opened its cluster scored below the threshold everywhere: its score is that of the best it was refused by.
    """

    item_id: str
    item_created_at: datetime
    cluster_id: str
    change: Change
    score: float
    threshold: float
    runner_up_id: str | None = None
    runner_up_score: float | None = None
    type: Literal["assigned"] = "assigned"


@dataclass(frozen=True, slots=True)
class ClusterChanged:
    """A cluster as it stands now: absolute, so that applying it twice changes nothing."""

    cluster_id: str
    title: str
    summary: str
    size: int
    sources: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    type: Literal["changed"] = "changed"


ClusterEvent = ItemAssigned | ClusterChanged
