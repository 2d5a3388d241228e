"""Counting what a batch holds, in one go."""

from collections import Counter
from collections.abc import Iterable

from prometheus_client import Counter as Metric

from soulcaster.domain.sources import SOURCES

OTHER = "other"
"""The label of every source that is no known vendor: producers name theirs as they like."""


def count_by_source(metric: Metric, seen: Iterable[tuple[str, str]]) -> None:
    """Count items by source and outcome, or whatever the second label of the metric is."""
    for (source, outcome), count in Counter(seen).items():
        metric.labels(source if source in SOURCES else OTHER, outcome).inc(count)
