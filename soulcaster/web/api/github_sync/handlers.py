"""Syncing the issues of GitHub repositories within one request; what was read is kept, however the request ends."""

import asyncio
import math
from collections.abc import Callable
from functools import partial

from aiohttp import web

from soulcaster.errors import NotFound, SourceLimited, SourceRefuses, SourceUnavailable
from soulcaster.services.github_selection import SyncResult
from soulcaster.web.api.github_sync.models import RepositorySyncOut, SyncOut
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_response
from soulcaster.web.caller import count_items
from soulcaster.web.dependencies import Dependencies, dependencies
from soulcaster.web.headers import github_token
from soulcaster.web.parameters import ProjectQuery
from soulcaster.web.problems import Problem, begin_wait
from soulcaster.wire.project_config import ProjectConfig

_SYNC = "/ingest/github/sync"

SYNC_SECONDS = 60.0
"""After so long no further page is started; the next request continues from there."""

_LAST_PAGE_SECONDS = 30.0
"""How long the last page may take until Kafka has it."""


@operation(
    "POST",
    f"{_SYNC}/{{owner}}/{{repo}}",
    {200: RepositorySyncOut},
    scope="ingest",
    problems=(409, 502),
    takes_github_token=True,
)
async def sync_repository(request: web.Request, query: ProjectQuery, owner: str, repo: str) -> web.StreamResponse:
    """Read what has changed in a repository's issues: 200 once Kafka has it.

    409 while it is already being synced, or when GitHub is off in the project; 422 when GitHub refuses; 429 when
    GitHub accepts no more requests for now, or the project was sent as many items as it may be; 502 when GitHub does
    not answer. What was read by then is kept.
    """
    given, token = dependencies(request), github_token(request)
    config = await _config(given, query.project_id)
    goes_on, count = _until_time_is_up(request), partial(count_items, request)
    result = await given.github.sync(
        query.project_id, f"{owner}/{repo}", config, token=token, goes_on=goes_on, count=count
    )
    if isinstance(result.stopped_by, SourceRefuses):
        raise Problem(422, f"{result.repository}: {result.stopped_by}")
    _raise_if_github_is_unavailable(given, result)
    return json_response(RepositorySyncOut.of(query.project_id, result, given.clock()))


@operation("POST", _SYNC, {200: SyncOut}, scope="ingest", problems=(409, 502), takes_github_token=True)
async def sync_repositories(request: web.Request, query: ProjectQuery) -> web.StreamResponse:
    """Sync every repository in the project's settings, the least recently read first.

    A repository that GitHub refuses, or that is already being synced, is named in the response and delays no other.
    """
    given, token = dependencies(request), github_token(request)
    config = await _config(given, query.project_id)
    goes_on, count = _until_time_is_up(request), partial(count_items, request)
    read: list[RepositorySyncOut] = []
    async for result in given.github.sync_all(query.project_id, config, token=token, goes_on=goes_on, count=count):
        _raise_if_github_is_unavailable(given, result)
        read.append(RepositorySyncOut.of(query.project_id, result, given.clock()))
    all_read = len(read) == len(config.repositories)
    return json_response(SyncOut.of(query.project_id, read, given.clock(), all_read=all_read))


async def redirect_repository(request: web.Request) -> web.StreamResponse:
    """Redirect a request of the predecessor's dashboard, which sends the repository as one segment, owner%2Fname."""
    owner, slash, repo = request.match_info["repository"].partition("/")
    if not slash or "/" in repo:
        raise NotFound("There is nothing at this address: a repository is owner/name.")
    raise web.HTTPPermanentRedirect(request.rel_url.with_path(f"{_SYNC}/{owner}/{repo}", keep_query=True))


async def _config(given: Dependencies, project_id: str) -> ProjectConfig:
    config = (await given.read_model.project_config.get(project_id)).config
    if not config.sources.github.enabled:
        raise Problem(409, "GitHub is off in this project's settings; turn it on there first.")
    await given.project_limit.check([project_id])
    await given.storage_limit.check(project_id)
    return config


def _until_time_is_up(request: web.Request) -> Callable[[], bool]:
    """Extend the time limit of a request to that of a sync; return a function that says if another page may start."""
    begin_wait(request, SYNC_SECONDS + _LAST_PAGE_SECONDS)
    loop = asyncio.get_running_loop()
    until = loop.time() + SYNC_SECONDS
    return lambda: loop.time() < until


def _raise_if_github_is_unavailable(given: Dependencies, result: SyncResult) -> None:
    error = result.stopped_by
    if not isinstance(error, SourceUnavailable):
        return
    detail = f"{result.repository}: {error} The {result.total:,} issues that were read before it are kept."
    if isinstance(error, SourceLimited):
        seconds = max(1, math.ceil((error.until - given.clock()).total_seconds()))
        raise Problem(429, detail, headers={"Retry-After": str(seconds)})
    raise Problem(502, detail)
