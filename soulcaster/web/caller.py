"""Who calls the API: the holder of an API key, or the local owner where calls without a key are allowed.

The project comes from the key: to its holder, other projects do not exist.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

import structlog
from aiohttp import web

from soulcaster.domain.api_keys import KeyScope, hash_of
from soulcaster.errors import NotFound, Unavailable
from soulcaster.services.job_tokens import PREFIX, JobClaims, JobTokenInvalid
from soulcaster.services.stream_rights import Right
from soulcaster.web.dependencies import Dependencies, dependencies
from soulcaster.web.headers import API_KEY_HEADER
from soulcaster.web.problems import Problem
from soulcaster.web.rights import RIGHT

Needed = KeyScope | Literal["local", "program"]
"""What a call needs: an API key with this scope; "local": the local owner, because it concerns all projects; "program":
the job token of the job in the path."""

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="soulcaster"'}
"""The header of every 401 (RFC 9110, section 11.6.1)."""

MADE_AN_HOUR = 500
"""API keys that a project may make within an hour, and as many members, plans and recorded jobs."""

COMMANDS_AN_HOUR = 2_000
"""Commands that people and programs may send to a project's clusterer within an hour; deletions of items do not count.

Kafka keeps a command for ever, and Redis its outcome for a month: about 300 bytes each.
"""

REPORTS_OF_A_JOB = 3_000
"""Reports on one job within a month; its program has no limit, because it has to be able to end its job."""

_MONTH_SECONDS = 30 * 24 * 3600

_NOTED_EVERY = timedelta(minutes=1)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls; `project_id` and `api_key_id` are those of the API key, None for the local owner.

    `admin` says whether the caller may do everything in its project. `job` is what the job token of a job's program
    says, None for everybody else.
    """

    name: str
    project_id: str | None = None
    api_key_id: str | None = None
    admin: bool = False
    job: JobClaims | None = None

    def project(self, given: str | None) -> str | None:
        """Return the project that a call concerns: that of the key, else the given one.

        Raises:
            NotFound: the given project is not that of the key.
        """
        if self.project_id is not None and given not in (None, self.project_id):
            raise NotFound("There is no such project here")
        return self.project_id or given


CALLER = web.RequestKey("caller", Caller)

NEEDED = web.RequestKey("needed", str)
"""What the call needs, as `Needed` says; every request with a caller has it."""


def is_program(request: web.Request) -> bool:
    """Return whether the program of a job calls."""
    return request[CALLER].job is not None


def claims_of(request: web.Request) -> JobClaims:
    """Return what the job token of the caller says.

    Raises:
        Problem: 403 when the caller is no program of a job.
    """
    claims = request[CALLER].job
    if claims is None:
        raise Problem(403, "Only the program of the job may do this.")
    return claims


USED = web.AppKey("used", dict[str, datetime])
"""When the use of each API key was last noted, by its id."""


async def identify(request: web.Request, scope: Needed, *, job_tokens: bool = False) -> Caller:
    """Return who calls, if they may do this; with `job_tokens` the program of the job in the path may, too.

    Raises:
        Problem: 401 without a valid API key, 403 when it lacks the scope, 429 after too many requests.
        Unavailable: Redis does not answer.
    """
    given = dependencies(request)
    secret = secret_of(request)
    if scope == "program":
        return await _program(request, given, secret or "", allowed=True)
    if secret is None:
        if given.keyless:
            return Caller("local owner", admin=True)
        raise Problem(
            401, f"Send an API key, as Authorization: Bearer KEY or {API_KEY_HEADER}: KEY.", headers=CHALLENGE
        )
    if secret.startswith(PREFIX):
        return await _program(request, given, secret, allowed=job_tokens)
    key = await given.read_model.api_keys.get(hash_of(secret))
    if key is None or not key.stands(given.clock()):
        raise Problem(401, "This API key is unknown, expired or revoked.", headers=CHALLENGE)
    if scope == "local":
        raise Problem(403, "An API key belongs to one project and may not do this; only the local owner may.")
    if not key.allows(scope):
        raise Problem(403, f"This API key may not do this: it does not have the scope {scope}.")
    request[RIGHT] = Right((key.id, scope), partial(_still_stands, given, key.hash, scope))
    await count_request(given, key.id, key.project_id)
    await _note_use(request, given, key.id)
    return Caller(f"key {key.name}", key.project_id, key.id, admin=key.allows("admin"))


async def may(request: web.Request, scope: KeyScope) -> bool:
    """Return whether whoever has been let in by `identify` may do what needs another scope, too.

    Raises:
        Unavailable: Redis does not answer.
    """
    secret = secret_of(request)
    if secret is None:
        return True  # the local owner
    return await _still_stands(dependencies(request), hash_of(secret), scope)


async def _still_stands(given: Dependencies, hashed: str, scope: KeyScope) -> bool:
    """Return whether an API key that was let in would be let in again."""
    key = await given.read_model.api_keys.get(hashed)
    return key is not None and key.stands(given.clock()) and key.allows(scope)


async def _program(request: web.Request, given: Dependencies, token: str, *, allowed: bool) -> Caller:
    """Return the program of a job, which may report on that job and on nothing else.

    Raises:
        Problem: 401 for an invalid token, 403 for another operation, 429 after too many requests.
        NotFound: the path names another job.
    """
    try:
        claims = given.job_tokens.read(token)
    except JobTokenInvalid as error:
        raise Problem(401, str(error), headers=CHALLENGE) from error
    if not allowed:
        raise Problem(403, "The program of a job may only read and report on its job.")
    if request.match_info.get("job_id") != claims.job_id:
        raise NotFound("Job not found for project")
    await count_request(given, f"job {claims.job_id}", claims.project_id)
    return Caller(f"job {claims.job_id}", claims.project_id, job=claims)


async def count_request(given: Dependencies, caller_id: str, project_id: str) -> None:
    """Count a request of a caller and a project.

    Raises:
        Problem: 429 when there were too many.
        Unavailable: Redis does not answer.
    """
    _allow("Too many requests", await given.rate_limits.take(caller_id, project_id))


async def count_made(
    given: Dependencies, kind: Literal["keys", "members", "plans", "jobs", "commands"], project_id: str
) -> None:
    """Count something that a project makes and that stays stored for ever or for long, even when it is ended.

    Raises:
        Problem: 429 when it made many within an hour.
        Unavailable: Redis does not answer.
    """
    most = COMMANDS_AN_HOUR if kind == "commands" else MADE_AN_HOUR
    wait = await given.rate_limits.take_of(f"{kind}:{project_id}", most=most, seconds=3600)
    _allow(f"The project made {most:,} {kind} within the hour", wait)


async def count_report(given: Dependencies, job_id: str) -> None:
    """Count a report on a job by somebody who is not its program; every report is read wherever the job is shown.

    Raises:
        Problem: 429 when the job had many.
        Unavailable: Redis does not answer.
    """
    wait = await given.rate_limits.take_of(f"reports:{job_id}", most=REPORTS_OF_A_JOB, seconds=_MONTH_SECONDS)
    _allow(f"This job had {REPORTS_OF_A_JOB:,} reports; log lines go to /jobs/{job_id}/logs", wait)


async def count_bytes(request: web.Request, size: int) -> None:
    """Count the bytes of a body, decompressed, among those that are sent to the caller's project with the same scope.

    Each scope has its own, so that who may only send feedback does not keep commands and jobs out.

    Raises:
        Problem: 429 when there were too many.
        Unavailable: Redis does not answer.
    """
    caller = request.get(CALLER)
    if caller is not None and caller.project_id is not None:
        wait = await dependencies(request).rate_limits.take_sent("bytes", caller.project_id, request[NEEDED], size)
        _allow("Too many bytes for this project", wait)


async def count_items(request: web.Request, items: int) -> None:
    """Count items of feedback that a request is about to post, among those of the caller's project and scope.

    Call it when nothing of them is kept yet: a request that is too much is refused as a whole.

    Raises:
        Problem: 429 when there were too many.
        Unavailable: Redis does not answer.
    """
    caller = request[CALLER]
    if caller.project_id is not None:
        wait = await dependencies(request).rate_limits.take_sent("items", caller.project_id, request[NEEDED], items)
        _allow("Too many items of feedback for this project", wait)


def _allow(refusal: str, wait: float) -> None:
    if wait:
        seconds = math.ceil(wait)
        headers = {"Retry-After": str(seconds)}
        raise Problem(429, f"{refusal}; send the next request in {seconds} s.", headers=headers)


def secret_of(request: web.Request) -> str | None:
    """Return the API key or the job token that a request carries, or None.

    Raises:
        Problem: 401 when the header Authorization has another scheme.
    """
    authorization = request.headers.get("Authorization")
    if authorization is None:
        return request.headers.get(API_KEY_HEADER)
    scheme, _, secret = authorization.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Problem(401, "Authorization must be: Bearer KEY.", headers=CHALLENGE)
    return secret.strip()


async def _note_use(request: web.Request, given: Dependencies, key_id: str) -> None:
    """Note at most once a minute that an API key is used; a failure to do so does not fail the call."""
    used, now = request.config_dict[USED], given.clock()
    if key_id not in used or now - used[key_id] >= _NOTED_EVERY:
        used[key_id] = now
        try:
            await given.read_model.api_keys.mark_used(key_id, now)
        except Unavailable as error:
            _log.warning("the use of an API key was not noted", key=key_id, cause=repr(error.__cause__ or error))
