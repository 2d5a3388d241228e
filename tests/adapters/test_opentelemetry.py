"""Spans as a collector gets them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from agents.runtime.batches import BATCH_BYTES
from agents.runtime.meter import Meter
from agents.runtime.runner import run_agent
from soulcaster.adapters.opentelemetry import OpenTelemetry
from soulcaster.ports.messaging import Record
from soulcaster.telemetry.spans import TRACE_HEADER, TRACER
from tests.support.agents import Flaky, stream
from tests.support.collector import Collector, collector


@pytest.fixture
async def kept() -> AsyncIterator[Collector]:
    async with collector() as one:
        yield one


class Reads:
    """An agent that counts."""

    name = "reads"
    batch_bytes = BATCH_BYTES
    express = False

    async def process(self, batch: object, records: object) -> int:
        return 1

    async def close(self) -> None:
        return


async def test_a_batch_links_to_what_published_its_records_within_a_request(kept: Collector) -> None:
    tracing = OpenTelemetry(kept.url, process="test", version="1")
    TRACER.switch(tracing)
    try:
        with TRACER.now.request("POST", "/ingest/manual") as request:
            with TRACER.now.publishing(["feedback.raw"], 1) as headers:
                pass
            request.answered(202)
        [(name, trace)] = headers
        assert name == TRACE_HEADER
        records = [Record("feedback.raw", 0, n, 0, None, b"", one) for n, one in enumerate([trace, trace, None, b"x"])]
        await run_agent(Reads(), [stream([records])], publisher=Flaky(), meter=Meter("reads"))
    finally:
        TRACER.switch(None)
        await tracing.close()
    [request_span], [sent], [batch] = (
        kept.named(n) for n in ("POST /ingest/manual", "send feedback.raw", "process reads")
    )
    assert (request_span.service, request_span.parent) == ("soulcaster-test", b"")
    assert sent.parent == request_span.id
    assert (batch.parent, batch.links) == (b"", (sent.id,))
    assert sent.attributes["messaging.destination.name"] == "feedback.raw"
    assert batch.attributes["soulcaster.agent"] == "reads"


async def test_of_an_error_only_its_type_is_told(kept: Collector) -> None:
    tracing = OpenTelemetry(kept.url, process="test", version="1")
    with pytest.raises(ValueError, match="my card"), tracing.processing("reads", [], 1):
        raise ValueError("my card does not work")
    await tracing.close()
    [span] = kept.named("process reads")
    assert span.status == "ValueError"


async def test_a_collector_that_is_away_holds_up_nobody() -> None:
    tracing = OpenTelemetry("http://127.0.0.1:1", process="test", version="1")
    with tracing.publishing(["a", "b"], 2):
        pass
    async with asyncio.timeout(60):
        await tracing.close()


def test_off_there_is_no_span_and_no_header() -> None:
    assert not TRACER.on
    with TRACER.now.publishing(["feedback.raw"], 1) as headers, TRACER.now.processing("reads", [b"x"], 1):
        assert headers == ()
