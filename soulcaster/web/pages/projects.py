"""The list of projects, and where /app leads."""

from collections.abc import Sequence

from aiohttp import web

from soulcaster.domain.members import LOCAL_OWNER
from soulcaster.ports.projects import Project
from soulcaster.web.dependencies import dependencies
from soulcaster.web.pages.paging import Paging, page_number
from soulcaster.web.pages.session import last_project, render, signed_in_user

PROJECTS_PER_PAGE = 100


async def start(request: web.Request) -> web.StreamResponse:
    """GET /app: go to the project that was looked at last, else to the only one, else to the list."""
    found = [project.id for project in await projects_of_person(request)]
    last = await last_project(request)
    if last in found:
        raise web.HTTPSeeOther(f"/app/projects/{last}")
    raise web.HTTPSeeOther(f"/app/projects/{found[0]}" if len(found) == 1 else "/app/projects")


async def list_projects(request: web.Request) -> web.StreamResponse:
    """GET /app/projects: every project of the person who is signed in, with its counts."""
    projects = await projects_of_person(request)
    paging = Paging(page_number(request), PROJECTS_PER_PAGE, len(projects))
    projects = projects[paging.first - 1 : paging.last]
    stats = await dependencies(request).read_model.projects.stats_of([project.id for project in projects])
    rows = list(zip(projects, stats, strict=True))
    local = await signed_in_user(request) == LOCAL_OWNER
    context = {"rows": rows, "paging": paging, "host": request.host, "project_id": "my-project", "local": local}
    return await render(request, "projects.html", context)


async def projects_of_person(request: web.Request) -> Sequence[Project]:
    """Return the projects that the person who is signed in may see."""
    projects, user = dependencies(request).read_model.projects, await signed_in_user(request)
    if user is None:
        return ()
    return await (projects.list() if user == LOCAL_OWNER else projects.of_user(user))
