"""The Grafana dashboard as code: `make dashboard` writes soulcaster.json beside this file.

Names of metrics come from the registry, so a renamed metric breaks this file and not a panel that nobody looks at.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from soulcaster.telemetry.declare import Declared
from soulcaster.telemetry.metrics import ALL

FILE = Path(__file__).with_name("soulcaster.json")

_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_OURS = '{job="soulcaster"}'
_RATE = "[$__rate_interval]"
_BY_NAME = {declared.name.removeprefix("soulcaster_"): declared for declared in ALL}


@dataclass(frozen=True, slots=True)
class Query:
    """What a line shows, and its name, which may have labels such as {{agent}}."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel of lines over time; `unit` is Grafana's name of a unit."""

    title: str
    unit: str
    queries: tuple[Query, ...]


def _name(short: str, kind: str) -> str:
    declared: Declared = _BY_NAME[short]
    if declared.kind != kind:
        raise TypeError(f"{declared.name} is a {declared.kind}, not a {kind}")
    return declared.name


def rate(counter: str, *by: str, where: str = "") -> Query:
    """Return what a counter gains in a second."""
    labels = ", ".join(by)
    total = f"rate({_name(counter, 'counter')}{where}{_RATE})"
    return Query(f"sum by ({labels}) ({total})" if by else f"sum({total})", " ".join(f"{{{{{one}}}}}" for one in by))


def growth(counter: str, *by: str) -> Query:
    """Return what a counter has gained in the last hour."""
    labels = ", ".join(by)
    return Query(
        f"sum by ({labels}) (increase({_name(counter, 'counter')}[1h]))", " ".join(f"{{{{{one}}}}}" for one in by)
    )


def highest(gauge: str, *by: str) -> Query:
    """Return the highest value of a gauge among the processes."""
    labels = ", ".join(by)
    name = _name(gauge, "gauge")
    return Query(f"max by ({labels}) ({name})" if by else f"max({name})", " ".join(f"{{{{{one}}}}}" for one in by))


def together(gauge: str, *by: str) -> Query:
    """Return the sum of a gauge over the processes."""
    return Query(f"sum by ({', '.join(by)}) ({_name(gauge, 'gauge')})", " ".join(f"{{{{{one}}}}}" for one in by))


def quantile(histogram: str, share: float, *by: str) -> Query:
    """Return below which value a share of a histogram is."""
    labels = ", ".join(["le", *by])
    buckets = f"rate({_name(histogram, 'histogram')}_bucket{_RATE})"
    legend = " ".join([f"p{share * 100:g}", *(f"{{{{{one}}}}}" for one in by)])
    return Query(f"histogram_quantile({share:g}, sum by ({labels}) ({buckets}))", legend)


ROWS: dict[str, tuple[Panel, ...]] = {
    "Is anything wrong": (
        Panel("Backlog", "s", (highest("backlog_seconds", "agent"),)),
        Panel("Age of the commit", "s", (highest("commit_age_seconds", "agent"),)),
        Panel("Waiting for", "short", (together("waiting", "system"),)),
        Panel("Partitions that stand still", "short", (together("stopped_partitions", "topic"),)),
        Panel(
            "Records lost, or damaged in an hour",
            "short",
            (together("lost_records", "topic"), growth("damaged_records_total", "topic")),
        ),
        Panel("Dead letters in an hour", "short", (growth("dead_letters_total", "topic", "kind"),)),
        Panel("Lines of the log lost in an hour", "short", (growth("log_lines_lost_total"),)),
    ),
    "Feedback": (
        Panel("Posted", "cps", (rate("items_posted_total", "outcome"),)),
        Panel("Read", "cps", (rate("items_read_total", "source", "outcome"),)),
        Panel("Judged", "cps", (rate("items_judged_total", "outcome"),)),
        Panel("Times that cannot be true", "cps", (rate("times_replaced_total", "source", "field"),)),
        Panel("Placed", "cps", (rate("items_assigned_total", "change"),)),
        Panel(
            "From acknowledged to visible",
            "s",
            (quantile("item_visible_seconds", 0.5), quantile("item_visible_seconds", 0.95)),
        ),
        Panel("Without a cluster", "short", (highest("unclustered_items"),)),
        Panel("Items and clusters", "short", (highest("items"), highest("clusters"))),
        Panel(
            "Stored, of all projects and of the largest",
            "bytes",
            (highest("stored_bytes"), highest("largest_project_bytes")),
        ),
    ),
    "Worker": (
        Panel("Lag", "short", (together("lag_records", "agent", "topic"),)),
        Panel("Records", "cps", (rate("agent_records_total", "agent"),)),
        Panel("Results", "cps", (rate("agent_results_total", "agent"),)),
        Panel("A batch takes", "s", (quantile("agent_batch_seconds", 0.95, "agent"),)),
        Panel("From written to processed", "s", (quantile("agent_delay_seconds", 0.95, "agent"),)),
        Panel("Workers by what they do", "short", (together("worker_state", "state"),)),
    ),
    "Clustering and embedder": (
        Panel("Rounds in an hour", "short", (growth("rounds_total", "outcome"),)),
        Panel("A round takes", "s", (quantile("round_seconds", 0.95),)),
        Panel("Share that a round moves", "percentunit", (quantile("round_moved_share", 0.95),)),
        Panel("Calls of the embedder", "cps", (rate("embedder_calls_total", "embedder", "outcome"),)),
        Panel("Texts embedded", "cps", (rate("embedder_texts_total", "embedder"),)),
        Panel("A call of the embedder takes", "s", (quantile("embedder_seconds", 0.95, "embedder"),)),
        Panel("Requests to Gemini", "cps", (rate("gemini_requests_total", "outcome"),)),
        Panel("Cost of embedding in an hour", "currencyUSD", (growth("embedding_cost_dollars_total", "embedder"),)),
    ),
    "Jobs": (
        Panel("Jobs under way", "short", (together("jobs", "state"),)),
        Panel("Jobs ended in an hour", "short", (growth("jobs_ended_total", "state", "backend"),)),
        Panel("Launches failed in an hour", "short", (growth("launches_failed_total", "backend"),)),
        Panel("Cost of jobs in an hour", "currencyUSD", (growth("job_cost_dollars_total", "backend"),)),
    ),
    "Web server and pollers": (
        Panel("Requests", "reqps", (rate("http_requests_total", "status"),)),
        Panel("Refused: 401 and 403", "reqps", (rate("http_refusals_total", "route", "status"),)),
        Panel("Errors by route", "reqps", (rate("http_requests_total", "route", where='{status="5xx"}'),)),
        Panel("A request takes", "s", (quantile("http_request_seconds", 0.95, "route"),)),
        Panel("Readings of sources in an hour", "short", (growth("polls_total", "source", "outcome"),)),
    ),
    "Kafka and Redis": (
        Panel("Published", "cps", (rate("kafka_published_messages_total", "topic"),)),
        Panel("An acknowledgement takes", "s", (quantile("kafka_publish_seconds", 0.95),)),
        Panel("A use of Redis takes", "s", (quantile("redis_seconds", 0.95),)),
        Panel("Errors", "cps", (rate("kafka_errors_total"), rate("redis_errors_total", "outcome"))),
    ),
    "Processes": (
        Panel("Versions", "short", (together("build_info", "process", "version"),)),
        Panel("Processor", "percentunit", (Query(f"rate(process_cpu_seconds_total{_OURS}{_RATE})", "{{instance}}"),)),
        Panel("Memory", "bytes", (Query(f"process_resident_memory_bytes{_OURS}", "{{instance}}"),)),
    ),
}
"""The panels, by row."""


def _panel(panel: Panel, number: int) -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    built = timeseries.Panel().title(panel.title).unit(panel.unit).datasource(_SOURCE).legend(legend.show_legend(True))
    for letter, query in zip("ABC", panel.queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend or "__auto").ref_id(letter)
        built = built.with_target(target)
    return built.id(number).span(6).height(7).min(0)


def build() -> str:
    """Return the dashboard as JSON."""
    board = (
        dashboard.Dashboard("Soulcaster")
        .uid("soulcaster")
        .tags(["soulcaster"])
        .refresh("30s")
        .time("now-6h", "now")
        .editable()
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    numbers = itertools.count(1)
    for title, panels in ROWS.items():
        board = board.with_row(dashboard.Row(title).id(next(numbers)))
        for panel in panels:
            board = board.with_panel(_panel(panel, next(numbers)))
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


if __name__ == "__main__":
    FILE.write_text(build())
