"""Whether the server is up, and whether what it needs is."""

import asyncio

import structlog
from aiohttp import web

from soulcaster.errors import Unavailable
from soulcaster.ports.readiness import Answering
from soulcaster.web.api.answers import answer
from soulcaster.web.api.models import HealthOut, ReadyOut, RootOut
from soulcaster.web.api.operation import operation
from soulcaster.web.dependencies import dependencies
from soulcaster.web.problems import RETRY_SECONDS, Problem

CHECK_SECONDS = 2.0

_log = structlog.get_logger(__name__)


@operation("GET", "/", {200: RootOut}, redirects=True)
async def root(request: web.Request) -> web.StreamResponse:
    """Send a browser to the pages, tell a program that the server is up."""
    if "text/html" in request.headers.get("Accept", ""):
        raise web.HTTPFound("/app", headers={"Vary": "Accept"})
    response = answer(RootOut())
    response.headers["Vary"] = "Accept"
    return response


@operation("GET", "/health", {200: HealthOut})
async def health(request: web.Request) -> web.StreamResponse:
    """Say that the server is up, and whether its storage answers."""
    given = dependencies(request)
    connected = await _answers("Redis", given.read_model)
    return answer(HealthOut(storage="connected" if connected else "disconnected", timestamp=given.clock()))


@operation("GET", "/ready", {200: ReadyOut})
async def ready(request: web.Request) -> web.StreamResponse:
    """Answer 200 when Kafka and Redis do, else 503 naming which does not; within two seconds."""
    given = dependencies(request)
    systems: dict[str, Answering] = {"Kafka": given.kafka, "Redis": given.read_model}
    found = await asyncio.gather(*(_answers(name, system) for name, system in systems.items()))
    checks = {name.lower(): "ok" if good else "no answer" for name, good in zip(systems, found, strict=True)}
    away = [name for name, good in zip(systems, found, strict=True) if not good]
    if away:
        detail = f"{' and '.join(away)} {'does' if len(away) == 1 else 'do'} not answer."
        raise Problem(503, detail, checks=checks, headers={"Retry-After": RETRY_SECONDS})
    return answer(ReadyOut(checks=checks))


async def _answers(name: str, system: Answering) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await system.ping()
    except (Unavailable, TimeoutError) as error:
        _log.warning("no answer", system=name, cause=repr(error.__cause__ or error))
        return False
    return True
