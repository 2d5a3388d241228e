"""The port for those who watch a process."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from soulcaster.adapters.telemetry_server import TelemetryServer
from soulcaster.dev.loopback import free_port
from soulcaster.errors import BadInput
from soulcaster.telemetry.liveness import Liveness
from soulcaster.telemetry.metrics import BUILD_INFO


@asynccontextmanager
async def served(liveness: Liveness) -> AsyncIterator[aiohttp.ClientSession]:
    port = free_port()
    server = TelemetryServer("127.0.0.1", port, lambda: liveness)
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            yield http
    finally:
        await server.stop()


async def test_metrics_as_text_and_as_openmetrics() -> None:
    BUILD_INFO.labels("0", "test").set(1)
    async with served(Liveness(True)) as http:
        async with http.get("/metrics") as answer:
            assert answer.content_type == "text/plain"
            names = {family.name for family in plain(await answer.text())}
        async with http.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}) as answer:
            assert answer.content_type == "application/openmetrics-text"
            families = openmetrics(await answer.text())  # type: ignore[no-untyped-call]
            assert "soulcaster_build_info" in {family.name for family in families}
    assert names >= {"soulcaster_build_info", "soulcaster_items_read", "process_start_time_seconds"}


@pytest.mark.parametrize(("live", "status"), [(True, 200), (False, 503)])
async def test_liveness_says_why(live: bool, status: int) -> None:
    async with (
        served(Liveness(live, "because", {"waiting_for": ["kafka"]})) as http,
        http.get("/health/live") as answer,
    ):
        assert answer.status == status
        assert await answer.json() == {"live": live, "why": "because", "facts": {"waiting_for": ["kafka"]}}


async def test_a_port_in_use_is_said_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = TelemetryServer("127.0.0.1", taken.getsockname()[1], lambda: Liveness(True))
        with pytest.raises(BadInput, match=r"SOULCASTER_METRICS_PORT: 127\.0\.0\.1:\d+ cannot be listened on"):
            await server.start()
