"""Query and path parameters: their types, and reading them from a request. Every error names its parameter."""

import re
from collections.abc import Mapping
from typing import Annotated, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from soulcaster.domain.text.given import OneLine
from soulcaster.web.problems import Problem, field_problem, field_problems, invalid_fields
from soulcaster.wire.fields import ProjectId

M = TypeVar("M", bound=BaseModel)

PROJECT = "project_id"
"""The query parameter that nearly every route takes."""

ID_PATTERN = "^[A-Za-z0-9_-]{1,64}$"

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
"""An id in a URL. It has no colon because it becomes part of a Redis key."""

ItemId = Annotated[str, StringConstraints(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
"""The id of an item: a UUID, because only Soulcaster makes one."""

GITHUB_NAMES: Mapping[str, str] = {
    "owner": r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}$",
    "repo": r"^[A-Za-z0-9._-]{0,99}[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$",
}
"""The pattern of each path parameter that is a name at GitHub and not one of our ids."""

Cursor = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}~-?[0-9]{1,20}(\.[0-9]{1,20})?(e[+-]?[0-9]{1,3})?(~[0-9]{1,10})?$"),
]
"""Where a list goes on: the cursor that the previous page gave. With a cursor, the offset is ignored."""

MAX_OFFSET = 1_000_000_000

Words = Annotated[str, OneLine(200, blank="")]
"""Words to search for; upper and lower case are the same."""

Repo = Annotated[
    str, StringConstraints(pattern=r"^(https?://(www\.)?github\.com/)?[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}/?$")
]
"""A GitHub repository: "owner/name", or its address."""

WaitSeconds = Annotated[float, Field(ge=0, le=30)]
"""How long a request may wait until its effect can be read, in seconds."""


class Query(BaseModel):
    """Base of every query; unknown parameters are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ProjectQuery(Query):
    """Query of nearly every route: the project."""

    project_id: ProjectId


class PageQuery(ProjectQuery):
    """Query of a list: which page of it."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET)] = 0
    cursor: Cursor | None = None


class WaitQuery(ProjectQuery):
    """Query of a change: how long to wait until it can be read. By default the response does not wait."""

    wait: WaitSeconds = 0


class WaitByDefaultQuery(WaitQuery):
    """Query of a change that clients read back at once: by default the response waits two seconds."""

    wait: WaitSeconds = 2


def words(q: str | None) -> tuple[str, ...]:
    """Return the words of a search."""
    return tuple((q or "").split())


def read_query(request: web.Request, model: type[M], **known: str | None) -> M:
    """Return the query as `model`; an empty parameter counts as missing. `known` values replace those of the query.

    Raises:
        Problem: 400 when project_id is missing, 422 when a parameter is invalid.
    """
    given = {name: value for name, value in {**request.query, **known}.items() if value}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        faults = field_problems(error)
        if issubclass(model, ProjectQuery) and PROJECT not in given:
            raise Problem(400, "project_id is required", errors=faults) from error
        raise invalid_fields(faults, error.error_count()) from error


def path_id(request: web.Request, name: str) -> str:
    """Return an id, or a name at GitHub, from the path.

    Raises:
        Problem: 404 when it cannot be an id, 422 when it cannot be a name at GitHub.
    """
    value = request.match_info[name]
    if name in GITHUB_NAMES:
        if not re.fullmatch(GITHUB_NAMES[name], value):
            raise field_problem(name, "a repository is named as at GitHub: owner/name")
        return value
    if not re.fullmatch(ID_PATTERN, value):
        raise Problem(404, "There is nothing with that id here.")
    return value
