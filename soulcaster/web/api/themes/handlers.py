"""Reading themes."""

from aiohttp import web

from soulcaster.services.lookup import known_theme
from soulcaster.web.api.clusters.models import ClusterOut
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_list, json_response, shown
from soulcaster.web.api.themes.models import ThemeDetailOut, ThemeOut, place
from soulcaster.web.dependencies import dependencies
from soulcaster.web.listing import ProjectEntriesQuery, entries_page
from soulcaster.web.parameters import PageQuery


@operation("GET", "/themes", {200: (ThemeOut,)}, scope="read")
async def list_themes(request: web.Request, query: ProjectEntriesQuery) -> web.StreamResponse:
    """List themes, the largest first; X-Total-Count has their number."""
    themes = await dependencies(request).read_model.clustering.themes(query.project_id)
    page = entries_page(sorted(themes, key=place, reverse=True), place, query, newest_first=True)
    return await json_list(page, lambda theme: ThemeOut.of(query.project_id, theme))


@operation("GET", "/themes/{theme_id}", {200: ThemeDetailOut}, scope="read")
async def get_theme(request: web.Request, query: PageQuery, theme_id: str) -> web.StreamResponse:
    """Get a theme with one page of its clusters; 404 when the project has no such theme."""
    read_model = dependencies(request).read_model
    theme = ThemeOut.of(query.project_id, await known_theme(read_model.clustering, query.project_id, theme_id))
    page = await read_model.clusters.list(
        query.project_id, theme_id=theme_id, limit=query.limit, offset=query.offset, after=query.cursor
    )
    page, clusters = await shown(page, ClusterOut.of, beside=theme)
    detail = ThemeDetailOut(
        **theme.model_dump(),
        clusters=clusters,
        total=page.total,
        limit=query.limit,
        offset=query.offset,
        next_cursor=page.next,
    )
    return json_response(detail)
