"""What every process tells about itself, and on which port."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from soulcaster.adapters.telemetry_server import TelemetryServer
from soulcaster.processes.base_settings import ProcessSettings
from soulcaster.telemetry.liveness import Liveness
from soulcaster.telemetry.metrics import BUILD_INFO


@asynccontextmanager
async def telemetry(settings: ProcessSettings, process: str, liveness: Callable[[], Liveness]) -> AsyncIterator[None]:
    """Serve the metrics and the liveness of a process during the block, if the settings name a port.

    Raises:
        BadInput: the port cannot be listened on.
    """
    BUILD_INFO.labels(version("soulcaster"), process).set(1)
    if not settings.metrics_port:
        yield
        return
    server = TelemetryServer(settings.metrics_host, settings.metrics_port, liveness)
    await server.start()
    try:
        yield
    finally:
        await server.stop()
