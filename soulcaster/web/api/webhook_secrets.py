"""Secrets that webhooks are signed with; soulcaster/webhooks.py keeps them."""

from aiohttp import web

from soulcaster.services.webhook_secrets import TooManySecrets
from soulcaster.web.api.answers import answer, answer_list
from soulcaster.web.api.config_models import NewWebhookSecretOut, WebhookSecretIn, WebhookSecretOut
from soulcaster.web.api.operation import operation
from soulcaster.web.caller import CALLER
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import Scope
from soulcaster.web.problems import Problem


@operation("GET", "/webhook-secrets", {200: (WebhookSecretOut,)}, scope="admin")
async def search(request: web.Request, query: Scope) -> web.StreamResponse:
    """List the webhook secrets that stand, newest first; the secrets themselves are not shown."""
    found = await dependencies(request).read_model.webhook_secrets.list(query.project_id)
    return answer_list([WebhookSecretOut.of(secret) for secret in found], total=len(found))


@operation("POST", "/webhook-secrets", {201: NewWebhookSecretOut}, scope="admin", problems=(409,))
async def make(request: web.Request, query: Scope, body: WebhookSecretIn) -> web.StreamResponse:
    """Add a secret to a source: it is good a moment later, and so is the one before it; 409 where there are two.

    One that is made here is in the answer and is not shown again; one that is given is not shown at all.
    """
    given = dependencies(request)
    vendors = None if body.secret is None else body.secret.get_secret_value()
    try:
        made, plain = await given.webhooks.make(
            query.project_id, body.source, vendors, by=request[CALLER].name, at=given.clock()
        )
    except TooManySecrets as error:
        raise Problem(409, str(error)) from error
    return answer(NewWebhookSecretOut.made(made, plain if vendors is None else None), status=201)


@operation("DELETE", "/webhook-secrets/{secret_id}", {202: WebhookSecretOut}, scope="admin")
async def remove(request: web.Request, query: Scope, secret_id: str) -> web.StreamResponse:
    """Remove a secret: 202 once Kafka has it; what is signed with it is refused a few seconds later."""
    given = dependencies(request)
    removed = await given.webhooks.remove(query.project_id, secret_id, given.clock())
    return answer(WebhookSecretOut.of(removed), status=202)
