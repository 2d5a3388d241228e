"""How sources stand: what their pollers say, and kicks.

A poller is a client like any other, with a key that may ingest and read: it asks for its cursor every few seconds,
polls when `kicked_at` is newer than its last round, and says how far it is and how it fares.
"""

import re

from aiohttp import web

from soulcaster.domain.source_state import SourceReport
from soulcaster.errors import NotFound
from soulcaster.ports.messaging import Outgoing
from soulcaster.services.sources import sources_of
from soulcaster.web.api.answers import answer, answer_list
from soulcaster.web.api.config_models import KickOut, SourceOut, SourceReportIn
from soulcaster.web.api.operation import operation
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import Scope
from soulcaster.wire.control import SourceKicked, SourceReported
from soulcaster.wire.topics import CONTROL

_SOURCE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)


@operation("GET", "/sources", {200: (SourceOut,)}, scope="read")
async def search(request: web.Request, query: Scope) -> web.StreamResponse:
    """List every source that can be set or that something came from, by name."""
    found = await sources_of(dependencies(request).read_model, query.project_id)
    shown = [SourceOut.of(query.project_id, one) for one in found.all()]
    return answer_list(shown, total=len(shown))


@operation("GET", "/sources/{source}/cursor", {200: SourceOut}, scope="read")
async def cursor(request: web.Request, query: Scope, source: str) -> web.StreamResponse:
    """Show how one source stands, and where its poller goes on; what nothing is known of has nulls."""
    return answer(await _shown(request, query.project_id, _name(source)))


@operation("PUT", "/sources/{source}/cursor", {202: SourceOut}, scope="ingest")
async def report(request: web.Request, query: Scope, body: SourceReportIn, source: str) -> web.StreamResponse:
    """Say where a poller goes on and how it fares: 202 once Kafka has it. It is all there is of it from then on."""
    given, name = dependencies(request), _name(source)
    message = SourceReported(project_id=query.project_id, source=name, reported_at=given.clock(), **body.model_dump())
    await _publish(request, f"source:{query.project_id}:{name}", message)
    return answer(await _shown(request, query.project_id, name, message.report()), status=202)


@operation("POST", "/reddit/poll", {202: KickOut, 200: KickOut}, scope="write")
async def poll(request: web.Request, query: Scope) -> web.StreamResponse:
    """Have Reddit polled at once: 202 once Kafka has it, and nothing is polled here; 200 where there is nothing to."""
    return await _kick(request, query.project_id)


@operation("POST", "/admin/trigger-poll", {202: KickOut, 200: KickOut}, scope="write")
async def trigger_poll(request: web.Request, query: Scope) -> web.StreamResponse:
    """The same, at the address that the predecessor's clients know."""
    return await _kick(request, query.project_id)


async def _kick(request: web.Request, project_id: str) -> web.Response:
    given = dependencies(request)
    reddit = (await given.read_model.project_config.get(project_id)).config.sources.reddit
    if not reddit.enabled:
        return answer(KickOut(status="skipped", message="Reddit is off in this project", project_id=project_id))
    count = len(given.reddit.of(reddit).subreddits)
    if not count:
        return answer(KickOut(status="skipped", message="No subreddits configured", project_id=project_id))
    message = SourceKicked(project_id=project_id, source="reddit", kicked_at=given.clock())
    await _publish(request, f"kick:{project_id}:reddit", message)
    said = f"Poll of {count} {'subreddit' if count == 1 else 'subreddits'} asked for"
    return answer(KickOut(status="ok", message=said, project_id=project_id), status=202)


async def _publish(request: web.Request, key: str, message: SourceReported | SourceKicked) -> None:
    await dependencies(request).publisher.publish([Outgoing(CONTROL.name, key.encode(), message.to_bytes())])


async def _shown(request: web.Request, project_id: str, source: str, reported: SourceReport | None = None) -> SourceOut:
    """Return a source as it stands, or as it will with a report that was just made."""
    found = await sources_of(dependencies(request).read_model, project_id)
    return SourceOut.of(project_id, found.of(source, reported))


def _name(source: str) -> str:
    """Return a source's name as items have it.

    Raises:
        NotFound: no source can be called so.
    """
    name = source.lower()
    if _SOURCE.fullmatch(name) is None:
        raise NotFound("There is no such source")
    return name
