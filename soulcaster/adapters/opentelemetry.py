"""Spans for an OpenTelemetry collector, by OTLP over HTTP. Imported only where traces are wanted: it takes a while."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from soulcaster.telemetry import spans
from soulcaster.telemetry.spans import Headers, RequestSpan

EXPORT_SECONDS = 5.0
"""Time limit of one request to the collector."""

MOST_LINKS = 128
"""Links that a span keeps, OpenTelemetry's own limit."""

Attributes = dict[str, str | int]

_PROPAGATOR = TraceContextTextMapPropagator()


class OpenTelemetry:
    """Tracing with OpenTelemetry's SDK, which sends spans from a thread of its own."""

    def __init__(self, endpoint: str, *, process: str, version: str) -> None:
        """`endpoint` is the address of the collector, without the path of traces."""
        resource = Resource.create(
            {"service.namespace": spans.SCOPE, "service.name": f"{spans.SCOPE}-{process}", "service.version": version}
        )
        self._provider = TracerProvider(resource=resource)
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(spans.SCOPE, version)

    async def close(self) -> None:
        """Send what is left, if the collector takes it in time."""
        await asyncio.to_thread(self._provider.shutdown)

    @contextmanager
    def publishing(self, topics: Iterable[str], messages: int) -> Iterator[Headers]:
        """Begin a span for messages that are published together; see `telemetry.spans.Tracing`."""
        names = sorted(set(topics))
        attributes: Attributes = {
            spans.SYSTEM: "kafka",
            spans.OPERATION: "send",
            spans.DESTINATION: ",".join(names),
            spans.MESSAGES: messages,
        }
        with self._span(f"{spans.PUBLISH} {', '.join(names)}", SpanKind.PRODUCER, attributes):
            carrier: dict[str, str] = {}
            _PROPAGATOR.inject(carrier)
            yield ((spans.TRACE_HEADER, carrier[spans.TRACE_HEADER].encode()),)

    @contextmanager
    def processing(self, agent: str, traces: Iterable[bytes | None], records: int) -> Iterator[None]:
        """Begin a span for a batch; see `telemetry.spans.Tracing`."""
        attributes: Attributes = {
            spans.SYSTEM: "kafka", spans.OPERATION: "process", spans.AGENT: agent, spans.MESSAGES: records,
        }  # fmt: skip
        with self._span(f"{spans.PROCESS} {agent}", SpanKind.CONSUMER, attributes, _links(traces)):
            yield

    @contextmanager
    def request(self, method: str, route: str) -> Iterator[RequestSpan]:
        """Begin a span for a request; see `telemetry.spans.Tracing`."""
        attributes: Attributes = {spans.METHOD: method, spans.ROUTE: route}
        with self._span(f"{method} {route}", SpanKind.SERVER, attributes) as span:
            yield _Request(span)

    @contextmanager
    def _span(self, name: str, kind: SpanKind, attributes: Attributes, links: Sequence[Link] = ()) -> Iterator[Span]:
        """Begin a span; of an error it keeps the type alone, because its text may quote what people wrote."""
        with self._tracer.start_as_current_span(
            name,
            kind=kind,
            attributes=attributes,
            links=links,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except Exception as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise


class _Request:
    """RequestSpan over OpenTelemetry's."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def answered(self, status: int) -> None:
        self._span.set_attribute(spans.STATUS, status)


def _links(traces: Iterable[bytes | None]) -> list[Link]:
    """Return a link to each span that published records; a header that is none of ours links to nothing."""
    links = []
    for trace in dict.fromkeys(trace for trace in traces if trace is not None):
        context = _PROPAGATOR.extract({spans.TRACE_HEADER: trace.decode("ascii", "replace")})
        published = get_current_span(context).get_span_context()
        if published.is_valid:
            links.append(Link(published))
    return links[:MOST_LINKS]
