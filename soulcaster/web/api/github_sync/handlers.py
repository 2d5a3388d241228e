"""Syncing the issues of GitHub repositories within one request; what was read is kept, however the request ends."""

import asyncio
import math
from collections.abc import Callable

from aiohttp import web

from soulcaster.errors import NotFound, SourceLimited, SourceRefuses
from soulcaster.services.github_selection import SyncResult
from soulcaster.services.github_sync import SyncRunning
from soulcaster.web.api.github_sync.models import RepositorySyncOut, SyncOut
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_response
from soulcaster.web.dependencies import Dependencies, dependencies
from soulcaster.web.headers import github_token
from soulcaster.web.parameters import ProjectQuery
from soulcaster.web.problems import Problem, extend_time_limit
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
    GitHub accepts no more requests for now; 502 when it does not answer. What was read by then is kept.
    """
    given, token = dependencies(request), github_token(request)
    config = await _config(given, query.project_id)
    goes_on = _until_time_is_up(request)
    synced = await given.github.sync(query.project_id, f"{owner}/{repo}", config, token=token, goes_on=goes_on)
    if isinstance(synced.stopped_by, SourceRefuses):
        raise Problem(422, f"{synced.repository}: {synced.stopped_by}")
    _raise_if_github_is_unavailable(given, synced)
    return json_response(RepositorySyncOut.of(query.project_id, synced, given.clock()))


@operation("POST", _SYNC, {200: SyncOut}, scope="ingest", problems=(409, 502), takes_github_token=True)
async def sync_repositories(request: web.Request, query: ProjectQuery) -> web.StreamResponse:
    """Sync every repository in the project's settings, the least recently read first.

    A repository that GitHub refuses, or that is already being synced, is named in the response and delays no other.
    """
    given, token = dependencies(request), github_token(request)
    config = await _config(given, query.project_id)
    goes_on = _until_time_is_up(request)
    read_at = {
        one.repository.lower(): one.reported_at.timestamp() for one in await given.github.states(query.project_id)
    }
    names = sorted(config.repositories, key=lambda name: read_at.get(name.lower(), 0.0))
    read: list[RepositorySyncOut] = []
    for name in names:
        if read and not goes_on():
            break
        try:
            synced = await given.github.sync(query.project_id, name, config, token=token, goes_on=goes_on)
        except SyncRunning as error:
            running = RepositorySyncOut.of(query.project_id, SyncResult(name), given.clock())
            read.append(running.model_copy(update={"success": False, "error": str(error)}))
            continue
        _raise_if_github_is_unavailable(given, synced)
        read.append(RepositorySyncOut.of(query.project_id, synced, given.clock()))
    return json_response(SyncOut.of(query.project_id, read, given.clock(), all_read=len(read) == len(names)))


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
    return config


def _until_time_is_up(request: web.Request) -> Callable[[], bool]:
    """Extend the time limit of a request to that of a sync; return a function that says if another page may start."""
    extend_time_limit(request, SYNC_SECONDS + _LAST_PAGE_SECONDS)
    loop = asyncio.get_running_loop()
    until = loop.time() + SYNC_SECONDS
    return lambda: loop.time() < until


def _raise_if_github_is_unavailable(given: Dependencies, synced: SyncResult) -> None:
    error = synced.stopped_by
    if error is None or isinstance(error, SourceRefuses):
        return
    detail = f"{synced.repository}: {error} The {synced.total:,} issues that were read before it are kept."
    if isinstance(error, SourceLimited):
        seconds = max(1, math.ceil((error.until - given.clock()).total_seconds()))
        raise Problem(429, detail, headers={"Retry-After": str(seconds)})
    raise Problem(502, detail)
