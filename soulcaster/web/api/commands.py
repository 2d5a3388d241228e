"""What a person asks of clusters: each a command on Kafka, answered 202 once Kafka has it.

With `?wait=SECONDS` the answer waits until the command was applied (200) or refused (409); 202 when it takes longer.
"""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import uuid4

from aiohttp import web
from pydantic import Field

from soulcaster.domain.commands import CommandKind
from soulcaster.domain.ids import command_id_for
from soulcaster.errors import NotFound
from soulcaster.services.lookup import known_cluster
from soulcaster.web.api.answers import answer
from soulcaster.web.api.models import (
    AskedOut,
    CleanupIn,
    ClusteringOut,
    CommandOut,
    ConfigureIn,
    MergeIn,
    MoveIn,
    PinIn,
    RenameIn,
    SplitIn,
    UndoIn,
)
from soulcaster.web.api.operation import Answer, operation
from soulcaster.web.caller import CALLER
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import Scope, idempotency_key
from soulcaster.web.problems import Problem, allow_more

_ASKED: Mapping[int, Answer] = {202: AskedOut, 200: AskedOut}
"""200 where the caller waited and it was applied."""


class CommandQuery(Scope):
    """Query of every command: how many seconds to wait for what becomes of it."""

    wait: Annotated[float, Field(ge=0, le=30)] = 0


@operation("POST", "/clusters/{cluster_id}/merge", _ASKED, scope="write", problems=(409,), keyed=True)
async def merge(request: web.Request, query: CommandQuery, body: MergeIn, cluster_id: str) -> web.StreamResponse:
    """Other clusters become part of this one."""
    return await _of_cluster(request, query, cluster_id, "merge", "Merge asked for", cluster_ids=body.cluster_ids)


@operation("POST", "/clusters/{cluster_id}/split", _ASKED, scope="write", problems=(409,), keyed=True)
async def split(request: web.Request, query: CommandQuery, body: SplitIn, cluster_id: str) -> web.StreamResponse:
    """Some of its items become a cluster of their own."""
    return await _of_cluster(
        request, query, cluster_id, "split", "Split asked for", item_ids=body.item_ids, title=body.title
    )


@operation("POST", "/clusters/{cluster_id}/move", _ASKED, scope="write", problems=(409,), keyed=True)
async def move(request: web.Request, query: CommandQuery, body: MoveIn, cluster_id: str) -> web.StreamResponse:
    """Items, wherever they are, belong to this cluster."""
    return await _of_cluster(request, query, cluster_id, "move", "Move asked for", item_ids=body.item_ids)


@operation("POST", "/clusters/{cluster_id}/rename", _ASKED, scope="write", problems=(409,), keyed=True)
async def rename(request: web.Request, query: CommandQuery, body: RenameIn, cluster_id: str) -> web.StreamResponse:
    """Its title, for good; null gives it back to the machine."""
    return await _of_cluster(request, query, cluster_id, "rename", "New title asked for", title=body.title)


@operation("POST", "/clusters/{cluster_id}/pin", _ASKED, scope="write", problems=(409,), keyed=True)
async def pin(request: web.Request, query: CommandQuery, body: PinIn, cluster_id: str) -> web.StreamResponse:
    """Consolidation leaves it as it is, or may change it again."""
    message = "Pin asked for" if body.pinned else "Unpin asked for"
    return await _of_cluster(request, query, cluster_id, "pin", message, pinned=body.pinned)


@operation("POST", "/clusters/{cluster_id}/mute", _ASKED, scope="write", problems=(409,), keyed=True)
async def mute(request: web.Request, query: CommandQuery, cluster_id: str) -> web.StreamResponse:
    """Nobody wants to hear of it, whatever comes, until it is reopened."""
    return await _of_cluster(request, query, cluster_id, "mute", "Muting asked for")


@operation("POST", "/clusters/{cluster_id}/resolve", _ASKED, scope="write", problems=(409,), keyed=True)
async def resolve(request: web.Request, query: CommandQuery, cluster_id: str) -> web.StreamResponse:
    """It is done with; newer feedback opens it again."""
    return await _of_cluster(request, query, cluster_id, "resolve", "Resolving asked for")


@operation("POST", "/clusters/{cluster_id}/reopen", _ASKED, scope="write", problems=(409,), keyed=True)
async def reopen(request: web.Request, query: CommandQuery, cluster_id: str) -> web.StreamResponse:
    """It is neither muted nor resolved any more."""
    return await _of_cluster(request, query, cluster_id, "reopen", "Reopening asked for")


@operation("POST", "/clusters/{cluster_id}/undo", _ASKED, scope="write", problems=(409,), keyed=True)
async def undo(request: web.Request, query: CommandQuery, body: UndoIn, cluster_id: str) -> web.StreamResponse:
    """Take back a command."""
    return await _of_cluster(request, query, cluster_id, "undo", "Undo asked for", command_id=body.command_id)


@operation("POST", "/clusters/rebalance", _ASKED, scope="write", problems=(409,), keyed=True)
async def rebalance(request: web.Request, query: CommandQuery) -> web.StreamResponse:
    """Consolidate now."""
    return await _ask(request, query, "rebalance", "Rebalancing asked for")


@operation("POST", "/clusters/cleanup", _ASKED, scope="write", problems=(409,), keyed=True)
async def cleanup(request: web.Request, query: CommandQuery, body: CleanupIn) -> web.StreamResponse:
    """Apply proposals."""
    return await _ask(request, query, "cleanup", "Clean-up asked for", proposal_ids=body.proposal_ids)


@operation("POST", "/clusters/reset", _ASKED, scope="write", problems=(409,), keyed=True)
async def reset(request: web.Request, query: CommandQuery) -> web.StreamResponse:
    """Cluster everything anew."""
    return await _ask(request, query, "reset", "Reset asked for")


@operation("PUT", "/clustering/config", _ASKED, scope="write", problems=(409,), keyed=True)
async def configure(request: web.Request, query: CommandQuery, body: ConfigureIn) -> web.StreamResponse:
    """How the project is clustered."""
    return await _ask(
        request, query, "configure", "Configuration asked for", threshold=body.threshold, granularity=body.granularity
    )


@operation("GET", "/clustering/status", {200: ClusteringOut}, scope="read")
async def status(request: web.Request, query: Scope) -> web.StreamResponse:
    """Show how the project's clustering stands, and what a person may want to do."""
    read_model = dependencies(request).read_model
    stands = await read_model.clustering.status(query.project_id)
    return answer(ClusteringOut.of(query.project_id, stands, await read_model.clustering.proposals(query.project_id)))


@operation("GET", "/commands/{command_id}", {200: CommandOut}, scope="read")
async def one(request: web.Request, query: Scope, command_id: str) -> web.StreamResponse:
    """Show what became of a command; 404 while nothing is known of it."""
    view = await dependencies(request).read_model.commands.get(query.project_id, command_id)
    if view is None:
        raise NotFound("Nothing is known of this command, or not yet")
    return answer(CommandOut.of(query.project_id, view))


async def _of_cluster(
    request: web.Request, query: CommandQuery, cluster_id: str, kind: CommandKind, message: str, **fields: Any
) -> web.StreamResponse:
    """Ask for a command of the cluster in the path, by the id it has now."""
    cluster = await known_cluster(dependencies(request).read_model, query.project_id, cluster_id)
    return await _ask(request, query, kind, message, cluster_id=cluster.id, **fields)


async def _ask(
    request: web.Request, query: CommandQuery, kind: CommandKind, message: str, **fields: Any
) -> web.StreamResponse:
    command_id = own_id(request, query.project_id)
    commands = dependencies(request).commands
    await commands.send(query.project_id, kind, command_id, requested_by=request[CALLER].name, **fields)
    return await answered(request, query, command_id, message, cluster_id=fields.get("cluster_id"))


def own_id(request: web.Request, project_id: str) -> str:
    """Return the id of the command that a request asks for: the same one for the same Idempotency-Key."""
    key = idempotency_key(request)
    return str(uuid4()) if key is None else command_id_for(project_id, key)


async def answered(
    request: web.Request, query: CommandQuery, command_id: str, message: str, *, cluster_id: str | None
) -> web.StreamResponse:
    """Answer who has asked for a command that Kafka has, after what becomes of it where they wait for that.

    Raises:
        Problem: 409 when it was refused.
    """
    given = dependencies(request)
    view = None
    if query.wait:
        allow_more(request, query.wait)
        view = await given.commands.outcome(query.project_id, command_id, seconds=query.wait)
    if view is not None and view.outcome == "refused":
        raise Problem(409, view.reason or "This was refused.")
    asked = AskedOut(
        message=message,
        command_id=command_id,
        cluster_id=cluster_id,
        project_id=query.project_id,
        outcome=None if view is None else view.outcome,
        reason=None if view is None else view.reason,
    )
    return answer(asked, status=200 if view is not None and view.outcome == "applied" else 202)
