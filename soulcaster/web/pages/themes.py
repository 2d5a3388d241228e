"""The page of a project's themes, each with its largest clusters."""

import asyncio

from aiohttp import web

from soulcaster.web.dependencies import dependencies
from soulcaster.web.pages.access import ACCESS
from soulcaster.web.pages.paging import Paging, page_number
from soulcaster.web.pages.session import remember_project, render

THEMES_PER_PAGE = 10
CLUSTERS_SHOWN = 3
"""Of each theme, the largest."""


async def list_themes(request: web.Request) -> web.StreamResponse:
    """GET /app/projects/{project_id}/themes: its themes, the largest first."""
    project = request[ACCESS].project
    given = dependencies(request)
    themes = await given.read_model.clustering.themes(project.id)
    paging = Paging(page_number(request), THEMES_PER_PAGE, len(themes))
    if paging.page > paging.pages:
        raise web.HTTPSeeOther(f"{request.path}?page={paging.pages}")
    some = themes[paging.first - 1 : paging.last]
    pages = await asyncio.gather(
        *(
            given.read_model.clusters.list(project.id, theme_id=theme.id, limit=CLUSTERS_SHOWN, offset=0)
            for theme in some
        )
    )
    await remember_project(request, project.id)
    return await render(
        request,
        "themes.html",
        {
            "project": project,
            "themes": [(theme, page.items) for theme, page in zip(some, pages, strict=True)],
            "largest": max((theme.items for theme in themes), default=1) or 1,
            "paging": paging,
        },
    )
