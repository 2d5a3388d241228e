"""Our own HTTP API, as a poller uses it: which projects there are, what is polled, where it goes on, and the intake."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar

import aiohttp
import stamina
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yarl import URL

from soulcaster.errors import ApiRefuses, ApiUnavailable, BadInput, NotFound

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

REQUEST_SECONDS = 20.0
"""Longer than the server gives itself."""

SYNC_SECONDS = 150.0
"""The same of a sync, for which the server gives itself more."""

MAX_ITEMS = 1000
MAX_BATCH_BYTES = 1_000_000
"""Of a batch; the server takes a little more."""

MAX_SAID = 300
"""Characters of what the server says that are repeated."""


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Project(_Answer):
    id: str


class _Projects(_Answer):
    projects: tuple[_Project, ...]


class Polling(_Answer):
    """What is polled of Reddit for a project."""

    subreddits: tuple[str, ...]
    sorts: tuple[str, ...]
    interval_seconds: float = Field(ge=1)
    enabled: bool


class GitHubSyncing(_Answer):
    """Which repositories of GitHub's a project has."""

    repositories: tuple[str, ...]
    enabled: bool


class _GitHub(_Answer):
    enabled: bool


class _Sources(_Answer):
    github: _GitHub


class _Config(_Answer):
    repositories: tuple[str, ...]
    sources: _Sources


class GitHubSynced(_Answer):
    """What came of a sync; where it is not `complete` there is more than one sync reads."""

    new: int
    updated: int
    complete: bool
    success: bool


class SourceReport(_Answer):
    """What a poller says of a source in a project: where it goes on, and how it fares."""

    cursor: dict[str, Any]
    status: Literal["ok", "failing", "blocked"]
    polled_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None


class SourceStands(_Answer):
    """What is known of a source: what its poller said last, and when somebody wanted it polled at once."""

    cursor: dict[str, Any] | None
    polled_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    kicked_at: datetime | None


class ApiClient:
    """Speaks to one server.

    Every method raises ApiUnavailable when the server is away or asks to wait, ApiRefuses when the key may not do it,
    NotFound where there is no such project or thing, and BadInput for anything else that the server does not take.
    """

    def __init__(
        self, session: aiohttp.ClientSession, base: URL, key: str, *, seconds: float = REQUEST_SECONDS
    ) -> None:
        """Prepare; an empty `key` is none, which a server on loopback may let pass."""
        self._session = session
        self._base = base
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = aiohttp.ClientTimeout(total=seconds)

    async def projects(self) -> Sequence[str]:
        """Return the ids of the projects: the key's own, or all that there are for who needs no key."""
        return [project.id for project in _read(_Projects, await self._ask("GET", "projects")).projects]

    async def polling(self, project_id: str) -> Polling:
        """Return what is polled of Reddit."""
        return _read(Polling, await self._ask("GET", "config/reddit/subreddits", project_id))

    async def github(self, project_id: str) -> GitHubSyncing:
        """Return what is synced of GitHub."""
        config = _read(_Config, await self._ask("GET", "config/project", project_id))
        return GitHubSyncing(repositories=config.repositories, enabled=config.sources.github.enabled)

    async def sync_github(self, project_id: str) -> GitHubSynced:
        """Have the repositories of a project synced; returns when they are, or so much as one sync reads."""
        return _read(GitHubSynced, await self._ask("POST", "ingest/github/sync", project_id, seconds=SYNC_SECONDS))

    async def source(self, project_id: str, source: str) -> SourceStands:
        """Return how a source stands."""
        return _read(SourceStands, await self._ask("GET", f"sources/{source}/cursor", project_id))

    async def report(self, project_id: str, source: str, report: SourceReport) -> None:
        """Say how a source stands."""
        await self._ask("PUT", f"sources/{source}/cursor", project_id, report.model_dump_json().encode())

    async def delete(self, project_id: str, item_id: str) -> None:
        """Have an item deleted."""
        await self._ask("DELETE", f"feedback/{item_id}", project_id)

    async def post(self, project_id: str, source: str, items: Sequence[Mapping[str, Any]]) -> Mapping[int, str]:
        """Post items, and return once the server has them all: those that it will never take, by place, and why not."""
        refused: dict[int, str] = {}
        for places in _batches(items):
            refused |= await self._batch(project_id, source, items, places)
        return refused

    async def _batch(
        self, project_id: str, source: str, items: Sequence[Mapping[str, Any]], places: Sequence[int]
    ) -> Mapping[int, str]:
        """Post the items at these places.

        A batch is taken whole or not at all, so of one that is refused each half is tried.
        """
        body = _json({"items": [items[place] for place in places]})
        try:
            await self._ask("POST", f"ingest/{source}", project_id, body)
        except BadInput as error:
            if len(places) == 1:
                return {places[0]: str(error)}
            half = len(places) // 2
            return {
                **await self._batch(project_id, source, items, places[:half]),
                **await self._batch(project_id, source, items, places[half:]),
            }
        return {}

    async def _ask(
        self,
        method: str,
        path: str,
        project_id: str | None = None,
        body: bytes | None = None,
        *,
        seconds: float | None = None,
    ) -> bytes:
        """Return the body of an answer of 2xx, for which there may be another time limit than the others'."""
        url = self._base.joinpath(*path.split("/"))
        if project_id is not None:
            url = url.with_query(project_id=project_id)
        timeout = self._timeout if seconds is None else aiohttp.ClientTimeout(total=seconds)
        headers = {**self._headers, **({"Content-Type": "application/json"} if body is not None else {})}
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                answer = await response.read()
        except TimeoutError as error:
            raise ApiUnavailable(f"The API at {self._base} does not answer in time") from error
        except aiohttp.ClientError as error:
            raise ApiUnavailable(f"The API at {self._base} is out of reach: {error}") from error
        status = response.status
        if 200 <= status < 300:
            return answer
        what = f"{method} /{path} was answered {status}: {_said(answer)}"
        if status in {401, 403}:
            raise ApiRefuses(what)
        if status == 404:
            raise NotFound(what)
        if 400 <= status < 500 and status not in {408, 429}:
            raise BadInput(what)
        raise ApiUnavailable(what, _seconds(response.headers.get("Retry-After")))


async def until_available(work: Callable[[], Awaitable[T]]) -> T:
    """Return what `work` returns, trying again as long as the API is away, or refuses the key."""

    def again(error: Exception) -> bool | float:
        return isinstance(error, ApiUnavailable) and (error.asked or True)

    async for attempt in stamina.retry_context(
        on=again, attempts=None, timeout=None, wait_initial=0.5, wait_max=30.0, wait_jitter=0.5
    ):
        with attempt:
            return await work()
    raise AssertionError("stamina ended without a result or an error")


def _batches(items: Sequence[Mapping[str, Any]]) -> Sequence[Sequence[int]]:
    """Return the places of items that go together, in their order."""
    batches: list[list[int]] = []
    size = 0
    for place, item in enumerate(items):
        bytes_of_it = len(_json(item)) + 1
        if not batches or len(batches[-1]) == MAX_ITEMS or size + bytes_of_it > MAX_BATCH_BYTES:
            batches.append([])
            size = len('{"items":[]}')
        batches[-1].append(place)
        size += bytes_of_it
    return batches


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")  # half an emoji


def _read(model: type[M], body: bytes) -> M:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise ApiUnavailable(f"The API answers, but not as Soulcaster does: no {model.__name__}") from error


def _said(answer: bytes) -> str:
    """Return what a problem says."""
    try:
        return str(json.loads(answer)["detail"])[:MAX_SAID]
    except (ValueError, LookupError, TypeError):
        return "no problem details"


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdecimal() and len(text) < 6 else None
