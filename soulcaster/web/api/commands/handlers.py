"""Commands on one cluster, and the outcome of any command; `sending` says how they respond."""

from aiohttp import web

from soulcaster.domain.commands import Merge, Move, Mute, Pin, Rename, Reopen, Resolve, Split, Undo
from soulcaster.errors import NotFound
from soulcaster.web.api.commands.models import (
    CommandOut,
    MergeIn,
    MoveIn,
    PinIn,
    RenameIn,
    SplitIn,
    UndoIn,
)
from soulcaster.web.api.commands.sending import command_operation, send_cluster_command
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_response
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import ProjectQuery, WaitQuery


@command_operation("POST", "/clusters/{cluster_id}/merge")
async def merge_clusters(request: web.Request, query: WaitQuery, body: MergeIn, cluster_id: str) -> web.StreamResponse:
    """Merge other clusters into this one."""
    return await send_cluster_command(request, query, cluster_id, Merge, "Merge asked for", body)


@command_operation("POST", "/clusters/{cluster_id}/split")
async def split_cluster(request: web.Request, query: WaitQuery, body: SplitIn, cluster_id: str) -> web.StreamResponse:
    """Split some of its items off into a new cluster."""
    return await send_cluster_command(request, query, cluster_id, Split, "Split asked for", body)


@command_operation("POST", "/clusters/{cluster_id}/move")
async def move_items(request: web.Request, query: WaitQuery, body: MoveIn, cluster_id: str) -> web.StreamResponse:
    """Move items to this cluster from any other clusters."""
    return await send_cluster_command(request, query, cluster_id, Move, "Move asked for", body)


@command_operation("POST", "/clusters/{cluster_id}/rename")
async def rename_cluster(request: web.Request, query: WaitQuery, body: RenameIn, cluster_id: str) -> web.StreamResponse:
    """Set its title permanently; null brings the automatic title back."""
    return await send_cluster_command(request, query, cluster_id, Rename, "New title asked for", body)


@command_operation("POST", "/clusters/{cluster_id}/pin")
async def pin_cluster(request: web.Request, query: WaitQuery, body: PinIn, cluster_id: str) -> web.StreamResponse:
    """Pin it, so that consolidation leaves it as it is; or unpin it."""
    message = "Pin asked for" if body.pinned else "Unpin asked for"
    return await send_cluster_command(request, query, cluster_id, Pin, message, body)


@command_operation("POST", "/clusters/{cluster_id}/mute")
async def mute_cluster(request: web.Request, query: WaitQuery, cluster_id: str) -> web.StreamResponse:
    """Mute it until it is reopened; new feedback does not change that."""
    return await send_cluster_command(request, query, cluster_id, Mute, "Muting asked for")


@command_operation("POST", "/clusters/{cluster_id}/resolve")
async def resolve_cluster(request: web.Request, query: WaitQuery, cluster_id: str) -> web.StreamResponse:
    """Resolve it; newer feedback makes it regressed."""
    return await send_cluster_command(request, query, cluster_id, Resolve, "Resolving asked for")


@command_operation("POST", "/clusters/{cluster_id}/reopen")
async def reopen_cluster(request: web.Request, query: WaitQuery, cluster_id: str) -> web.StreamResponse:
    """Reopen it after it was muted or resolved, or has regressed."""
    return await send_cluster_command(request, query, cluster_id, Reopen, "Reopening asked for")


@command_operation("POST", "/clusters/{cluster_id}/undo")
async def undo_command(request: web.Request, query: WaitQuery, body: UndoIn, cluster_id: str) -> web.StreamResponse:
    """Undo a command."""
    return await send_cluster_command(request, query, cluster_id, Undo, "Undo asked for", body)


@operation("GET", "/commands/{command_id}", {200: CommandOut}, scope="read")
async def get_command(request: web.Request, query: ProjectQuery, command_id: str) -> web.StreamResponse:
    """Get the outcome of a command; 404 while it is not known."""
    view = await dependencies(request).read_model.commands.get(query.project_id, command_id)
    if view is None:
        raise NotFound("Nothing is known of this command, or not yet")
    return json_response(CommandOut.of(query.project_id, view))
