"""The API keys of a project; soulcaster/domain/api_keys.py says what they are."""

from aiohttp import web

from soulcaster.web.api.api_keys.models import ApiKeyIn, ApiKeyOut, NewApiKeyOut
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_list, json_response
from soulcaster.web.caller import CALLER, count_made
from soulcaster.web.dependencies import dependencies
from soulcaster.web.listing import ProjectEntriesQuery, entries_page, time_place
from soulcaster.web.parameters import ProjectQuery
from soulcaster.web.problems import field_problem


@operation("GET", "/keys", {200: (ApiKeyOut,)}, scope="admin")
async def list_api_keys(request: web.Request, query: ProjectEntriesQuery) -> web.StreamResponse:
    """List the project's API keys, newest first, with the revoked ones; their secrets are not known."""
    views = await dependencies(request).read_model.api_keys.list(query.project_id)
    page = entries_page(views, lambda view: time_place(view.key.created_at, view.key.id), query, newest_first=True)
    return await json_list(page, lambda view: ApiKeyOut.of(view.key, view.last_used_at))


@operation("POST", "/keys", {201: NewApiKeyOut}, scope="admin", problems=(409,))
async def create_api_key(request: web.Request, query: ProjectQuery, body: ApiKeyIn) -> web.StreamResponse:
    """Create an API key, which is valid a moment later; only this response holds its secret.

    409 when the project has as many as it may have, 429 when it made many within an hour.
    """
    given = dependencies(request)
    await count_made(given, "keys", query.project_id)
    if body.expires_at is not None and body.expires_at <= given.clock():
        raise field_problem("expires_at", "lies in the past")
    new = await given.api_keys.create(
        query.project_id, name=body.name, scopes=body.scopes, by=request[CALLER].name, expires_at=body.expires_at
    )
    return json_response(NewApiKeyOut.with_secret(new.key, new.secret), status=201)


@operation("DELETE", "/keys/{key_id}", {202: ApiKeyOut}, scope="admin")
async def revoke_api_key(request: web.Request, query: ProjectQuery, key_id: str) -> web.StreamResponse:
    """Revoke an API key: 202 once Kafka has it; the key is invalid a moment later."""
    key = await dependencies(request).api_keys.revoke(query.project_id, key_id)
    return json_response(ApiKeyOut.of(key), status=202)
