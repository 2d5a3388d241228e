"""Webhooks of vendors: their payload goes to feedback.raw unchanged, and the response comes once Kafka has it.

Vendors wait only seconds and disable a webhook that fails too often, so a payload that is not feedback is a success as
well, and one that cannot be read now is kept for a parser that can read it.
"""

from aiohttp import web

from soulcaster.domain.fixes.github_events import GITHUB_EVENTS
from soulcaster.domain.sources import SOURCES
from soulcaster.domain.text.normalize import well_formed
from soulcaster.services.intake import read_json
from soulcaster.services.posting import read_delivery
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_response
from soulcaster.web.api.webhooks.models import DeliveryOut
from soulcaster.web.bodies import check_charset
from soulcaster.web.caller import count_items, may
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import ProjectQuery
from soulcaster.web.problems import Problem
from soulcaster.web.signatures import is_vendors, read_webhook
from soulcaster.web.turns import away_in_turn


@operation(
    "POST",
    "/ingest/sentry",
    {202: DeliveryOut, 200: DeliveryOut},
    scope="ingest",
    problems=(409,),
    signed="sentry",
)
async def receive_sentry_webhook(request: web.Request, query: ProjectQuery) -> web.StreamResponse:
    """Receive a webhook of Sentry, signed or with an API key: issues, events, alerts, and what its SDKs send."""
    return await _receive(request, query.project_id, "sentry")


@operation(
    "POST",
    "/ingest/github",
    {202: DeliveryOut, 200: DeliveryOut},
    scope="ingest",
    problems=(409, 502),
    signed="github",
)
async def receive_github_webhook(request: web.Request, query: ProjectQuery) -> web.StreamResponse:
    """Receive a webhook of GitHub: issues and comments on them, and what becomes of our pull requests; else 200.

    It is signed or has an API key; what it says of pull requests counts only with a signature. One that deletes an item
    is signed, or its key has the scope write, too.
    """
    if (answer := await _take_event(request, query.project_id)) is not None:
        return answer
    return await _receive(request, query.project_id, "github")


async def _take_event(request: web.Request, project_id: str) -> web.StreamResponse | None:
    """Take a webhook about a pull request of ours, which is no feedback; None for any other.

    Whoever may send feedback may not say that something is merged, or that somebody asks for changes.
    """
    given, event = dependencies(request), request.headers.get("X-GitHub-Event", "")
    if not is_vendors(request) or event not in GITHUB_EVENTS:
        return None
    _check_json(request)
    taken = await given.github_events.take(project_id, event, await _payload(request, await read_webhook(request)))
    if taken is None:
        return None
    if taken.ignored is not None:
        return json_response(DeliveryOut(status="ignored", project_id=project_id, reason=taken.ignored))
    return json_response(DeliveryOut.taken(project_id, (), None), status=202)


async def _payload(request: web.Request, body: bytes) -> object:
    """Return the JSON of a webhook.

    Raises:
        Problem: 400 when it is not JSON.
    """
    try:
        return await away_in_turn(request, len(body), lambda: read_json(body))
    except ValueError as error:
        raise Problem(400, f"The body cannot be read: {error}.") from error


async def _receive(request: web.Request, project_id: str, source: str) -> web.StreamResponse:
    """Publish what a vendor sent.

    Raises:
        Problem: 403 when it deletes an item, has no signature, and its API key may not write, 415 when it is not
            declared as JSON, 413 when it is too large, 400 when it is not JSON, 429 when the
            project was sent too many items.
        Conflict: the project does not exist and may not be made.
        Unavailable: Kafka or Redis does not answer.
    """
    given = dependencies(request)
    if not (await given.read_model.project_config.get(project_id)).config.sources.enabled(source):
        reason = f"{source} is off in this project"
        return json_response(DeliveryOut(status="skipped", project_id=project_id, reason=reason))
    _check_json(request)
    body = await read_webhook(request)
    headers = {name: well_formed(request.headers[name]) for name in SOURCES[source].headers if name in request.headers}
    try:
        ready = await away_in_turn(request, len(body), lambda: read_delivery(project_id, source, headers, body))
    except ValueError as error:
        raise Problem(400, f"The body cannot be read: {error}.") from error
    if ready.ignored is not None:
        return json_response(DeliveryOut(status="ignored", project_id=project_id, reason=ready.ignored))
    if ready.deletes and not is_vendors(request) and not await may(request, "write"):
        raise Problem(403, "This deletes an item: sign it, or send an API key with the scope write.")
    await count_items(request, max(1, len(ready.item_ids)))  # one that cannot be read yet is work, too
    await given.project_limit.check([project_id])
    await given.storage_limit.check(project_id)
    await given.feedback.post_delivery(ready)
    return json_response(DeliveryOut.taken(project_id, ready.item_ids, ready.refusal), status=202)


def _check_json(request: web.Request) -> None:
    check_charset(request)
    if request.content_type == "application/x-www-form-urlencoded":
        raise Problem(415, "Send JSON: choose application/json as the Content type in the webhook's settings.")
    if request.content_type != "application/json":
        raise Problem(415, "Send JSON, with the header Content-Type: application/json.")
