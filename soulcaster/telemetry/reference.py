"""docs/metrics.md, made from the registry and the names of spans."""

from itertools import groupby

from soulcaster.telemetry.declare import Declared
from soulcaster.telemetry.metrics import ALL
from soulcaster.telemetry.spans import PROCESS, PUBLISH, TRACE_HEADER

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

_TRACES = f"""\
## Traces

With `OTEL_EXPORTER_OTLP_ENDPOINT`, every process sends spans to an OpenTelemetry collector, and every message that it
publishes, rows of tables excepted, has the header `{TRACE_HEADER}` (W3C Trace Context). Without it there are no spans
and no header.

| Span | Kind | What it is |
|---|---|---|
| `METHOD ROUTE` | server | A request of the web server. |
| `{PUBLISH} TOPICS` | producer | Messages that are published together, until Kafka has acknowledged them. |
| `{PROCESS} AGENT` | consumer | A batch of an agent; it links to the spans that published its records. |

A span names topics, agents and routes, and of an error its type. `OTEL_TRACES_SAMPLER` (and `_ARG`) chooses how many
traces are kept.
"""


def page() -> str:
    """Return the page."""
    sections = (_section(title, list(of)) for title, of in groupby(ALL, lambda d: d.section))
    return "\n".join([_HEAD, *sections, _TRACES])


def _section(title: str, declared: list[Declared]) -> str:
    rows = "\n".join(f"| `{d.name}` | {d.kind} | {_labels(d)} | {d.text} |" for d in declared)
    return f"## {title}\n\n| Metric | Kind | Labels | What it is |\n|---|---|---|---|\n{rows}\n"


def _labels(declared: Declared) -> str:
    return ", ".join(f"`{name}`" for name in declared.labels)
