"""The sources of a project: their state, the reports of their pollers, and polling them at once.

A poller is a client like any other, with an API key that may ingest and read: it reads its cursor every few seconds,
polls when `kicked_at` is newer than its last round, and reports its cursor and status.
"""

import re

from aiohttp import web

from soulcaster.domain.source_state import SourceReport
from soulcaster.errors import NotFound
from soulcaster.ports.messaging import Outgoing
from soulcaster.services.sources import sources_of
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_list, json_response
from soulcaster.web.api.sources.models import PollOut, SourceOut, SourceReportIn
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import ProjectQuery
from soulcaster.wire.control import SourceKicked, SourceReported
from soulcaster.wire.topics import CONTROL

_SOURCE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)


@operation("GET", "/sources", {200: (SourceOut,)}, scope="read")
async def list_sources(request: web.Request, query: ProjectQuery) -> web.StreamResponse:
    """List by name every source that can be configured or that feedback has come from."""
    found = await sources_of(dependencies(request).read_model, query.project_id)
    shown = [SourceOut.of(query.project_id, one) for one in found.all()]
    return json_list(shown, total=len(shown))


@operation("GET", "/sources/{source}/cursor", {200: SourceOut}, scope="read")
async def get_source(request: web.Request, query: ProjectQuery, source: str) -> web.StreamResponse:
    """Get a source's state and the cursor of its poller; what is not known is null."""
    return json_response(await _shown(request, query.project_id, _name(source)))


@operation("PUT", "/sources/{source}/cursor", {202: SourceOut}, scope="ingest")
async def set_source_cursor(
    request: web.Request, query: ProjectQuery, body: SourceReportIn, source: str
) -> web.StreamResponse:
    """Report a poller's cursor and status: 202 once Kafka has it. It replaces the previous report as a whole."""
    given, name = dependencies(request), _name(source)
    message = SourceReported(project_id=query.project_id, source=name, reported_at=given.clock(), **body.model_dump())
    await _publish(request, f"source:{query.project_id}:{name}", message)
    return json_response(await _shown(request, query.project_id, name, message.report()), status=202)


@operation("POST", "/reddit/poll", {202: PollOut, 200: PollOut}, scope="write")
async def poll_reddit(request: web.Request, query: ProjectQuery) -> web.StreamResponse:
    """Ask Reddit's poller to poll at once: 202 once Kafka has the request, 200 when there is nothing to poll."""
    return await _poll_reddit(request, query.project_id)


@operation("POST", "/admin/trigger-poll", {202: PollOut, 200: PollOut}, scope="write")
async def trigger_poll(request: web.Request, query: ProjectQuery) -> web.StreamResponse:
    """Do the same as poll_reddit; the predecessor's clients use this address."""
    return await _poll_reddit(request, query.project_id)


async def _poll_reddit(request: web.Request, project_id: str) -> web.Response:
    given = dependencies(request)
    reddit = (await given.read_model.project_config.get(project_id)).config.sources.reddit
    if not reddit.enabled:
        return json_response(PollOut(status="skipped", message="Reddit is off in this project", project_id=project_id))
    count = len(given.reddit.of(reddit).subreddits)
    if not count:
        return json_response(PollOut(status="skipped", message="No subreddits configured", project_id=project_id))
    message = SourceKicked(project_id=project_id, source="reddit", kicked_at=given.clock())
    await _publish(request, f"kick:{project_id}:reddit", message)
    detail = f"Poll of {count} {'subreddit' if count == 1 else 'subreddits'} asked for"
    return json_response(PollOut(status="ok", message=detail, project_id=project_id), status=202)


async def _publish(request: web.Request, key: str, message: SourceReported | SourceKicked) -> None:
    await dependencies(request).publisher.publish([Outgoing(CONTROL.name, key.encode(), message.to_bytes())])


async def _shown(request: web.Request, project_id: str, source: str, reported: SourceReport | None = None) -> SourceOut:
    """Return a source as it is, or as it will be with a report that was just made."""
    found = await sources_of(dependencies(request).read_model, project_id)
    return SourceOut.of(project_id, found.of(source, reported))


def _name(source: str) -> str:
    """Return a source's name as items have it.

    Raises:
        NotFound: no source can have this name.
    """
    name = source.lower()
    if _SOURCE.fullmatch(name) is None:
        raise NotFound("There is no such source")
    return name
