"""Reading clusters, and starting a fix of one; soulcaster/web/api/commands has the other commands."""

from functools import partial

from aiohttp import web

from soulcaster.ports.planner import MAX_SECONDS
from soulcaster.services.fixes import FixRequest, UnknownBackend
from soulcaster.services.lookup import known_cluster
from soulcaster.web.api.clusters.models import (
    BriefOut,
    ClusterDetailOut,
    ClusterOut,
    ClustersQuery,
    NearClusterOut,
    NearClustersOut,
    StartFixOut,
    StartFixQuery,
)
from soulcaster.web.api.feedback.models import FeedbackOut
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_list, json_response, shown
from soulcaster.web.caller import CALLER
from soulcaster.web.dependencies import dependencies
from soulcaster.web.headers import github_token
from soulcaster.web.parameters import PageQuery, ProjectQuery, words
from soulcaster.web.problems import begin_wait, field_problem
from soulcaster.web.turns import elsewhere

_fix_operation = partial(
    operation, responses={202: StartFixOut}, scope="launch", problems=(409, 502), takes_github_token=True
)
"""`operation` for a handler that starts a fix."""


@operation("GET", "/clusters", {200: (ClusterOut,)}, scope="read")
async def list_clusters(request: web.Request, query: ClustersQuery) -> web.StreamResponse:
    """List clusters, the largest first by default; X-Total-Count has their number where it is known."""
    page = await dependencies(request).read_model.clusters.list(
        query.project_id,
        status=query.status,
        source=query.source,
        theme_id=query.theme_id,
        words=words(query.q),
        order=query.sort,
        limit=query.limit,
        offset=query.offset,
        after=query.cursor,
    )
    return await json_list(page, ClusterOut.of)


@operation("GET", "/clusters/{cluster_id}", {200: ClusterDetailOut}, scope="read")
async def get_cluster(request: web.Request, query: PageQuery, cluster_id: str) -> web.StreamResponse:
    """Get a cluster with one page of its items; 404 when the project has no such cluster."""
    given = dependencies(request)
    view = await known_cluster(given.read_model.clusters, query.project_id, cluster_id)
    page = await given.read_model.feedback.list(
        query.project_id, source=None, cluster_id=view.id, limit=query.limit, offset=query.offset, after=query.cursor
    )
    history = await given.read_model.clusters.history(query.project_id, view.id)
    detail = ClusterDetailOut.of_history(view, history, limit=query.limit, offset=query.offset)
    page, items = await shown(page, FeedbackOut.in_list, beside=detail)
    return json_response(detail.with_items(items, total=page.total, next_cursor=page.next))


@_fix_operation("POST", "/clusters/{cluster_id}/start_fix")
async def start_fix(request: web.Request, query: StartFixQuery, cluster_id: str) -> web.StreamResponse:
    """Start a fix: 202 once Kafka has the command.

    404 for an unknown cluster, 409 while a fix is under way, while the cluster is muted, or when somebody must choose
    the repository, 422 when GitHub refuses, 429 at a limit of the project, 502 when GitHub does not answer.
    Whether the job starts is decided a moment later; GET /commands/{command_id} has the outcome.
    """
    return await _start_fix(request, query, cluster_id)


@_fix_operation("POST", "/clusters/{cluster_id}/run_agent")
async def run_agent(request: web.Request, query: StartFixQuery, cluster_id: str) -> web.StreamResponse:
    """Start a fix, as start_fix does; the predecessor's clients use this address."""
    return await _start_fix(request, query, cluster_id)


@operation("GET", "/clusters/{cluster_id}/brief", {200: BriefOut}, scope="read")
async def get_brief(request: web.Request, query: ProjectQuery, cluster_id: str) -> web.StreamResponse:
    """Get exactly what a coding agent would be given about a cluster now, and which repository it would change."""
    preview = await dependencies(request).fixes.preview(query.project_id, cluster_id)
    return json_response(
        BriefOut(
            id=preview.brief.id,
            project_id=query.project_id,
            cluster_id=preview.cluster_id,
            text=preview.brief.text,
            item_ids=list(preview.brief.item_ids),
            repository=preview.repository.repository,
            choices=list(preview.repository.choices),
        )
    )


@operation("GET", "/clusters/{cluster_id}/near", {200: NearClustersOut}, scope="read")
async def get_near_clusters(request: web.Request, query: ProjectQuery, cluster_id: str) -> web.StreamResponse:
    """Get the clusters that are near a cluster, with how near by meaning and by words; 503 when no worker answers."""
    asked, near = await dependencies(request).near.cluster(query.project_id, cluster_id, elsewhere(request))
    found = [NearClusterOut.of(one) for one in near]
    return json_response(NearClustersOut(cluster_id=asked.id, project_id=query.project_id, near=found))


async def _start_fix(request: web.Request, query: StartFixQuery, cluster_id: str) -> web.StreamResponse:
    caller = request[CALLER]
    fix = FixRequest(
        caller.name,
        may_approve=caller.admin,
        backend=query.backend,
        stop_at=query.stop_at,
        plan_id=query.plan_id,
        repository=query.repository,
        github_token=github_token(request),
    )
    begin_wait(request, MAX_SECONDS)  # a fix that stops at the plan may need one first
    try:
        requested = await dependencies(request).fixes.start(query.project_id, cluster_id, fix)
    except UnknownBackend as error:
        raise field_problem("backend", str(error)) from error
    return json_response(StartFixOut.of(query.project_id, requested), status=202)
