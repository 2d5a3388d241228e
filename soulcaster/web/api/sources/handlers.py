"""The sources of a project: their state, the reports of their pollers, and polling them at once.

A poller is a client like any other, with an API key that may ingest, read and poll: it reads its cursor every few
seconds, polls when `kicked_at` is newer than its last round, and reports its cursor and status.
"""

import re

from aiohttp import web

from soulcaster.errors import NotFound
from soulcaster.services.sources import read_sources
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_list, json_response
from soulcaster.web.api.sources.models import PollOut, SourceOut, SourceReportIn
from soulcaster.web.dependencies import dependencies
from soulcaster.web.listing import ProjectEntriesQuery, entries_page
from soulcaster.web.parameters import ProjectQuery
from soulcaster.wire.control import SourceReported

_SOURCE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)


@operation("GET", "/sources", {200: (SourceOut,)}, scope="read")
async def list_sources(request: web.Request, query: ProjectEntriesQuery) -> web.StreamResponse:
    """List by name every source that can be configured or that feedback has come from."""
    found = await read_sources(dependencies(request).read_model, query.project_id)
    page = entries_page(found.list(), lambda one: (one.state.source, one.state.source), query)
    return await json_list(page, lambda one: SourceOut.of(query.project_id, one))


@operation("GET", "/sources/{source}/cursor", {200: SourceOut}, scope="read")
async def get_source(request: web.Request, query: ProjectQuery, source: str) -> web.StreamResponse:
    """Get a source's state and the cursor of its poller; what is not known is null."""
    name = _name(source)
    found = await read_sources(dependencies(request).read_model, query.project_id)
    return json_response(SourceOut.of(query.project_id, found.get(name)))


@operation("PUT", "/sources/{source}/cursor", {202: SourceOut}, scope="poll", problems=(409,))
async def set_source_cursor(
    request: web.Request, query: ProjectQuery, body: SourceReportIn, source: str
) -> web.StreamResponse:
    """Report a poller's cursor and status: 202 once Kafka has it. It replaces the previous report as a whole."""
    given, name = dependencies(request), _name(source)
    await given.source_limit.check(query.project_id, [name])
    report = SourceReported(project_id=query.project_id, source=name, reported_at=given.clock(), **body.model_dump())
    return json_response(SourceOut.of(query.project_id, await given.pollers.report(report)), status=202)


@operation("POST", "/reddit/poll", {202: PollOut, 200: PollOut}, scope="write")
async def poll_reddit(request: web.Request, query: ProjectQuery) -> web.StreamResponse:
    """Ask Reddit's poller to poll at once: 202 once Kafka has the request, 200 when there is nothing to poll."""
    return await _poll_reddit(request, query.project_id)


@operation("POST", "/admin/trigger-poll", {202: PollOut, 200: PollOut}, scope="write")
async def trigger_poll(request: web.Request, query: ProjectQuery) -> web.StreamResponse:
    """Do the same as poll_reddit; the predecessor's clients use this address."""
    return await _poll_reddit(request, query.project_id)


async def _poll_reddit(request: web.Request, project_id: str) -> web.Response:
    poll = await dependencies(request).pollers.poll_reddit(project_id)
    if not poll.subreddits:
        return json_response(PollOut(status="skipped", message=poll.reason, project_id=project_id))
    detail = f"Poll of {poll.subreddits} {'subreddit' if poll.subreddits == 1 else 'subreddits'} asked for"
    return json_response(PollOut(status="ok", message=detail, project_id=project_id), status=202)


def _name(source: str) -> str:
    """Return a source's name as items have it.

    Raises:
        NotFound: no source can have this name.
    """
    name = source.lower()
    if _SOURCE.fullmatch(name) is None:
        raise NotFound("There is no such source")
    return name
