"""Operations that send a command: each responds 202 once Kafka has it.

With `?wait=SECONDS` the response waits for the outcome: 200 when the command was applied, 409 when it was refused, and
202 when neither is known by then.
"""

from functools import partial
from uuid import uuid4

from aiohttp import web

from soulcaster.domain.commands import Command
from soulcaster.domain.ids import command_id_for
from soulcaster.services.lookup import known_cluster
from soulcaster.web.api.commands.models import CommandSentOut
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_response
from soulcaster.web.bodies import Body
from soulcaster.web.caller import CALLER, count_made
from soulcaster.web.dependencies import dependencies
from soulcaster.web.headers import idempotency_key
from soulcaster.web.parameters import WaitQuery
from soulcaster.web.problems import Problem, begin_wait

command_operation = partial(
    operation,
    responses={202: CommandSentOut, 200: CommandSentOut},
    scope="write",
    problems=(409,),
    idempotent=True,
)
"""`operation` for a handler that sends a command."""


async def send_cluster_command(
    request: web.Request, query: WaitQuery, cluster_id: str, kind: type[Command], message: str, body: Body | None = None
) -> web.StreamResponse:
    """Send a command on the cluster of the path; the id of a merged cluster resolves to its present one.

    Raises:
        NotFound: the project has no such cluster.
    """
    cluster = await known_cluster(dependencies(request).read_model.clusters, query.project_id, cluster_id)
    return await send_command(request, query, kind, message, body, cluster_id=cluster.id)


async def send_command(
    request: web.Request,
    query: WaitQuery,
    kind: type[Command],
    message: str,
    body: Body | None = None,
    *,
    cluster_id: str | None = None,
) -> web.StreamResponse:
    """Send a command and return the response to it; the fields of the body are the fields of the command.

    Raises:
        Problem: 429 when the project was sent many within an hour.
    """
    fields = {} if body is None else dict(body)
    if cluster_id is not None:
        fields["cluster_id"] = cluster_id
    command_id = own_command_id(request, query.project_id)
    given = dependencies(request)
    await count_made(given, "commands", query.project_id)
    command = kind(id=command_id, requested_by=request[CALLER].name, requested_at=given.clock(), **fields)
    await given.commands.send(query.project_id, command)
    return await command_response(request, query, command_id, message, cluster_id=cluster_id)


def own_command_id(request: web.Request, project_id: str) -> str:
    """Return the id of the command that a request sends: the same id for the same Idempotency-Key."""
    key = idempotency_key(request)
    return str(uuid4()) if key is None else command_id_for(project_id, key)


async def command_response(
    request: web.Request, query: WaitQuery, command_id: str, message: str, *, cluster_id: str | None
) -> web.StreamResponse:
    """Return the response to a command that Kafka has, after its outcome when the caller waits for it.

    Raises:
        Problem: 409 when the command was refused.
    """
    view = None
    if query.wait:
        begin_wait(request, query.wait)
        view = await dependencies(request).commands.outcome(query.project_id, command_id, seconds=query.wait)
    if view is not None and view.outcome == "refused":
        raise Problem(409, view.reason or "This was refused.")
    sent = CommandSentOut(
        message=message,
        command_id=command_id,
        cluster_id=cluster_id,
        project_id=query.project_id,
        outcome=None if view is None else view.outcome,
        reason=None if view is None else view.reason,
    )
    return json_response(sent, status=200 if view is not None and view.outcome == "applied" else 202)
