"""Items as they are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from soulcaster.domain.events import Change, Rule
from soulcaster.domain.feedback.items import FeedbackItem


@dataclass(frozen=True, slots=True)
class Assignment:
    """Why an item was put where it is, as `ItemAssigned` said it; a merge of its cluster since then changes nothing."""

    change: Change
    score: float
    threshold: float
    runner_up_id: str | None = None
    runner_up_score: float | None = None
    rule: Rule = "near"
    calibration: int = 0
    round: int = 0
    embedder: str = ""
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class FeedbackView:
    """An item as it is read: with the cluster it is in, if it is in one yet, and why; and how often it has occurred."""

    item: FeedbackItem
    cluster_id: str | None
    assignment: Assignment | None = None
    occurrences: int = 1


@dataclass(frozen=True, slots=True)
class Versions:
    """Of some items: when each that is known was changed last at its source, if that was told, and which are deleted.

    An item that is neither known nor deleted is in neither.
    """

    known: Mapping[str, datetime | None]
    deleted: frozenset[str]
