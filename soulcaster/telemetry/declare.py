"""How a metric is declared: once, with its help and its labels, on a registry of our own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

PREFIX = "soulcaster"

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody reads

REGISTRY = CollectorRegistry()
"""The metrics of this process."""

ProcessCollector(registry=REGISTRY)


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric as docs/metrics.md and the tests of dashboard and alerts see it; `name` is the one that is queried."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: tuple[str, ...]
    section: str
    buckets: tuple[float, ...] = ()


DECLARED: list[Declared] = []
"""Every metric, in the order of `metrics.py`."""


class Section:
    """Declares metrics that belong together."""

    def __init__(self, title: str) -> None:
        self._title = title

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """Declare what only grows; it is queried with `_total` behind its name."""
        DECLARED.append(Declared(f"{PREFIX}_{name}_total", "counter", text, labels, self._title))
        return Counter(name, text, labels, namespace=PREFIX, registry=REGISTRY)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        """Declare what goes up and down."""
        DECLARED.append(Declared(f"{PREFIX}_{name}", "gauge", text, labels, self._title))
        return Gauge(name, text, labels, namespace=PREFIX, registry=REGISTRY)

    def histogram(self, name: str, text: str, *labels: str, buckets: Sequence[float]) -> Histogram:
        """Declare a distribution; `buckets` are upper bounds."""
        DECLARED.append(Declared(f"{PREFIX}_{name}", "histogram", text, labels, self._title, tuple(buckets)))
        return Histogram(name, text, labels, namespace=PREFIX, registry=REGISTRY, buckets=buckets)
