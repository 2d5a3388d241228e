"""What clustering has done, as metrics."""

from collections import Counter
from collections.abc import Iterable

from soulcaster.domain.clustering.project.clusters import GIVEN_UP
from soulcaster.domain.clustering.project.steps import Step
from soulcaster.domain.events import ClusteringStatus, ItemAssigned
from soulcaster.telemetry.metrics import ITEMS_ASSIGNED, ROUND_MOVED_SHARE, ROUND_SECONDS, ROUNDS


def count_assigned(steps: Iterable[Step]) -> None:
    """Count the items that steps have placed."""
    changes = Counter(event.change for step in steps for event in step.events if isinstance(event, ItemAssigned))
    for change, count in changes.items():
        ITEMS_ASSIGNED.labels(change).inc(count)


def count_round(step: Step, seconds: float) -> None:
    """Count a round that was carried out, or given up."""
    ROUND_SECONDS.observe(seconds)
    [status, *_] = [event for event in step.events if isinstance(event, ClusteringStatus)]
    if status.outcome == GIVEN_UP:
        ROUNDS.labels("given_up").inc()
        return
    ROUNDS.labels("applied").inc()
    ROUND_MOVED_SHARE.observe(status.moved_share)


def count_failed_round(seconds: float) -> None:
    """Count a round that could not decide."""
    ROUND_SECONDS.observe(seconds)
    ROUNDS.labels("failed").inc()
