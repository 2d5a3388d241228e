"""What every process tells about itself, and on which port."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from soulcaster.adapters.telemetry_server import TelemetryServer
from soulcaster.processes.addresses import http_address
from soulcaster.processes.base_settings import ProcessSettings
from soulcaster.telemetry.liveness import Liveness
from soulcaster.telemetry.metrics import BUILD_INFO
from soulcaster.telemetry.spans import TRACER


@asynccontextmanager
async def telemetry(settings: ProcessSettings, process: str, liveness: Callable[[], Liveness]) -> AsyncIterator[None]:
    """Serve the metrics and the liveness of a process during the block, and trace it, where the settings want that.

    Raises:
        BadInput: the port cannot be listened on, or the collector's address is none.
    """
    BUILD_INFO.labels(version("soulcaster"), process).set(1)
    async with AsyncExitStack() as stack:
        if settings.metrics_port:
            server = TelemetryServer(settings.metrics_host, settings.metrics_port, liveness)
            await server.start()
            stack.push_async_callback(server.stop)
        if settings.otlp_endpoint:
            from soulcaster.adapters.opentelemetry import OpenTelemetry  # half a second, for those who trace

            endpoint = str(http_address("OTEL_EXPORTER_OTLP_ENDPOINT", settings.otlp_endpoint))
            tracing = OpenTelemetry(endpoint, process=process, version=version("soulcaster"))
            stack.push_async_callback(tracing.close)
            TRACER.switch(tracing)
            stack.callback(TRACER.switch, None)
        yield
