"""Reading clusters, and asking for a fix of one; soulcaster/web/api/commands.py has the other commands."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from soulcaster.web.api.answers import answer, answer_list
from soulcaster.web.api.models import ClusterDetailOut, ClusterOut, StartFixOut
from soulcaster.web.commands import FixUnderWay, ask_for_fix, known_cluster
from soulcaster.web.parameters import Scope, Window, path_id, read_query
from soulcaster.web.problems import Problem
from soulcaster.web.services import services


class ClustersQuery(Window):
    """Query of GET /clusters; without a limit a client gets all it can, as the predecessor gave all."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 1000


async def list_clusters(request: web.Request) -> web.StreamResponse:
    """GET /clusters: a list, largest first; how many there are is in X-Total-Count."""
    query = read_query(request, ClustersQuery)
    page = await services(request).read_model.clusters(query.project_id, limit=query.limit, offset=query.offset)
    return answer_list([ClusterOut.of(view) for view in page.items], total=page.total)


async def one(request: web.Request) -> web.StreamResponse:
    """GET /clusters/{id}: a cluster and a part of its items; 404 when this project has none of that id."""
    query = read_query(request, Window)
    given = services(request)
    view = await known_cluster(given, query.project_id, path_id(request, "cluster_id"))
    page = await given.read_model.feedback(
        query.project_id, source=None, cluster_id=view.id, limit=query.limit, offset=query.offset
    )
    history = await given.read_model.history(query.project_id, view.id)
    return answer(
        ClusterDetailOut.with_items(view, page.items, history, total=page.total, limit=query.limit, offset=query.offset)
    )


async def start_fix(request: web.Request) -> web.StreamResponse:
    """POST /clusters/{id}/start_fix: 202 once Kafka has the command; 404 unknown, 409 while a fix is under way."""
    scope = read_query(request, Scope)
    cluster_id = path_id(request, "cluster_id")
    try:
        asked = await ask_for_fix(services(request), scope.project_id, cluster_id, requested_by="api")
    except FixUnderWay as error:
        raise Problem(409, str(error)) from error
    return answer(
        StartFixOut(
            message="Fix asked for",
            job_id=asked.job_id,
            command_id=asked.command_id,
            cluster_id=asked.cluster_id,
            project_id=scope.project_id,
        ),
        status=202,
    )
