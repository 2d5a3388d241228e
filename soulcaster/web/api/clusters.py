"""Reading clusters, and asking for a fix of one; soulcaster/web/api/commands.py has the other commands."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from soulcaster.domain.lifecycle import ClusterStatus
from soulcaster.ports.clusters import ClusterOrder
from soulcaster.services.lookup import known_cluster
from soulcaster.web.api.answers import answer, answer_list
from soulcaster.web.api.models import ClusterDetailOut, ClusterOut, StartFixOut
from soulcaster.web.api.operation import operation
from soulcaster.web.caller import CALLER
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import PageQuery, Scope, Words, words
from soulcaster.wire.fields import Source


class ClustersQuery(PageQuery):
    """Query of GET /clusters; without a limit a client gets all it can, as the predecessor gave all."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 1000
    status: ClusterStatus | None = None
    source: Source | None = None
    sort: ClusterOrder = "largest"
    q: Words | None = None


@operation("GET", "/clusters", {200: (ClusterOut,)}, scope="read")
async def search(request: web.Request, query: ClustersQuery) -> web.StreamResponse:
    """List clusters, largest first or as asked; how many there are is in X-Total-Count, where that is known."""
    page = await dependencies(request).read_model.clusters.list(
        query.project_id,
        status=query.status,
        source=query.source,
        words=words(query.q),
        order=query.sort,
        limit=query.limit,
        offset=query.offset,
        after=query.cursor,
    )
    total = page.total if page.counted else None
    return answer_list([ClusterOut.of(view) for view in page.items], total=total, cursor=page.next)


@operation("GET", "/clusters/{cluster_id}", {200: ClusterDetailOut}, scope="read")
async def one(request: web.Request, query: PageQuery, cluster_id: str) -> web.StreamResponse:
    """Show a cluster and a part of its items; 404 when this project has none of that id."""
    given = dependencies(request)
    view = await known_cluster(given.read_model, query.project_id, cluster_id)
    page = await given.read_model.feedback.list(
        query.project_id, source=None, cluster_id=view.id, limit=query.limit, offset=query.offset, after=query.cursor
    )
    history = await given.read_model.clusters.history(query.project_id, view.id)
    return answer(ClusterDetailOut.with_items(view, page, history, limit=query.limit, offset=query.offset))


@operation("POST", "/clusters/{cluster_id}/start_fix", {202: StartFixOut}, scope="launch", problems=(409,))
async def start_fix(request: web.Request, query: Scope, cluster_id: str) -> web.StreamResponse:
    """Ask for a fix: 202 once Kafka has the command; 404 unknown, 409 while a fix is under way."""
    return await _ask_for_fix(request, query.project_id, cluster_id)


@operation("POST", "/clusters/{cluster_id}/run_agent", {202: StartFixOut}, scope="launch", problems=(409,))
async def run_agent(request: web.Request, query: Scope, cluster_id: str) -> web.StreamResponse:
    """Ask for a fix; another name of start_fix."""
    return await _ask_for_fix(request, query.project_id, cluster_id)


async def _ask_for_fix(request: web.Request, project_id: str, cluster_id: str) -> web.StreamResponse:
    asked = await dependencies(request).commands.start_fix(project_id, cluster_id, requested_by=request[CALLER].name)
    return answer(
        StartFixOut(
            message="Fix asked for",
            job_id=asked.job_id,
            command_id=asked.command_id,
            cluster_id=asked.cluster_id,
            project_id=project_id,
        ),
        status=202,
    )
