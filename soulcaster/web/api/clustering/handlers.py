"""Commands on the clustering of a whole project, and its status; `commands.sending` says how commands respond."""

from aiohttp import web

from soulcaster.domain.commands import Cleanup, Configure, Rebalance, Reset
from soulcaster.web.api.clustering.models import CleanupIn, ClusteringConfigIn, ClusteringOut
from soulcaster.web.api.commands.sending import command_operation, send_command
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_response
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import ProjectQuery, WaitQuery


@command_operation("POST", "/clusters/rebalance")
async def rebalance_clusters(request: web.Request, query: WaitQuery) -> web.StreamResponse:
    """Run a consolidation round now."""
    return await send_command(request, query, Rebalance, "Rebalancing asked for")


@command_operation("POST", "/clusters/cleanup")
async def apply_proposals(request: web.Request, query: WaitQuery, body: CleanupIn) -> web.StreamResponse:
    """Apply proposals."""
    return await send_command(request, query, Cleanup, "Clean-up asked for", body)


@command_operation("POST", "/clusters/reset")
async def reset_clustering(request: web.Request, query: WaitQuery) -> web.StreamResponse:
    """Cluster all items again from scratch."""
    return await send_command(request, query, Reset, "Reset asked for")


@command_operation("PUT", "/clustering/config")
async def configure_clustering(request: web.Request, query: WaitQuery, body: ClusteringConfigIn) -> web.StreamResponse:
    """Set the threshold and the granularity of the project's clustering."""
    return await send_command(request, query, Configure, "Configuration asked for", body)


@operation("GET", "/clustering/status", {200: ClusteringOut}, scope="read")
async def get_clustering_status(request: web.Request, query: ProjectQuery) -> web.StreamResponse:
    """Get the status of the project's clustering, and what it proposes to a person."""
    clustering = dependencies(request).read_model.clustering
    status = await clustering.status(query.project_id)
    return json_response(ClusteringOut.of(query.project_id, status, await clustering.proposals(query.project_id)))
