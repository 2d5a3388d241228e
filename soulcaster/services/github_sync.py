"""Syncing a repository: its issues, page by page, so that none is missed, whatever happens to them meanwhile.

Pages are asked for by time and not by number: an issue that is edited while we read moves to the end of the list, all
behind it move up by one, and by number the first of the next page would be missed. Only where a whole page has one
time the link to the next is followed.

What is read goes to feedback.raw, and only then its place is kept, on control: whoever is cut off reads the page again,
and what is posted twice is one item.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import structlog

from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.source_state import MAX_ERROR, Position, RepositoryState
from soulcaster.errors import Conflict, SourceRefuses, SourceUnavailable
from soulcaster.ports.clock import Clock
from soulcaster.ports.issues import Issues
from soulcaster.ports.messaging import Outgoing, Publisher, Record
from soulcaster.ports.read_model import ReadModel
from soulcaster.services.intake import read
from soulcaster.services.posting import make_delivery
from soulcaster.wire.control import RepositorySynced
from soulcaster.wire.fields import MAX_ETAG
from soulcaster.wire.project_config import ProjectConfig, SourcesConfig
from soulcaster.wire.topics import CONTROL

OVERLAP = timedelta(minutes=1)
"""Read again from so long before the newest issue known: GitHub's list may be a little behind GitHub."""

MOST_PAGES = 50
"""Pages of one sync; the next goes on where it ended."""

SOURCE = "github"

log = structlog.get_logger(__name__)


Accept = Callable[[Sequence[Any]], Awaitable[None]]
"""Takes a page of issues, and returns when they are kept."""

Keep = Callable[[Position], Awaitable[None]]
"""Keeps a position, and returns when it is kept."""


async def read_changes(
    issues: Issues,
    repository: str,
    position: Position,
    *,
    token: str | None,
    accept: Accept,
    keep: Keep,
    goes_on: Callable[[], bool] = lambda: True,
) -> bool:
    """Read what has changed since a position; return whether that was all.

    It is not when there is more than `MOST_PAGES`, or when it `goes_on` no longer, which is asked after each page. How
    far it is, is kept after each page that was accepted: whoever is cut off goes on from there.

    Raises:
        SourceRefuses, SourceLimited, SourceUnavailable: see `ports.Issues`.
    """
    state: Literal["open", "all"] = "all" if position.whole else "open"
    overlapped = None if position.since is None else position.since - OVERLAP
    beginning = at = issues.first(repository, state=state, since=overlapped)
    etag = position.etag
    for _ in range(MOST_PAGES):
        page = await issues.page(at, token=token, etag=etag)
        if page is None:
            return True
        await accept(page.issues)
        before, etag = position, None
        newest = max(filter(None, map(updated_at, page.issues)), default=None)
        moved = newest is not None and (position.since is None or newest > position.since)
        if moved:
            position = replace(position, since=newest, etag=None)
        if page.next is None:
            position = _at_the_end(position, page.etag if at == beginning and not moved else None)
        if position != before:
            await keep(position)
        if page.next is None:
            return True
        if not goes_on():
            return False
        at = issues.first(repository, state=state, since=position.since) if moved else page.next
    return False


def _at_the_end(position: Position, etag: str | None) -> Position:
    """Return the position after the last page; `etag` is that of an answer that the next sync will ask for again."""
    if position.whole:
        return replace(position, etag=etag)
    return replace(position, whole=True, since=position.connected_at, etag=None)


def updated_at(issue: Any) -> datetime | None:
    """Return when an issue was changed last, None where it does not say so."""
    return _time(issue, "updated_at")


def _time(issue: Any, name: str) -> datetime | None:
    text = issue.get(name) if isinstance(issue, dict) else None
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


@dataclass(slots=True)
class Synced:
    """What came of a sync: how many issues are new, updated, unchanged, or skipped, being none that are taken.

    `closed` are those of the updated that are closed now. Not `complete`: there is more than one sync reads, or it was
    `stopped_by` GitHub; what was read by then is kept.
    """

    repository: str
    new: int = 0
    updated: int = 0
    closed: int = 0
    unchanged: int = 0
    skipped: int = 0
    complete: bool = False
    stopped_by: SourceRefuses | SourceUnavailable | None = None
    ids: dict[str, None] = field(default_factory=dict)
    """The items that were posted."""

    @property
    def total(self) -> int:
        """Return how many issues were looked at."""
        return self.new + self.updated + self.unchanged + self.skipped


class SyncRunning(Conflict):
    """This repository is being synced already; ask again when that has ended."""


class GitHubSync:
    """Syncs repositories: reads what has changed, posts it, and keeps how far it is.

    It remembers what it kept itself, for the read model comes behind; and it syncs a repository once at a time. Both
    are of this process: of two processes that sync the same repository, both read it, to no harm but the requests.
    """

    def __init__(
        self, issues: Issues, read_model: ReadModel, publisher: Publisher, clock: Clock, *, token: str = ""
    ) -> None:
        """Prepare; `token` is the one for who brings none, empty: none is sent."""
        self._issues = issues
        self._read_model = read_model
        self._publisher = publisher
        self._clock = clock
        self._token = token
        self._running: set[tuple[str, str]] = set()
        self._kept: dict[tuple[str, str], RepositoryState] = {}

    async def states(self, project_id: str) -> Sequence[RepositoryState]:
        """Return how far each repository of a project is.

        Raises:
            RedisUnavailable: it cannot be told.
        """
        stored = {one.repository.lower(): one for one in await self._read_model.sources.repositories(project_id)}
        names = {**stored, **{name: None for project, name in self._kept if project == project_id}}
        return [state for name in names if (state := self._known(project_id, name, stored.get(name))) is not None]

    def _known(self, project_id: str, name: str, stored: RepositoryState | None) -> RepositoryState | None:
        """Return the newer of what is stored and what was kept here, and forget the latter once it is stored."""
        kept = self._kept.get((project_id, name))
        if kept is None or (stored is not None and (stored == kept or stored.reported_at > kept.reported_at)):
            self._kept.pop((project_id, name), None)
            return stored
        return kept

    async def sync(
        self, project_id: str, repository: str, config: ProjectConfig, *, token: str | None, goes_on: Callable[[], bool]
    ) -> Synced:
        """Read what has changed of a repository and post it; where GitHub stops it, the result says so.

        Raises:
            SyncRunning: it is being synced already.
            KafkaUnavailable, RedisUnavailable: they do not answer; what was kept by then counts.
        """
        key = (project_id, repository.lower())
        if key in self._running:
            raise SyncRunning
        self._running.add(key)
        try:
            return await self._sync(project_id, repository, config, token or self._token or None, goes_on)
        finally:
            self._running.discard(key)

    async def _sync(
        self, project_id: str, repository: str, config: ProjectConfig, token: str | None, goes_on: Callable[[], bool]
    ) -> Synced:
        stored = await self._read_model.sources.repository(project_id, repository)
        before = self._known(project_id, repository.lower(), stored)
        known = before is not None
        state = before or RepositoryState(repository, Position(self._clock()), "ok", self._clock())
        synced = Synced(repository)
        page = _Page(self._read_model, project_id, config.sources, state.position, synced)

        async def keep(position: Position) -> None:
            nonlocal state, known
            state = replace(state, position=_storable(position), reported_at=self._clock())
            await self._keep(project_id, state)
            known = True

        async def accept(issues: Sequence[Any]) -> None:
            if not known:  # what is open now is looked after from now on, even if all ends in the next moment
                await keep(state.position)
            await self._publisher.publish(await page.take(issues, self._clock()))

        try:
            synced.complete = await read_changes(
                self._issues, repository, state.position, token=token, accept=accept, keep=keep, goes_on=goes_on
            )
        except (SourceRefuses, SourceUnavailable) as error:
            synced.stopped_by = error
        if known or repository.lower() in map(str.lower, config.repositories):
            state = self._ended(state, synced)
            await self._keep(project_id, state)
        log.info(
            "synced",
            project=project_id,
            repository=repository,
            new=synced.new,
            updated=synced.updated,
            unchanged=synced.unchanged,
            skipped=synced.skipped,
            complete=synced.complete,
            stopped_by=synced.stopped_by and str(synced.stopped_by),
        )
        return synced

    def _ended(self, state: RepositoryState, synced: Synced) -> RepositoryState:
        now, error = self._clock(), synced.stopped_by
        if error is None:
            return replace(state, status="ok", reported_at=now, synced_at=now if synced.complete else state.synced_at)
        status: Literal["blocked", "failing"] = "blocked" if isinstance(error, SourceRefuses) else "failing"
        return replace(state, status=status, reported_at=now, last_error=str(error)[:MAX_ERROR], last_error_at=now)

    async def _keep(self, project_id: str, state: RepositoryState) -> None:
        """Return once Kafka has how far a repository is."""
        position = state.position
        message = RepositorySynced(
            project_id=project_id,
            repository=state.repository,
            connected_at=position.connected_at,
            since=position.since,
            whole=position.whole,
            etag=position.etag,
            status=state.status,
            reported_at=state.reported_at,
            synced_at=state.synced_at,
            last_error=state.last_error,
            last_error_at=state.last_error_at,
        )
        name = state.repository.lower()
        await self._publisher.publish(
            [Outgoing(CONTROL.name, f"repository:{project_id}:{name}".encode(), message.to_bytes())]
        )
        self._kept[project_id, name] = state


def _storable(position: Position) -> Position:
    """Return a position without an ETag that is none."""
    etag = position.etag
    return position if etag is None or (len(etag) <= MAX_ETAG and etag.isascii()) else replace(position, etag=None)


class _Told(NamedTuple):
    """What an issue means: the message it travels as, the item it is if it is one, and whether none can be made of it.

    `closed_at` is when it was closed last, None for one that is open.
    """

    message: Outgoing
    item: FeedbackItem | None
    refused: bool
    closed_at: datetime | None


@dataclass(slots=True)
class _Page:
    """Takes the pages of one sync."""

    read_model: ReadModel
    project_id: str
    sources: SourcesConfig
    position: Position
    """Where the sync began."""

    synced: Synced
    _looked_at: set[str] = field(default_factory=set)
    """Versions of issues; pages overlap."""

    _posted: dict[str, datetime | None] = field(default_factory=dict)
    """Items and their versions; the read model comes behind."""

    async def take(self, issues: Sequence[Any], at: datetime) -> Sequence[Outgoing]:
        """Return what is to be posted of a page, and count all of it.

        Raises:
            SourceUnavailable: GitHub's answer has what cannot be stored.
            RedisUnavailable: what is known of them cannot be told.
        """
        fresh = []
        for issue in issues:
            version = repr((issue.get("id"), issue.get("updated_at")) if isinstance(issue, dict) else issue)
            if version not in self._looked_at:
                self._looked_at.add(version)
                fresh.append(issue)
        told = await asyncio.to_thread(_tell, self.project_id, fresh, at)
        versions = await self.read_model.feedback.versions(
            self.project_id, [one.item.id for one in told if one.item is not None]
        )
        known = {**versions.known, **self._posted}
        return [one.message for one in told if self._is_posted(one, known, versions.deleted)]

    def _is_posted(self, told: _Told, known: dict[str, datetime | None], deleted: frozenset[str]) -> bool:
        item, synced = told.item, self.synced
        if item is None:  # no issue, or one that cannot be an item: that is a dead letter behind Kafka
            synced.skipped += 1
            return told.refused
        if item.id in deleted or not self.sources.accepts(item):
            synced.skipped += 1
            return False
        before = known.get(item.id)
        if before is not None and item.updated_at is not None and item.updated_at <= before:
            synced.unchanged += 1
            return False
        if item.id in known or self._was_open(item, told.closed_at):
            synced.updated += 1
            synced.closed += told.closed_at is not None
        elif self._is_wanted(told.closed_at):
            synced.new += 1
        else:
            synced.skipped += 1
            return False
        self._posted[item.id] = item.updated_at
        synced.ids[item.id] = None
        return True

    def _was_open(self, item: FeedbackItem, closed_at: datetime | None) -> bool:
        """Tell whether an issue has closed since the last sync, which posted it then: the read model may be behind."""
        since = self.position.since if self.position.whole else None
        return since is not None and closed_at is not None and item.created_at <= since < closed_at

    def _is_wanted(self, closed_at: datetime | None) -> bool:
        """Tell whether an issue that is not known is taken, by its state."""
        wanted = self.sources.github.state
        if closed_at is None:
            return wanted != "closed"
        return wanted == "closed" or (wanted == "all" and closed_at >= self.position.connected_at)


def _tell(project_id: str, issues: Sequence[Any], at: datetime) -> Sequence[_Told]:
    """Return what issues mean, read by what reads them behind Kafka.

    Raises:
        SourceUnavailable: one has what cannot be stored.
    """
    told = []
    for issue in issues:
        try:
            message = make_delivery(project_id, SOURCE, {}, json.dumps(issue).encode()).message
        except ValueError as error:
            raise SourceUnavailable("GitHub answered with an issue that cannot be stored") from error
        contents = read(Record(message.topic, 0, 0, int(at.timestamp() * 1000), message.key, message.value))
        item = contents.items[0].item if contents.items else None
        closed_at = None
        if item is not None and item.metadata.get("state") == "closed":
            closed_at = _time(issue, "closed_at") or item.created_at
        told.append(_Told(message, item, bool(contents.refused), closed_at))
    return told
