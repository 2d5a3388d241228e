"""What clustering has done, as metrics."""

from collections import Counter
from collections.abc import Sequence

from soulcaster.domain.clustering.project.clusters import GIVEN_UP
from soulcaster.domain.clustering.project.steps import Step
from soulcaster.domain.events import ClusteringStatus, ItemAssigned
from soulcaster.telemetry.metrics import ITEMS_ASSIGNED, ROUND_MOVED_SHARE, ROUND_SECONDS, ROUNDS


def count_steps(steps: Sequence[Step]) -> None:
    """Count the items that steps have placed, and the rounds on the way."""
    changes = Counter(event.change for step in steps for event in step.events if isinstance(event, ItemAssigned))
    for change, count in changes.items():
        ITEMS_ASSIGNED.labels(change).inc(count)
    for round_ in (round_ for step in steps for round_ in step.rounds):
        ROUND_SECONDS.observe(round_.seconds)
        if round_.moved_share is None:
            ROUNDS.labels("failed").inc()
        else:
            _count_applied(round_.moved_share)


def count_round(step: Step, seconds: float) -> None:
    """Count a round that was carried out, or given up."""
    ROUND_SECONDS.observe(seconds)
    [status, *_] = [event for event in step.events if isinstance(event, ClusteringStatus)]
    if status.outcome == GIVEN_UP:
        ROUNDS.labels("given_up").inc()
        return
    _count_applied(status.moved_share)


def count_failed_round(seconds: float) -> None:
    """Count a round that could not decide."""
    ROUND_SECONDS.observe(seconds)
    ROUNDS.labels("failed").inc()


def _count_applied(moved_share: float) -> None:
    ROUNDS.labels("applied").inc()
    ROUND_MOVED_SHARE.observe(moved_share)
