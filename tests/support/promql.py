"""Which metrics and labels an expression of Prometheus names."""

import re

OF_PROMETHEUS = frozenset({"instance", "job", "le"})
"""Labels that Prometheus adds, and the one of buckets."""

_METRIC = re.compile(r"(?<![\w:])(soulcaster_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left)\s*\(([^)]*)\)")


def metrics(expr: str) -> dict[str, set[str]]:
    """Return each of our metrics in an expression, with the labels that it is chosen by."""
    found: dict[str, set[str]] = {}
    for name, matchers in _METRIC.findall(expr):
        found.setdefault(name, set()).update(_MATCHER.findall(matchers))
    return found


def groupings(expr: str) -> set[str]:
    """Return the labels that an expression groups or joins by."""
    return {label.strip() for labels in _GROUPING.findall(expr) for label in labels.split(",") if label.strip()}
