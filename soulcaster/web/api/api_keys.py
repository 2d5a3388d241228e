"""API keys of a project; soulcaster/domain/keys.py says what they are."""

from aiohttp import web

from soulcaster.services.api_keys import make_key, revoke_key
from soulcaster.web.api.answers import answer, answer_list
from soulcaster.web.api.models import KeyIn, KeyOut, NewKeyOut
from soulcaster.web.api.operation import operation
from soulcaster.web.caller import CALLER
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import Scope
from soulcaster.web.problems import field_problem


@operation("GET", "/keys", {200: (KeyOut,)}, scope="admin")
async def search(request: web.Request, query: Scope) -> web.StreamResponse:
    """List the project's keys, newest first, those that were revoked too; their secrets are not known."""
    views = await dependencies(request).read_model.api_keys.list(query.project_id)
    return answer_list([KeyOut.of(view.key, view.last_used_at) for view in views], total=len(views))


@operation("POST", "/keys", {201: NewKeyOut}, scope="admin")
async def make(request: web.Request, query: Scope, body: KeyIn) -> web.StreamResponse:
    """Make a key: its secret is in the answer and nowhere else; it is good a moment later."""
    given = dependencies(request)
    now = given.clock()
    if body.expires_at is not None and body.expires_at <= now:
        raise field_problem("expires_at", "lies in the past")
    secret, key = await make_key(
        given.publisher,
        query.project_id,
        name=body.name,
        scopes=body.scopes,
        by=request[CALLER].name,
        at=now,
        expires_at=body.expires_at,
    )
    return answer(NewKeyOut.with_secret(key, secret), status=201)


@operation("DELETE", "/keys/{key_id}", {202: KeyOut}, scope="admin")
async def revoke(request: web.Request, query: Scope, key_id: str) -> web.StreamResponse:
    """Revoke a key: 202 once Kafka has it; it is good no more a moment later."""
    given = dependencies(request)
    key = await revoke_key(given.publisher, given.read_model, query.project_id, key_id, given.clock())
    return answer(KeyOut.of(key), status=202)
