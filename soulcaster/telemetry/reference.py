"""docs/metrics.md, made from the registry."""

from itertools import groupby

from soulcaster.telemetry.declare import Declared
from soulcaster.telemetry.metrics import ALL

_HEAD = """\
# Metrics

Made from `soulcaster/telemetry/metrics.py` by `make metrics`; change that file, not this one.

Every process serves `/metrics` for Prometheus and `/health/live` at `SOULCASTER_METRICS_PORT` (0, the default, is off),
without a key, so the port belongs in a private network. Besides the metrics below it serves those of its process
(`process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_start_time_seconds`, `process_open_fds`, ...).
[runbook.md](runbook.md) has the alerts. They and the dashboard (`deploy/grafana/soulcaster.json`) expect Prometheus to
call the job that scrapes the processes `soulcaster`.

A label has few values; none is the id of a project, cluster, item, person or job.
"""


def page() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *(_section(title, list(of)) for title, of in groupby(ALL, lambda d: d.section))])


def _section(title: str, declared: list[Declared]) -> str:
    rows = "\n".join(f"| `{d.name}` | {d.kind} | {_labels(d)} | {d.text} |" for d in declared)
    return f"## {title}\n\n| Metric | Kind | Labels | What it is |\n|---|---|---|---|\n{rows}\n"


def _labels(declared: Declared) -> str:
    return ", ".join(f"`{name}`" for name in declared.labels)
