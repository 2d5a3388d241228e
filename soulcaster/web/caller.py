"""Who calls the API: the holder of a key, or, where calls without one are let pass, the local owner.

The project comes from the key: what is another project's is answered as if it were not there.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import structlog
from aiohttp import web

from soulcaster.domain.api_keys import KeyScope, hash_of
from soulcaster.errors import NotFound, Unavailable
from soulcaster.web.dependencies import Dependencies, dependencies
from soulcaster.web.problems import Problem

Needed = KeyScope | Literal["local"]
"""What a caller needs: a key of that scope; "local": to be the local owner, whose word is about all projects."""

API_KEY_HEADER = "X-API-Key"

_NOTED_EVERY = timedelta(minutes=1)
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="soulcaster"'}

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls; `project_id` is the key's project, None for the local owner, whose all are. So is `key_id`."""

    name: str
    project_id: str | None = None
    key_id: str | None = None

    def project(self, given: str | None) -> str | None:
        """Return the project that a call is about: the key's, or else the one that is given.

        Raises:
            NotFound: another project than the key's is given.
        """
        if self.project_id is not None and given not in (None, self.project_id):
            raise NotFound("There is no such project here")
        return self.project_id or given


CALLER = web.RequestKey("caller", Caller)

USED = web.AppKey("used", dict[str, datetime])
"""When the use of each key was last noted, by its id."""


async def identify(request: web.Request, scope: Needed) -> Caller:
    """Return who calls, if they may do this.

    Raises:
        Problem: 401 without a key that stands, 403 when it has not the scope, 429 when there were too many requests.
        Unavailable: Redis does not answer.
    """
    given = dependencies(request)
    secret = _secret(request)
    if secret is None:
        if given.keyless:
            return Caller("local owner")
        raise Problem(
            401, f"Send an API key, as Authorization: Bearer KEY or {API_KEY_HEADER}: KEY.", headers=CHALLENGE
        )
    key = await given.read_model.api_keys.get(hash_of(secret))
    if key is None or not key.stands(given.clock()):
        raise Problem(401, "This API key is unknown, expired or revoked.", headers=CHALLENGE)
    if scope == "local":
        raise Problem(403, "An API key is of one project and may not do that; the local owner may.")
    if not key.allows(scope):
        raise Problem(403, f"This API key may not do that: it has not the scope {scope}.")
    await count(given, key.id, key.project_id)
    await _note(request, given, key.id)
    return Caller(f"key {key.name}", key.project_id, key.id)


async def count(given: Dependencies, caller_id: str, project_id: str) -> None:
    """Count a request of a caller and a project.

    Raises:
        Problem: 429 when there were too many.
        Unavailable: Redis does not answer.
    """
    wait = await given.rate_limits.take(caller_id, project_id)
    if wait:
        headers = {"Retry-After": str(math.ceil(wait))}
        raise Problem(429, f"Too many requests; the next may come in {math.ceil(wait)} s.", headers=headers)


def _secret(request: web.Request) -> str | None:
    """Return the key a request carries, or None.

    Raises:
        Problem: 401 when the header Authorization has another scheme.
    """
    authorization = request.headers.get("Authorization")
    if authorization is None:
        return request.headers.get(API_KEY_HEADER)
    scheme, _, secret = authorization.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Problem(401, "Authorization has to be: Bearer KEY.", headers=CHALLENGE)
    return secret.strip()


async def _note(request: web.Request, given: Dependencies, key_id: str) -> None:
    """Note now and then that a key is used; a call does not fail for it."""
    used, now = request.config_dict[USED], given.clock()
    if key_id not in used or now - used[key_id] >= _NOTED_EVERY:
        used[key_id] = now
        try:
            await given.read_model.api_keys.mark_used(key_id, now)
        except Unavailable as error:
            _log.warning("the use of a key was not noted", key=key_id, cause=repr(error.__cause__ or error))
