"""Whether the server is up, and whether the systems it needs answer."""

import asyncio

import structlog
from aiohttp import web

from soulcaster.errors import Unavailable
from soulcaster.ports.readiness import Answering
from soulcaster.web.api.health.models import HealthOut, ReadyOut, RootOut
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_response
from soulcaster.web.dependencies import dependencies
from soulcaster.web.problems import RETRY_SECONDS, Problem

CHECK_SECONDS = 2.0
"""How long a system may take to answer."""

_log = structlog.get_logger(__name__)


@operation("GET", "/", {200: RootOut}, redirects=True)
async def get_root(request: web.Request) -> web.StreamResponse:
    """Redirect a browser to the pages; tell a program that the server is up."""
    if "text/html" in request.headers.get("Accept", ""):
        raise web.HTTPFound("/app", headers={"Vary": "Accept"})
    response = json_response(RootOut())
    response.headers["Vary"] = "Accept"
    return response


@operation("GET", "/health", {200: HealthOut})
async def get_health(request: web.Request) -> web.StreamResponse:
    """Get whether the server is up, and whether its storage answers."""
    given = dependencies(request)
    connected = await _answers("Redis", given.read_model)
    return json_response(HealthOut(storage="connected" if connected else "disconnected", timestamp=given.clock()))


@operation("GET", "/ready", {200: ReadyOut})
async def get_readiness(request: web.Request) -> web.StreamResponse:
    """Get whether Kafka and Redis answer within two seconds: 200 when both do, else 503 that names what does not."""
    given = dependencies(request)
    systems: dict[str, Answering] = {"Kafka": given.kafka, "Redis": given.read_model}
    answers = await asyncio.gather(*(_answers(name, system) for name, system in systems.items()))
    checks = {name.lower(): "ok" if answer else "no answer" for name, answer in zip(systems, answers, strict=True)}
    silent = [name for name, answer in zip(systems, answers, strict=True) if not answer]
    if silent:
        detail = f"{' and '.join(silent)} {'does' if len(silent) == 1 else 'do'} not answer."
        raise Problem(503, detail, checks=checks, headers={"Retry-After": RETRY_SECONDS})
    return json_response(ReadyOut(checks=checks))


async def _answers(name: str, system: Answering) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await system.ping()
    except (Unavailable, TimeoutError) as error:
        _log.warning("no answer", system=name, cause=repr(error.__cause__ or error))
        return False
    return True
