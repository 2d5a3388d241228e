"""An OpenTelemetry collector on loopback: it keeps the spans that it is sent."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SECONDS = 60


@dataclass(frozen=True)
class Kept:
    """A span as it came."""

    service: str
    name: str
    id: bytes
    parent: bytes
    links: tuple[bytes, ...]
    attributes: dict[str, str]
    status: str


class Collector:
    """The spans so far."""

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[Kept] = []

    def named(self, name: str) -> list[Kept]:
        return [span for span in self.spans if span.name == name]

    async def until(self, there: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                while not there():
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"these came: {[span.name for span in self.spans]}") from None

    async def take(self, request: web.Request) -> web.Response:
        sent = ExportTraceServiceRequest.FromString(await request.read())
        for resource in sent.resource_spans:
            about = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    attributes = {pair.key: pair.value.string_value for pair in span.attributes}
                    links = tuple(link.span_id for link in span.links)
                    self.spans.append(
                        Kept(
                            about["service.name"],
                            span.name,
                            span.span_id,
                            span.parent_span_id,
                            links,
                            attributes,
                            span.status.message,
                        )
                    )
        return web.Response(body=b"", content_type="application/x-protobuf")


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    kept = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", kept.take)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    kept.url = str(server.make_url("")).rstrip("/")
    yield kept
    await server.close()
