"""Reading clusters, and starting a fix of one; soulcaster/web/api/commands has the other commands."""

from aiohttp import web

from soulcaster.services.lookup import known_cluster
from soulcaster.web.api.clusters.models import ClusterDetailOut, ClusterOut, ClustersQuery, StartFixOut
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_list, json_response
from soulcaster.web.caller import CALLER
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import PageQuery, ProjectQuery, words


@operation("GET", "/clusters", {200: (ClusterOut,)}, scope="read")
async def list_clusters(request: web.Request, query: ClustersQuery) -> web.StreamResponse:
    """List clusters, the largest first by default; X-Total-Count has their number where it is known."""
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
    return json_list([ClusterOut.of(view) for view in page.items], total=total, cursor=page.next)


@operation("GET", "/clusters/{cluster_id}", {200: ClusterDetailOut}, scope="read")
async def get_cluster(request: web.Request, query: PageQuery, cluster_id: str) -> web.StreamResponse:
    """Get a cluster with one page of its items; 404 when the project has no such cluster."""
    given = dependencies(request)
    view = await known_cluster(given.read_model.clusters, query.project_id, cluster_id)
    page = await given.read_model.feedback.list(
        query.project_id, source=None, cluster_id=view.id, limit=query.limit, offset=query.offset, after=query.cursor
    )
    history = await given.read_model.clusters.history(query.project_id, view.id)
    return json_response(ClusterDetailOut.with_items(view, page, history, limit=query.limit, offset=query.offset))


@operation("POST", "/clusters/{cluster_id}/start_fix", {202: StartFixOut}, scope="launch", problems=(409,))
async def start_fix(request: web.Request, query: ProjectQuery, cluster_id: str) -> web.StreamResponse:
    """Start a fix: 202 once Kafka has the command, 404 for an unknown cluster, 409 while a fix is under way."""
    return await _start_fix(request, query.project_id, cluster_id)


@operation("POST", "/clusters/{cluster_id}/run_agent", {202: StartFixOut}, scope="launch", problems=(409,))
async def run_agent(request: web.Request, query: ProjectQuery, cluster_id: str) -> web.StreamResponse:
    """Start a fix, as start_fix does; the predecessor's clients use this address."""
    return await _start_fix(request, query.project_id, cluster_id)


async def _start_fix(request: web.Request, project_id: str, cluster_id: str) -> web.StreamResponse:
    commands = dependencies(request).commands
    requested = await commands.start_fix(project_id, cluster_id, requested_by=request[CALLER].name)
    return json_response(
        StartFixOut(
            message="Fix asked for",
            job_id=requested.job_id,
            command_id=requested.command_id,
            cluster_id=requested.cluster_id,
            project_id=project_id,
        ),
        status=202,
    )
