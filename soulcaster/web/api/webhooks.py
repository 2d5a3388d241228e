"""What vendors post by themselves: it goes to feedback.raw as it is, and is answered once Kafka has it.

Vendors wait for seconds and give up senders that refuse too often, so what is no feedback is a success as well; and
what cannot be read now is kept, for a parser that can.
"""

from aiohttp import web

from soulcaster.domain.sources import SOURCES
from soulcaster.domain.text.normalize import well_formed
from soulcaster.services.posting import make_delivery
from soulcaster.web.api.answers import answer
from soulcaster.web.api.models import DeliveryOut
from soulcaster.web.api.operation import operation
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import Scope
from soulcaster.web.problems import Problem
from soulcaster.web.signatures import read_sent


@operation("POST", "/ingest/sentry", {202: DeliveryOut, 200: DeliveryOut}, scope="ingest", signed="sentry")
async def sentry(request: web.Request, query: Scope) -> web.StreamResponse:
    """Take a webhook of Sentry's, signed, or with a key: issues, events, alerts; also what plug-in and SDKs send."""
    return await _take(request, query.project_id, "sentry")


@operation("POST", "/ingest/github", {202: DeliveryOut, 200: DeliveryOut}, scope="ingest", signed="github")
async def github(request: web.Request, query: Scope) -> web.StreamResponse:
    """Take a webhook of GitHub's, signed, or with a key: issues, and comments on them; 200 for what is neither."""
    return await _take(request, query.project_id, "github")


async def _take(request: web.Request, project_id: str, source: str) -> web.StreamResponse:
    """Publish what a vendor sent.

    Raises:
        Problem: 415 when it is not declared as JSON, 413 when it is too large, 400 when it is not JSON.
        Unavailable: Kafka or Redis does not answer.
    """
    given = dependencies(request)
    if not (await given.read_model.project_config.get(project_id)).config.sources.enabled(source):
        off = DeliveryOut(status="skipped", project_id=project_id, reason=f"{source} is off in this project")
        return answer(off)
    _json_only(request)
    sent = await read_sent(request)
    headers = {name: well_formed(request.headers[name]) for name in SOURCES[source].headers if name in request.headers}
    try:
        ready = make_delivery(project_id, source, headers, sent)
    except ValueError as error:
        raise Problem(400, f"The body cannot be read: {error}.") from error
    if ready.ignored is not None:
        return answer(DeliveryOut(status="ignored", project_id=project_id, reason=ready.ignored))
    await given.publisher.publish([ready.message])
    return answer(DeliveryOut.taken(project_id, ready.item_ids, ready.refusal), status=202)


def _json_only(request: web.Request) -> None:
    if request.content_type == "application/x-www-form-urlencoded":
        raise Problem(415, "Send JSON: choose application/json as the Content type in the webhook's settings.")
    if request.content_type != "application/json":
        raise Problem(415, "Send JSON, with the header Content-Type: application/json.")
