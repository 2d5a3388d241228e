"""Users and projects; soulcaster/domain/members.py says what they are."""

from collections.abc import Sequence

from aiohttp import web

from soulcaster.ports.projects import Project
from soulcaster.ports.read_model import ReadModel
from soulcaster.web.api.operation import operation
from soulcaster.web.api.projects.models import (
    CreatedProjectOut,
    CreatedUserOut,
    ProjectIn,
    ProjectOut,
    ProjectsOut,
    ProjectsQuery,
    StatsOut,
    UserIn,
    UserOut,
)
from soulcaster.web.api.responses import json_response, shown
from soulcaster.web.caller import CALLER
from soulcaster.web.dependencies import dependencies
from soulcaster.web.listing import entries_page
from soulcaster.web.parameters import ProjectQuery


@operation("GET", "/stats", {200: StatsOut}, scope="read")
async def get_stats(request: web.Request, query: ProjectQuery) -> web.StreamResponse:
    """Get the figures of a project; they are zero for an unknown project."""
    given = dependencies(request)
    stats = await given.read_model.projects.stats(query.project_id)
    return json_response(StatsOut.of(query.project_id, stats, given.storage_limit.most))


@operation("POST", "/users", {200: CreatedUserOut, 201: CreatedUserOut}, scope="local")
async def create_user(request: web.Request, body: UserIn) -> web.StreamResponse:
    """Create a user with a project; 200 and the same user when the address or GitHub account is already known."""
    created = await dependencies(request).users.create(email=body.email, github_id=body.github_id, name=body.name)
    out = CreatedUserOut(user=UserOut.of(created.user), default_project=ProjectOut.of(created.project))
    return json_response(out, status=201 if created.is_new else 200)


@operation("GET", "/projects", {200: ProjectsOut}, scope="read")
async def list_projects(request: web.Request, query: ProjectsQuery) -> web.StreamResponse:
    """List projects by name, optionally those of one user; an API key sees only its own project."""
    seen = await _seen(dependencies(request).read_model, query.user_id, request[CALLER].project_id)
    page, listed = await shown(entries_page(seen, lambda one: (one.name.casefold(), one.id), query), ProjectOut.of)
    return json_response(ProjectsOut(projects=listed, next_cursor=page.next))


@operation("POST", "/projects", {200: CreatedProjectOut, 201: CreatedProjectOut}, scope="local", problems=(409,))
async def create_project(request: web.Request, body: ProjectIn) -> web.StreamResponse:
    """Create a project owned by a user; 200 and the existing project when the user already owns it."""
    project, created = await dependencies(request).projects.create(
        name=body.name, user_id=body.user_id, project_id=body.project_id
    )
    return json_response(CreatedProjectOut(project=ProjectOut.of(project)), status=201 if created else 200)


async def _seen(read_model: ReadModel, user_id: str | None, own: str | None) -> Sequence[Project]:
    """Return the projects that a caller sees, of one user where one is named; `own` is that of the API key."""
    if own is None:
        return await (read_model.projects.list() if user_id is None else read_model.projects.of_user(user_id))
    if user_id is not None and await read_model.members.get(own, user_id) is None:
        return ()
    project = await read_model.projects.get(own)
    return () if project is None else (project,)
