"""Reading what a caller sent: query, JSON body, ids in the path; each fault names its field."""

import json
import re
from typing import Annotated, TypeVar, get_origin

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from soulcaster.messages import ProjectId
from soulcaster.web.problems import FieldProblem, Problem

M = TypeVar("M", bound=BaseModel)

ID_PATTERN = "^[A-Za-z0-9_-]{1,64}$"

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
"""An id in a URL. No colon: it becomes part of a key in the store."""

PROJECT = "project_id"
"""The parameter that nearly every route takes."""

IDEMPOTENCY_HEADER = "Idempotency-Key"

LAST_EVENT = "Last-Event-ID"
"""The header by which whoever follows Server-Sent Events says which came last."""

MAX_KEY = 255
"""Characters of an Idempotency-Key."""

Cursor = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}~-?[0-9]{1,20}(\.[0-9]{1,20})?(e[+-]?[0-9]{1,3})?$")
]
"""Where a part of a list goes on: what an earlier part gave. The offset does not count then."""

MAX_OFFSET = 1_000_000_000


class Query(BaseModel):
    """Base of what stands in a query; unknown parameters are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Scope(Query):
    """Query of nearly every route: which project."""

    project_id: ProjectId


class Window(Scope):
    """Query of every list: which part of it."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET)] = 0
    cursor: Cursor | None = None


def read_query(request: web.Request, model: type[M], **known: str | None) -> M:
    """Return the query as `model`; a parameter left empty counts as not given, one that is known as given so.

    Raises:
        Problem: 400 when project_id is missing, 422 when a parameter is not what it should be.
    """
    given = {name: value for name, value in {**request.query, **known}.items() if value}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        faults = _faults(error)
        if issubclass(model, Scope) and PROJECT not in given:
            raise Problem(400, "project_id is required", errors=faults) from error
        raise Problem(422, _sentence(faults), errors=faults) from error


async def read_json(request: web.Request, model: type[M]) -> M:
    """Return the body as `model`.

    A lone surrogate, half a character as some programs cut it, is replaced and not refused: the rest is still
    somebody's feedback.

    Raises:
        Problem: 415 when it is not declared as JSON, 400 when it is not JSON, 422 when a field is not what it should
            be.
    """
    if request.content_type != "application/json":
        raise Problem(415, "Send JSON, with the header Content-Type: application/json.")
    raw = await request.read()
    try:
        try:
            return model.model_validate_json(raw)
        except ValidationError as error:
            if not _is_not_json(error):
                raise
            return model.model_validate_json(_mended(raw, error))
    except ValidationError as error:
        if _is_not_json(error):
            raise _not_json(error) from error
        faults = _faults(error)
        raise Problem(422, _sentence(faults), errors=faults) from error


async def read_form(request: web.Request, model: type[M]) -> M:
    """Return the fields of a page's form as `model`; one left empty is null, one that may come often is a list.

    Raises:
        Problem: 422 when a field is not what it should be.
    """
    form = await request.post()
    given = {
        name: form.getall(name, []) if get_origin(field.annotation) is tuple else form.get(name) or None
        for name, field in model.model_fields.items()
    }
    try:
        return model.model_validate(given)
    except ValidationError as error:
        faults = _faults(error)
        raise Problem(422, _sentence(faults), errors=faults) from error


def path_id(request: web.Request, name: str) -> str:
    """Return the id in the path.

    Raises:
        Problem: 404 when it has a form no id has.
    """
    value = request.match_info[name]
    if not re.fullmatch(ID_PATTERN, value):
        raise Problem(404, "There is nothing of that id here.")
    return value


def idempotency_key(request: web.Request) -> str | None:
    """Return the Idempotency-Key, if there is one.

    Raises:
        Problem: 422 when it is empty or longer than `MAX_KEY`.
    """
    key = request.headers.get(IDEMPOTENCY_HEADER)
    if key is not None and not 1 <= len(key) <= MAX_KEY:
        raise Problem(422, f"{IDEMPOTENCY_HEADER} has 1 to {MAX_KEY} characters.")
    return key


def _is_not_json(error: ValidationError) -> bool:
    return error.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid"


def _not_json(error: ValidationError) -> Problem:
    reason = error.errors(include_url=False, include_input=False)[0]["msg"]
    return Problem(400, f"The body is not JSON in UTF-8. {reason}.")


def _mended(raw: bytes, error: ValidationError) -> str:
    try:
        text = json.dumps(json.loads(raw.decode()), ensure_ascii=False)
    except (ValueError, RecursionError):
        raise _not_json(error) from error
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _faults(error: ValidationError) -> list[FieldProblem]:
    return [
        FieldProblem(field=".".join(str(part) for part in fault["loc"]) or "body", message=fault["msg"])
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def _sentence(faults: list[FieldProblem]) -> str:
    return "; ".join(f"{fault.field}: {fault.message}" for fault in faults[:5])
