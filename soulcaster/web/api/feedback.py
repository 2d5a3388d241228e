"""Reading items and a project's figures."""

from aiohttp import web

from soulcaster.errors import NotFound
from soulcaster.messages import Source
from soulcaster.web.api.answers import answer
from soulcaster.web.api.models import FeedbackListOut, FeedbackOut, StatsOut
from soulcaster.web.parameters import Id, Scope, Window, path_id, read_query
from soulcaster.web.services import services


class FeedbackQuery(Window):
    """Query of GET /feedback."""

    source: Source | None = None
    cluster_id: Id | None = None


async def list_feedback(request: web.Request) -> web.StreamResponse:
    """GET /feedback: items, newest first, of one source or one cluster where asked."""
    query = read_query(request, FeedbackQuery)
    page = await services(request).read_model.feedback(
        query.project_id, source=query.source, cluster_id=query.cluster_id, limit=query.limit, offset=query.offset
    )
    return answer(
        FeedbackListOut(
            items=[FeedbackOut.of(view) for view in page.items],
            total=page.total,
            limit=query.limit,
            offset=query.offset,
            project_id=query.project_id,
        )
    )


async def one(request: web.Request) -> web.StreamResponse:
    """GET /feedback/{id}: one item; 404 when this project has none of that id."""
    scope = read_query(request, Scope)
    view = await services(request).read_model.feedback_item(scope.project_id, path_id(request, "item_id"))
    if view is None:
        raise NotFound("Feedback item not found")
    return answer(FeedbackOut.of(view))


async def stats(request: web.Request) -> web.StreamResponse:
    """GET /stats: a project's figures; zeros for a project nothing is known of."""
    scope = read_query(request, Scope)
    return answer(StatsOut.of(scope.project_id, await services(request).read_model.stats(scope.project_id)))
