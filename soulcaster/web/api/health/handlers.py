"""Whether the server is up, and whether the systems it needs answer."""

import asyncio

import structlog
from aiohttp import web

from soulcaster.errors import KafkaRefuses, RedisFull, RedisRefuses, Unavailable
from soulcaster.ports.readiness import Answering
from soulcaster.web.api.health.models import HealthOut, ReadyOut, RootOut
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_response
from soulcaster.web.dependencies import dependencies
from soulcaster.web.problems import RETRY_SECONDS, Problem

CHECK_SECONDS = 2.0
"""How long a system may take to answer."""

OK, SILENT, REFUSES, FULL = "ok", "no answer", "refuses us", "takes no writes"
_SAID = {
    SILENT: "does not answer",
    REFUSES: "refuses our login or certificate; the log of the web server says more",
    FULL: "takes no writes: it is full, or its disk fails",
}

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
    connected = await _check("Redis", given.read_model) == OK
    return json_response(HealthOut(storage="connected" if connected else "disconnected", timestamp=given.clock()))


@operation("GET", "/ready", {200: ReadyOut})
async def get_readiness(request: web.Request) -> web.StreamResponse:
    """Get whether Kafka and Redis answer within two seconds, and Redis takes writes: 200, else 503 that says why."""
    given = dependencies(request)
    systems: dict[str, Answering] = {"Kafka": given.kafka, "Redis": given.rate_limits}
    found = await asyncio.gather(*(_check(name, system) for name, system in systems.items()))
    checks = {name.lower(): check for name, check in zip(systems, found, strict=True)}
    wrong = [f"{name} {_SAID[check]}." for name, check in zip(systems, found, strict=True) if check != OK]
    if wrong:
        raise Problem(503, " ".join(wrong), checks=checks, headers={"Retry-After": RETRY_SECONDS})
    return json_response(ReadyOut(checks=checks))


async def _check(name: str, system: Answering) -> str:
    """Return what is wrong with a system, else OK. Anybody may ask, so the details are in the log only."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await system.ping()
    except (KafkaRefuses, RedisRefuses) as error:
        _log.warning("refused", system=name, cause=str(error))
        return REFUSES
    except RedisFull as error:
        _log.warning("takes no writes", system=name, cause=str(error))
        return FULL
    except (Unavailable, TimeoutError) as error:
        _log.warning("no answer", system=name, cause=repr(error.__cause__ or error))
        return SILENT
    return OK
