"""Every error as a response: RFC 9457 problem details, and an HTML page under /app."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Literal

import aiohttp_jinja2
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from soulcaster.domain.fixes.repository import AskForRepository
from soulcaster.errors import (
    ArchiveUnavailable,
    Conflict,
    GitHubUnavailable,
    InvalidMessage,
    KafkaUnavailable,
    LimitReached,
    NotFound,
    NotShownYet,
    PlannerRefuses,
    PlannerUnavailable,
    QuotaExceeded,
    RedisFull,
    RedisUnavailable,
    SoulcasterError,
    SourceLimited,
    SourceRefuses,
    SourceUnavailable,
    Unavailable,
    WorkerUnavailable,
)
from soulcaster.web.dependencies import dependencies
from soulcaster.web.turns import become_stream, begin_waiting

REQUEST_SECONDS = 15.0
"""Time limit of one request; longer than that of any call it makes."""

RETRY_SECONDS = "5"
"""The Retry-After header of a 503."""

MAX_FAULTS = 100
"""Invalid fields that a response names; a batch may have thousands."""

_FAULTS_IN_DETAIL = 5

_LIMIT = web.RequestKey("limit", asyncio.Timeout)

_log = structlog.get_logger(__name__)


class FieldProblem(BaseModel):
    """What is wrong with one field; `field` is its dotted path."""

    field: str
    message: str


class Quota(BaseModel):
    """The detail of a 429 where a project's jobs or its stored feedback are at a limit, in the predecessor's form."""

    error: Literal["quota_exceeded"] = "quota_exceeded"
    message: str
    current_count: float
    limit: float


class ProblemDetails(BaseModel):
    """application/problem+json (RFC 9457), but for the detail of an exceeded quota, which is an object."""

    model_config = ConfigDict(extra="forbid")

    type: str = "about:blank"
    title: str
    status: int
    detail: str | Quota
    instance: str
    errors: list[FieldProblem] | None = Field(None, description="each invalid field")
    choices: list[str] | None = Field(None, description="the repositories that a fix may change")
    checks: dict[str, str] | None = Field(None, description="of /ready: each system and whether it answers")


class Problem(SoulcasterError):
    """An error with the status of its response; `detail` is one or more sentences for the caller."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        checks: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        quota: Quota | None = None,
        choices: Sequence[str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.quota = quota
        self.choices = None if choices is None else list(choices)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.checks = dict(checks) if checks else None
        self.headers = dict(headers or {})


def field_problem(field: str, message: str) -> Problem:
    """Return the problem of one invalid field."""
    return Problem(422, f"{field}: {message}", errors=[FieldProblem(field=field, message=message)])


def invalid_fields(faults: Sequence[FieldProblem], count: int) -> Problem:
    """Return the problem of so many invalid fields, of which at least the first `MAX_FAULTS` are given."""
    detail = "; ".join(f"{fault.field}: {fault.message}" for fault in faults[:_FAULTS_IN_DETAIL])
    more = count - MAX_FAULTS
    if more > 0:
        detail += f"; {more:,} more are not listed"
    return Problem(422, detail, errors=faults[:MAX_FAULTS])


def field_problems(error: ValidationError, *, tagged: bool = False) -> list[FieldProblem]:
    """Return what is wrong with the first `MAX_FAULTS` fields.

    `tagged` drops the union member's name, with which their paths start.
    """
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return [
        FieldProblem(field=".".join(str(part) for part in fault["loc"][tagged:]) or "body", message=fault["msg"])
        for fault in faults[:MAX_FAULTS]
    ]


def begin_wait(request: web.Request, seconds: float) -> None:
    """Add seconds to the time limit of a request that is about to wait: for its effect, or for another system."""
    begin_waiting(request)
    limit = request[_LIMIT].when()
    if limit is not None:
        request[_LIMIT].reschedule(limit + seconds)


async def begin_stream(request: web.Request) -> None:
    """Remove the time limit of a request whose response is a stream; the stream has to end by itself.

    Raises:
        LimitReached: the project has too many streams.
    """
    await become_stream(request)
    request[_LIMIT].reschedule(None)


def is_page(request: web.Request) -> bool:
    """Return whether the request is for a page (HTML) and not for the API (JSON)."""
    return request.path == "/app" or request.path.startswith("/app/")


@web.middleware
async def respond_to_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into its response; an unexpected one is logged with its traceback and reveals nothing."""
    try:
        async with asyncio.timeout(REQUEST_SECONDS) as request[_LIMIT]:
            return await handler(request)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        problem = _of_http(error)
    except Exception as error:
        problem = _of(error)
        if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.exception("request failed", method=request.method, path=request.path)
        elif isinstance(error, Unavailable | TimeoutError):
            _log.warning("unavailable", what=type(error).__name__, cause=repr(error.__cause__), path=request.path)
    return _response(request, problem)


def _of(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case NotFound():
            return Problem(404, str(error))
        case AskForRepository():
            return Problem(409, str(error), choices=error.choices)
        case Conflict():
            return Problem(409, str(error))
        case QuotaExceeded():
            quota = Quota(message=str(error), current_count=error.current, limit=error.limit)
            return Problem(429, str(error), quota=quota)
        case LimitReached():
            return Problem(429, str(error), headers={"Retry-After": RETRY_SECONDS})
        case InvalidMessage():
            return Problem(413, "This is larger than a message may be.")
        case SourceRefuses():
            return Problem(422, str(error))
        case SourceLimited():
            return Problem(429, str(error), headers={"Retry-After": _seconds_until(error.until)})
        case SourceUnavailable():
            return Problem(502, str(error))
        case PlannerRefuses():
            return Problem(502, str(error))
        case PlannerUnavailable():
            return _unavailable(f"{error}. Try again, or write the plan yourself.")
        case KafkaUnavailable():
            return _unavailable(
                "Kafka did not acknowledge, or does not answer; what was sent may not be stored. Send it again."
            )
        case RedisFull():
            return _unavailable("Redis takes no writes: it is full, or its disk fails. What is stored can be read.")
        case RedisUnavailable():
            return _unavailable("Redis does not answer, so nothing can be read now. Try again.")
        case GitHubUnavailable():
            return _unavailable("GitHub does not answer, so nobody can sign in with it now. Try again.")
        case ArchiveUnavailable():
            return _unavailable("The archive of logs does not answer, so this log cannot be read now. Try again.")
        case NotShownYet() | WorkerUnavailable():
            return _unavailable(str(error))
        case Unavailable() | TimeoutError():
            return _unavailable("This took too long. Try again.")
        case web.RequestPayloadError():
            return Problem(400, "The body could not be read as its headers describe it.")
        case _:
            return Problem(500, "Something went wrong here; the server's log has the details.")


def _seconds_until(at: datetime) -> str:
    return str(max(1, math.ceil((at - datetime.now(UTC)).total_seconds())))


def _unavailable(detail: str) -> Problem:
    return Problem(503, detail, headers={"Retry-After": RETRY_SECONDS})


_DETAILS: dict[int, str] = {
    404: "There is nothing at this address.",
    405: "This address does not support that method.",
    413: "The body is too large.",
}


def _of_http(error: web.HTTPException) -> Problem:
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return Problem(error.status, _DETAILS.get(error.status, error.reason), headers=headers)


def _response(request: web.Request, problem: Problem) -> web.Response:
    details = ProblemDetails(
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.quota or problem.detail,
        instance=request.rel_url.raw_path,
        errors=problem.errors or None,
        choices=problem.choices,
        checks=problem.checks,
    )
    if is_page(request):
        context: dict[str, Any] = {
            "problem": details,
            "detail": problem.detail,
            "signed_in": False,
            "with_github": dependencies(request).entrance is not None,
        }
        response = aiohttp_jinja2.render_template("problem.html", request, context, status=problem.status)
    else:
        response = web.Response(
            status=problem.status,
            body=details.model_dump_json(exclude_none=True).encode(),
            content_type="application/problem+json",
        )
    response.headers.update(problem.headers)
    return response
