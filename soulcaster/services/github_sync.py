"""Syncing the issues of GitHub repositories: reading what has changed, posting it, and keeping how far it was read.

Issues go to feedback.raw first, and only then the position goes to `control`. An interrupted sync reads its last page
again, and an item that is posted twice is still one item.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Literal

import structlog

from soulcaster.domain.source_state import MAX_ERROR, Position, RepositoryState
from soulcaster.errors import Conflict, SourceRefuses, SourceUnavailable
from soulcaster.ports.clock import Clock
from soulcaster.ports.feedback import FeedbackReader
from soulcaster.ports.issues import Issues, IssuesPage
from soulcaster.ports.messaging import Publisher
from soulcaster.ports.sources import SourceReader
from soulcaster.services.control import control_record
from soulcaster.services.github_paging import read_changes
from soulcaster.services.github_selection import IssueSelection, SyncResult, SyncRunning
from soulcaster.wire.control import RepositorySynced
from soulcaster.wire.fields import MAX_ETAG
from soulcaster.wire.project_config import ProjectConfig

log = structlog.get_logger(__name__)

MOST_UNNAMED = 100
"""Repositories that a project follows without having them in its settings; any caller that may ingest names them."""

Count = Callable[[int], Awaitable[None]]
"""Counts the issues of a page before any of them is kept; it raises where they are too many."""


class GitHubSync:
    """Syncs repositories, each once at a time, and remembers the positions it kept, because the read model is behind.

    Both hold within this process. Two processes that sync one repository both read it, which costs requests and does no
    other harm.
    """

    def __init__(
        self,
        issues: Issues,
        sources: SourceReader,
        feedback: FeedbackReader,
        publisher: Publisher,
        clock: Clock,
        *,
        token: str = "",
    ) -> None:
        """`token` is the server's; a caller that brings none has it for the repositories in the project's settings.

        Others are named by whoever may post feedback, so they are read as anybody may read them.
        """
        self._issues = issues
        self._sources = sources
        self._feedback = feedback
        self._publisher = publisher
        self._clock = clock
        self._token = token
        self._running: set[tuple[str, str]] = set()
        self._kept: dict[tuple[str, str], RepositoryState] = {}

    async def states(self, project_id: str) -> Sequence[RepositoryState]:
        """Return how far each repository of a project was read.

        Raises:
            RedisUnavailable: Redis does not answer.
        """
        stored = {one.repository.lower(): one for one in await self._sources.repositories(project_id)}
        names = {**stored, **{name: None for project, name in self._kept if project == project_id}}
        return [state for name in names if (state := self._newest(project_id, name, stored.get(name))) is not None]

    async def sync(
        self,
        project_id: str,
        repository: str,
        config: ProjectConfig,
        *,
        token: str | None,
        goes_on: Callable[[], bool],
        count: Count,
    ) -> SyncResult:
        """Read what has changed in a repository and post it; `goes_on` is called before each further page.

        Where GitHub stops it, the result says so. What `count` raises ends it, and the page before is the last.

        Raises:
            SyncRunning: the repository is being synced already.
            Conflict: it would be one too many that is not in the settings.
            KafkaUnavailable, RedisUnavailable: they do not answer; what was kept until then counts.
        """
        key = (project_id, repository.lower())
        if key in self._running:
            raise SyncRunning
        self._running.add(key)
        try:
            own = self._token if repository.lower() in config.named_repositories() else ""
            return await self._sync(project_id, repository, config, token or own or None, goes_on, count)
        finally:
            self._running.discard(key)

    async def sync_all(
        self, project_id: str, config: ProjectConfig, *, token: str | None, goes_on: Callable[[], bool], count: Count
    ) -> AsyncIterator[SyncResult]:
        """Sync the repositories in a project's settings, the least recently read first, and yield each result.

        One that is being synced already is `stopped_by` that and does not keep the others from being synced. It ends
        where `goes_on` says so, after at least one, and where GitHub is unavailable.

        Raises:
            KafkaUnavailable, RedisUnavailable: they do not answer; what was kept until then counts.
        """
        read_at = {one.repository.lower(): one.reported_at.timestamp() for one in await self.states(project_id)}
        names = sorted(config.repositories, key=lambda name: read_at.get(name.lower(), 0.0))
        for index, name in enumerate(names):
            if index and not goes_on():
                return
            try:
                result = await self.sync(project_id, name, config, token=token, goes_on=goes_on, count=count)
            except SyncRunning as error:
                result = SyncResult(name, stopped_by=error)
            yield result
            if isinstance(result.stopped_by, SourceUnavailable):
                return

    async def _sync(
        self,
        project_id: str,
        repository: str,
        config: ProjectConfig,
        token: str | None,
        goes_on: Callable[[], bool],
        count: Count,
    ) -> SyncResult:
        stored = await self._sources.repository(project_id, repository)
        before = self._newest(project_id, repository.lower(), stored)
        known = before is not None
        if not known and repository.lower() not in config.named_repositories():
            await self._check_room(project_id, config)
        state = before or RepositoryState(repository, Position(self._clock()), "ok", self._clock())
        result = SyncResult(repository)
        selection = IssueSelection(self._feedback, project_id, config.sources, state.position, result)

        async def keep(position: Position) -> None:
            nonlocal state, known
            state = replace(state, position=_storable(position), reported_at=self._clock())
            await self._keep(project_id, state)
            known = True

        async def accept(page: IssuesPage) -> None:
            await count(len(page.issues))
            if not known:  # from now on its issues are followed, even if the sync is interrupted the next moment
                await keep(state.position)
            await self._publisher.publish(await selection.select(page.issues, self._clock()))
            if page.too_large:
                result.skipped += page.too_large
                log.warning("passed over issues that are too large", project=project_id, repository=repository)

        try:
            result.complete = await read_changes(
                self._issues,
                repository,
                state.position,
                now=self._clock(),
                token=token,
                accept=accept,
                keep=keep,
                goes_on=goes_on,
            )
        except (SourceRefuses, SourceUnavailable) as error:
            result.stopped_by = error
        if known or repository.lower() in map(str.lower, config.repositories):
            state = self._ended(state, result)
            await self._keep(project_id, state)
        log.info(
            "synced",
            project=project_id,
            repository=repository,
            new=result.new,
            updated=result.updated,
            unchanged=result.unchanged,
            skipped=result.skipped,
            complete=result.complete,
            stopped_by=result.stopped_by and str(result.stopped_by),
        )
        return result

    async def _check_room(self, project_id: str, config: ProjectConfig) -> None:
        """Return if one more repository that is not in the settings may be followed.

        Raises:
            Conflict: there are too many.
        """
        named = config.named_repositories()
        others = [one for one in await self.states(project_id) if one.repository.lower() not in named]
        if len(others) >= MOST_UNNAMED:
            raise Conflict(
                f"The project follows {len(others)} repositories that are not in its settings; it may follow "
                f"{MOST_UNNAMED}. Add this one to `repositories` in the settings first."
            )

    def _newest(self, project_id: str, name: str, stored: RepositoryState | None) -> RepositoryState | None:
        """Return the newer of the stored state and the one kept here, and forget the latter once it is stored."""
        kept = self._kept.get((project_id, name))
        if kept is None or (stored is not None and (stored == kept or stored.reported_at > kept.reported_at)):
            self._kept.pop((project_id, name), None)
            return stored
        return kept

    def _ended(self, state: RepositoryState, result: SyncResult) -> RepositoryState:
        now, error = self._clock(), result.stopped_by
        if error is None:
            return replace(state, status="ok", reported_at=now, synced_at=now if result.complete else state.synced_at)
        status: Literal["blocked", "failing"] = "blocked" if isinstance(error, SourceRefuses) else "failing"
        return replace(state, status=status, reported_at=now, last_error=str(error)[:MAX_ERROR], last_error_at=now)

    async def _keep(self, project_id: str, state: RepositoryState) -> None:
        """Publish how far a repository was read, and remember it."""
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
        await self._publisher.publish([control_record(message)])
        self._kept[project_id, state.repository.lower()] = state


def _storable(position: Position) -> Position:
    """Return a position without an ETag that does not fit."""
    etag = position.etag
    return position if etag is None or (len(etag) <= MAX_ETAG and etag.isascii()) else replace(position, etag=None)
