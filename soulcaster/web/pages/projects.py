"""Which projects there are, and where /app leads."""

from aiohttp import web

from soulcaster.web.pages.session import last_project, render
from soulcaster.web.services import services


async def start(request: web.Request) -> web.StreamResponse:
    """GET /app: go to the project looked at last, else to the only one, else to their list."""
    found = [project.id for project in await services(request).read_model.projects()]
    last = await last_project(request)
    if last in found:
        raise web.HTTPSeeOther(f"/app/projects/{last}")
    raise web.HTTPSeeOther(f"/app/projects/{found[0]}" if len(found) == 1 else "/app/projects")


async def list_projects(request: web.Request) -> web.StreamResponse:
    """GET /app/projects: every project and its figures."""
    read_model = services(request).read_model
    # One after the other: at the same time, each would take a connection of its own.
    rows = [(project, await read_model.stats(project.id)) for project in await read_model.projects()]
    return await render(request, "projects.html", {"rows": rows, "host": request.host, "project_id": "my-project"})
