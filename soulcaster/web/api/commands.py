"""What a person asks of clusters: each a command on Kafka, answered 202 once Kafka has it.

With `?wait=SECONDS` the answer waits until the command was applied (200) or refused (409); 202 when it takes longer.
"""

from typing import Annotated, Any
from uuid import uuid4

from aiohttp import web
from pydantic import Field

from soulcaster.domain.commands import CommandKind
from soulcaster.domain.ids import command_id_for
from soulcaster.errors import NotFound
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
from soulcaster.web.commands import ask, done, known_cluster
from soulcaster.web.parameters import Scope, path_id, read_json, read_query
from soulcaster.web.problems import Problem, allow_more
from soulcaster.web.services import services

IDEMPOTENCY_KEY = "Idempotency-Key"

MAX_KEY = 255


class CommandQuery(Scope):
    """Query of every command: how many seconds to wait for what becomes of it."""

    wait: Annotated[float, Field(ge=0, le=30)] = 0


async def merge(request: web.Request) -> web.StreamResponse:
    """POST /clusters/{id}/merge: other clusters become part of this one."""
    given = await read_json(request, MergeIn)
    return await _of_cluster(request, "merge", "Merge asked for", cluster_ids=given.cluster_ids)


async def split(request: web.Request) -> web.StreamResponse:
    """POST /clusters/{id}/split: some of its items become a cluster of their own."""
    given = await read_json(request, SplitIn)
    return await _of_cluster(request, "split", "Split asked for", item_ids=given.item_ids, title=given.title)


async def move(request: web.Request) -> web.StreamResponse:
    """POST /clusters/{id}/move: items, wherever they are, belong to this cluster."""
    given = await read_json(request, MoveIn)
    return await _of_cluster(request, "move", "Move asked for", item_ids=given.item_ids)


async def rename(request: web.Request) -> web.StreamResponse:
    """POST /clusters/{id}/rename: its title, for good; null gives it back to the machine."""
    given = await read_json(request, RenameIn)
    return await _of_cluster(request, "rename", "New title asked for", title=given.title)


async def pin(request: web.Request) -> web.StreamResponse:
    """POST /clusters/{id}/pin: consolidation leaves it as it is, or may change it again."""
    given = await read_json(request, PinIn)
    message = "Pin asked for" if given.pinned else "Unpin asked for"
    return await _of_cluster(request, "pin", message, pinned=given.pinned)


async def undo(request: web.Request) -> web.StreamResponse:
    """POST /clusters/{id}/undo: take back a command."""
    given = await read_json(request, UndoIn)
    return await _of_cluster(request, "undo", "Undo asked for", command_id=given.command_id)


async def rebalance(request: web.Request) -> web.StreamResponse:
    """POST /clusters/rebalance: consolidate now."""
    return await _ask(request, "rebalance", "Rebalancing asked for")


async def cleanup(request: web.Request) -> web.StreamResponse:
    """POST /clusters/cleanup: apply proposals."""
    given = await read_json(request, CleanupIn)
    return await _ask(request, "cleanup", "Clean-up asked for", proposal_ids=given.proposal_ids)


async def reset(request: web.Request) -> web.StreamResponse:
    """POST /clusters/reset: cluster everything anew."""
    return await _ask(request, "reset", "Reset asked for")


async def configure(request: web.Request) -> web.StreamResponse:
    """PUT /clustering/config: how the project is clustered."""
    given = await read_json(request, ConfigureIn)
    return await _ask(
        request, "configure", "Configuration asked for", threshold=given.threshold, granularity=given.granularity
    )


async def status(request: web.Request) -> web.StreamResponse:
    """GET /clustering/status: how the project's clustering stands, and what a person may want to do."""
    project_id = read_query(request, Scope).project_id
    read_model = services(request).read_model
    stands = await read_model.clustering_status(project_id)
    return answer(ClusteringOut.of(project_id, stands, await read_model.proposals(project_id)))


async def one(request: web.Request) -> web.StreamResponse:
    """GET /commands/{id}: what became of a command; 404 while nothing is known of it."""
    project_id = read_query(request, Scope).project_id
    view = await services(request).read_model.command(project_id, path_id(request, "command_id"))
    if view is None:
        raise NotFound("Nothing is known of this command, or not yet")
    return answer(CommandOut.of(project_id, view))


async def _of_cluster(request: web.Request, kind: CommandKind, message: str, **fields: Any) -> web.StreamResponse:
    """Ask for a command of the cluster in the path, by the id it has now."""
    project_id = read_query(request, CommandQuery).project_id
    cluster = await known_cluster(services(request), project_id, path_id(request, "cluster_id"))
    return await _ask(request, kind, message, cluster_id=cluster.id, **fields)


async def _ask(request: web.Request, kind: CommandKind, message: str, **fields: Any) -> web.StreamResponse:
    query = read_query(request, CommandQuery)
    given = services(request)
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is not None and not 1 <= len(key) <= MAX_KEY:
        raise Problem(422, f"{IDEMPOTENCY_KEY} has 1 to {MAX_KEY} characters.")
    command_id = str(uuid4()) if key is None else command_id_for(query.project_id, key)
    await ask(given, query.project_id, kind, command_id, requested_by="api", **fields)
    view = None
    if query.wait:
        allow_more(request, query.wait)
        view = await done(given, query.project_id, command_id, query.wait)
    if view is not None and view.outcome == "refused":
        raise Problem(409, view.reason or "This was refused.")
    asked = AskedOut(
        message=message,
        command_id=command_id,
        cluster_id=fields.get("cluster_id"),
        project_id=query.project_id,
        outcome=None if view is None else view.outcome,
        reason=None if view is None else view.reason,
    )
    return answer(asked, status=200 if view is not None and view.outcome == "applied" else 202)
