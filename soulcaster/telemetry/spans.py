"""The names of spans and their attributes, and how code says what a span is, whether anybody traces or not.

OpenTelemetry's conventions for messaging are in development: their names are here and nowhere else. No attribute is the
id of a person, or a text.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

SCOPE = "soulcaster"
"""The name of the instrumentation."""

PUBLISH = "send"
"""A span's name, for what is published together."""

PROCESS = "process"
"""A span's name, with the agent behind it: a batch. It links to the spans that published its records."""

SYSTEM = "messaging.system"
OPERATION = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
MESSAGES = "messaging.batch.message_count"
AGENT = "soulcaster.agent"
METHOD = "http.request.method"
ROUTE = "http.route"
STATUS = "http.response.status_code"

TRACE_HEADER = "traceparent"
"""The header of a Kafka message that says in which span it was published, as W3C Trace Context has it."""

Headers = tuple[tuple[str, bytes], ...]


class RequestSpan(Protocol):
    """The span of a request."""

    def answered(self, status: int) -> None:
        """Note the status of the response."""


class Tracing(Protocol):
    """What records spans. Whatever runs within a block is inside its span."""

    def publishing(self, topics: Iterable[str], messages: int) -> AbstractContextManager[Headers]:
        """Begin a span for messages that are published together; give the headers that they carry."""

    def processing(self, agent: str, traces: Iterable[bytes | None], records: int) -> AbstractContextManager[None]:
        """Begin a span for a batch; `traces` are the trace headers of its records."""

    def request(self, method: str, route: str) -> AbstractContextManager[RequestSpan]:
        """Begin a span for a request."""


class _Nothing:
    """Fulfils RequestSpan where nobody traces."""

    def answered(self, status: int) -> None:
        return


_NO_HEADERS: nullcontext[Headers] = nullcontext(())
_NO_SPAN: nullcontext[None] = nullcontext()
_NO_REQUEST: nullcontext[RequestSpan] = nullcontext(_Nothing())


class NoTracing:
    """Tracing that is off, which costs nothing."""

    def publishing(self, topics: Iterable[str], messages: int) -> AbstractContextManager[Headers]:
        """Give no headers."""
        return _NO_HEADERS

    def processing(self, agent: str, traces: Iterable[bytes | None], records: int) -> AbstractContextManager[None]:
        """Do nothing."""
        return _NO_SPAN

    def request(self, method: str, route: str) -> AbstractContextManager[RequestSpan]:
        """Do nothing."""
        return _NO_REQUEST


class Tracer:
    """The tracing of this process, which is off until it is switched on."""

    def __init__(self) -> None:
        self.now: Tracing = NoTracing()

    @property
    def on(self) -> bool:
        """Whether somebody traces."""
        return not isinstance(self.now, NoTracing)

    def switch(self, tracing: Tracing | None) -> None:
        """Record spans with this from now on; None records none."""
        self.now = tracing or NoTracing()


TRACER = Tracer()
"""That of this process."""
