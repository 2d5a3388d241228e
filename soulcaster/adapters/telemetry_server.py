"""The port of a process for those who watch it: `/metrics` for Prometheus, `/health/live` for its supervisor.

It is a server of its own, with no key: the web server's port is public, and the other processes have none.
"""

from collections.abc import Callable
from dataclasses import asdict

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from soulcaster.errors import BadInput
from soulcaster.telemetry.declare import REGISTRY
from soulcaster.telemetry.liveness import Liveness

_IDLE_SECONDS = 75.0
"""How long a connection may be silent before a request; aiohttp itself waits an hour."""


class TelemetryServer:
    """Serves the metrics and the liveness of this process."""

    def __init__(self, host: str, port: int, liveness: Callable[[], Liveness]) -> None:
        """Listen on nothing yet; `liveness` is asked at every look."""
        self._host = host
        self._port = port
        self._liveness = liveness
        app = web.Application()
        app.add_routes([web.get("/metrics", _metrics), web.get("/health/live", self._live)])
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=_IDLE_SECONDS)

    async def start(self) -> None:
        """Listen.

        Raises:
            BadInput: the address cannot be listened on.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self.stop()
            raise BadInput(
                f"SOULCASTER_METRICS_PORT: {self._host}:{self._port} cannot be listened on ({error.strerror})."
            ) from error

    async def stop(self) -> None:
        """Listen no more."""
        await self._runner.cleanup()

    async def _live(self, request: web.Request) -> web.Response:
        found = self._liveness()
        return web.json_response(asdict(found), status=200 if found.live else 503)


async def _metrics(request: web.Request) -> web.Response:
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return web.Response(body=encode(REGISTRY), headers={"Content-Type": content_type})
