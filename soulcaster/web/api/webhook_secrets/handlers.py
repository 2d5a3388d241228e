"""The secrets that sign webhooks; soulcaster/services/webhook_secrets.py keeps them."""

from aiohttp import web

from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_list, json_response
from soulcaster.web.api.webhook_secrets.models import NewWebhookSecretOut, WebhookSecretIn, WebhookSecretOut
from soulcaster.web.caller import CALLER
from soulcaster.web.dependencies import dependencies
from soulcaster.web.listing import ProjectEntriesQuery, entries_page, time_place
from soulcaster.web.parameters import ProjectQuery


@operation("GET", "/webhook-secrets", {200: (WebhookSecretOut,)}, scope="admin")
async def list_webhook_secrets(request: web.Request, query: ProjectEntriesQuery) -> web.StreamResponse:
    """List the active webhook secrets, newest first, without the secrets themselves."""
    found = await dependencies(request).read_model.webhook_secrets.list(query.project_id)
    page = entries_page(found, lambda secret: time_place(secret.created_at, secret.id), query, newest_first=True)
    return await json_list(page, WebhookSecretOut.of)


@operation("POST", "/webhook-secrets", {201: NewWebhookSecretOut}, scope="admin", problems=(409,))
async def create_webhook_secret(request: web.Request, query: ProjectQuery, body: WebhookSecretIn) -> web.StreamResponse:
    """Add a secret to a source: it is valid a moment later, beside the previous one; 409 when there are two already.

    A secret that the server generates is in this response and is never shown again; one that you send is not shown.
    """
    given = dependencies(request)
    vendors = None if body.secret is None else body.secret.get_secret_value()
    new = await given.webhook_secrets.create(query.project_id, body.source, vendors, by=request[CALLER].name)
    return json_response(NewWebhookSecretOut.created(new.secret, new.plain if vendors is None else None), status=201)


@operation("DELETE", "/webhook-secrets/{secret_id}", {202: WebhookSecretOut}, scope="admin")
async def remove_webhook_secret(request: web.Request, query: ProjectQuery, secret_id: str) -> web.StreamResponse:
    """Remove a secret: 202 once Kafka has it; webhooks signed with it are refused a few seconds later."""
    removed = await dependencies(request).webhook_secrets.remove(query.project_id, secret_id)
    return json_response(WebhookSecretOut.of(removed), status=202)
