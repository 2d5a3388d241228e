"""The part of our HTTP API that pollers use: projects, their source settings, cursors and the intake of feedback."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import aiohttp
import stamina
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yarl import URL

from soulcaster.errors import ApiRefuses, ApiUnavailable, BadInput, NotFound
from soulcaster.http_numbers import read_retry_after
from soulcaster.telemetry.waits import WAITS

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

REQUEST_SECONDS = 20.0
"""Longer than the server's own time limit."""

SYNC_SECONDS = 150.0
"""The same for a sync, which has a longer limit in the server."""

MAX_ITEMS = 1000
MAX_BATCH_BYTES = 1_000_000
"""Most bytes of a batch; the server accepts a little more."""

MAX_DETAIL = 300
"""Most characters of a problem's detail that an error repeats."""


class _Response(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Project(_Response):
    id: str


class _Projects(_Response):
    projects: tuple[_Project, ...]


class RedditPolling(_Response):
    """Which listings of Reddit are polled for a project."""

    subreddits: tuple[str, ...]
    sorts: tuple[str, ...]
    interval_seconds: float = Field(ge=1)
    enabled: bool


class GitHubSyncing(_Response):
    """Which repositories on GitHub are synced for a project."""

    repositories: tuple[str, ...]
    enabled: bool


class _GitHub(_Response):
    enabled: bool


class _Sources(_Response):
    github: _GitHub


class _Config(_Response):
    repositories: tuple[str, ...]
    sources: _Sources


class GitHubSynced(_Response):
    """The result of a sync; when it is not `complete`, there is more to read than one sync reads."""

    new: int
    updated: int
    complete: bool
    success: bool


class SourceReport(_Response):
    """What a poller reports of a source in a project: where it continues, and whether it works."""

    cursor: dict[str, Any]
    status: Literal["ok", "failing", "blocked"]
    polled_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None


class SourceState(_Response):
    """The last report of a source's poller, and when somebody last asked to poll it at once."""

    cursor: dict[str, Any] | None
    polled_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    kicked_at: datetime | None


class ApiClient:
    """A client of one server.

    Every method raises ApiUnavailable when the server does not respond or asks to wait, ApiRefuses when the API key
    does not allow the request, NotFound when the project or the thing does not exist, and BadInput when the server
    refuses the request for another reason.
    """

    def __init__(
        self, session: aiohttp.ClientSession, base: URL, key: str, *, seconds: float = REQUEST_SECONDS
    ) -> None:
        """`key` is the API key; a server on loopback may accept requests with an empty one."""
        self._session = session
        self._base = base
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = aiohttp.ClientTimeout(total=seconds)

    async def projects(self) -> Sequence[str]:
        """Return the ids of the projects: the API key's own, or all on a server that accepts requests without one."""
        return [project.id for project in _read(_Projects, await self._request("GET", "projects")).projects]

    async def polling(self, project_id: str) -> RedditPolling:
        """Return which listings of Reddit are polled."""
        return _read(RedditPolling, await self._request("GET", "config/reddit/subreddits", project_id))

    async def github(self, project_id: str) -> GitHubSyncing:
        """Return which repositories on GitHub are synced."""
        config = _read(_Config, await self._request("GET", "config/project", project_id))
        return GitHubSyncing(repositories=config.repositories, enabled=config.sources.github.enabled)

    async def sync_github(self, project_id: str) -> GitHubSynced:
        """Sync a project's repositories; return when as much is read as one sync reads."""
        return _read(GitHubSynced, await self._request("POST", "ingest/github/sync", project_id, seconds=SYNC_SECONDS))

    async def source(self, project_id: str, source: str) -> SourceState:
        """Return the state of a source."""
        return _read(SourceState, await self._request("GET", f"sources/{source}/cursor", project_id))

    async def report(self, project_id: str, source: str, report: SourceReport) -> None:
        """Report the state of a source."""
        await self._request("PUT", f"sources/{source}/cursor", project_id, report.model_dump_json().encode())

    async def delete(self, project_id: str, item_id: str) -> None:
        """Ask for an item to be deleted."""
        await self._request("DELETE", f"feedback/{item_id}", project_id)

    async def post(self, project_id: str, source: str, items: Sequence[Mapping[str, Any]]) -> Mapping[int, str]:
        """Post items; return once the server has accepted or refused each.

        Returns:
            Why an item was refused, by its index in `items`.
        """
        refused: dict[int, str] = {}
        for indices in _batches(items):
            refused |= await self._post_batch(project_id, source, items, indices)
        return refused

    async def _post_batch(
        self, project_id: str, source: str, items: Sequence[Mapping[str, Any]], indices: Sequence[int]
    ) -> Mapping[int, str]:
        """Post the items at these indices; return the refused ones.

        The server accepts or refuses a batch as a whole, so each half of a refused one is tried.
        """
        body = _json({"items": [items[index] for index in indices]})
        try:
            await self._request("POST", f"ingest/{source}", project_id, body)
        except BadInput as error:
            if len(indices) == 1:
                return {indices[0]: str(error)}
            half = len(indices) // 2
            return {
                **await self._post_batch(project_id, source, items, indices[:half]),
                **await self._post_batch(project_id, source, items, indices[half:]),
            }
        return {}

    async def _request(
        self,
        method: str,
        path: str,
        project_id: str | None = None,
        body: bytes | None = None,
        *,
        seconds: float | None = None,
    ) -> bytes:
        """Return the body of a 2xx response; `seconds` replaces the usual time limit."""
        url = self._base.joinpath(*path.split("/"))
        if project_id is not None:
            url = url.with_query(project_id=project_id)
        timeout = self._timeout if seconds is None else aiohttp.ClientTimeout(total=seconds)
        headers = {**self._headers, **({"Content-Type": "application/json"} if body is not None else {})}
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                content = await response.read()
        except TimeoutError as error:
            raise ApiUnavailable(f"The API at {self._base} does not answer in time") from error
        except aiohttp.ClientError as error:
            raise ApiUnavailable(f"The API at {self._base} is out of reach: {error}") from error
        status = response.status
        if 200 <= status < 300:
            return content
        what = f"{method} /{path} was answered {status}: {_detail(content)}"
        if status in {401, 403}:
            raise ApiRefuses(what)
        if status == 404:
            raise NotFound(what)
        if 400 <= status < 500 and status not in {408, 429}:
            raise BadInput(what)
        raise ApiUnavailable(what, read_retry_after(response.headers, datetime.now(UTC)))


async def until_available(work: Callable[[], Awaitable[T]]) -> T:
    """Return what `work` returns, retrying while the API is unavailable or refuses the API key."""

    def retry(error: Exception) -> bool | float:
        return isinstance(error, ApiUnavailable) and (error.retry_after or True)

    with WAITS.one() as wait:
        async for attempt in stamina.retry_context(
            on=retry, attempts=None, timeout=None, wait_initial=0.5, wait_max=30.0, wait_jitter=0.5
        ):
            with attempt, wait.failed():
                return await work()
    raise AssertionError("stamina ended without a result or an error")


def _batches(items: Sequence[Mapping[str, Any]]) -> Sequence[Sequence[int]]:
    """Return the indices of the items of each batch, in their order."""
    batches: list[list[int]] = []
    size = 0
    for index, item in enumerate(items):
        item_bytes = len(_json(item)) + 1
        if not batches or len(batches[-1]) == MAX_ITEMS or size + item_bytes > MAX_BATCH_BYTES:
            batches.append([])
            size = len('{"items":[]}')
        batches[-1].append(index)
        size += item_bytes
    return batches


def _json(value: Any) -> bytes:
    # "replace" is for half of a surrogate pair, which a text cut within an emoji ends with.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _read(model: type[M], body: bytes) -> M:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise ApiUnavailable(f"The API's response is not one of Soulcaster's: no {model.__name__}") from error


def _detail(content: bytes) -> str:
    """Return the detail of a problem (RFC 9457)."""
    try:
        return str(json.loads(content)["detail"])[:MAX_DETAIL]
    except (ValueError, LookupError, TypeError):
        return "no problem details"
