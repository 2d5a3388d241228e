"""Which issues of a sync are posted: what is new or changed, and wanted by the project's settings."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.source_state import Position
from soulcaster.errors import Conflict, SourceRefuses, SourceUnavailable
from soulcaster.ports.feedback import FeedbackReader
from soulcaster.ports.messaging import Outgoing, Record
from soulcaster.services.github_paging import issue_time
from soulcaster.services.intake import read
from soulcaster.services.posting import read_delivery
from soulcaster.services.sources import GITHUB
from soulcaster.wire.project_config import SourcesConfig


class SyncRunning(Conflict):
    """This repository is being synced already; ask again when that has ended."""


@dataclass(slots=True)
class SyncResult:
    """The counts of a sync: issues that are new, updated, unchanged, or skipped because they are not wanted.

    `closed` counts those of the updated ones that are closed now. A sync is not `complete` where there is more than one
    sync reads, or where it was `stopped_by` GitHub or another sync; what was read until then is kept.
    """

    repository: str
    new: int = 0
    updated: int = 0
    closed: int = 0
    unchanged: int = 0
    skipped: int = 0
    complete: bool = False
    stopped_by: SourceRefuses | SourceUnavailable | SyncRunning | None = None
    ids: dict[str, None] = field(default_factory=dict)
    """The items that were posted."""

    @property
    def total(self) -> int:
        """Return how many issues were looked at."""
        return self.new + self.updated + self.unchanged + self.skipped


class _ReadIssue(NamedTuple):
    """An issue as it would be posted: the message, the item in it if there is one, and whether it would be refused.

    `closed_at` is when it was closed last, None for an open one.
    """

    message: Outgoing
    item: FeedbackItem | None
    refused: bool
    closed_at: datetime | None


class IssueSelection:
    """Selects from the pages of one sync what is posted, and counts all of it."""

    def __init__(
        self,
        feedback: FeedbackReader,
        project_id: str,
        sources: SourcesConfig,
        start: Position,
        result: SyncResult,
    ) -> None:
        """`start` is where the sync began; `result` gets the counts."""
        self._feedback = feedback
        self._project_id = project_id
        self._sources = sources
        self._start = start
        self._result = result
        self._seen: set[str] = set()  # versions of issues, because pages overlap
        self._posted: dict[str, datetime | None] = {}  # item id -> version, because the read model is behind

    async def select(self, issues: Sequence[Any], at: datetime) -> Sequence[Outgoing]:
        """Return the messages to post of a page that was read at `at`.

        Raises:
            SourceUnavailable: GitHub's response holds what cannot be stored.
            RedisUnavailable: Redis does not answer.
        """
        fresh = []
        for issue in issues:
            version = repr((issue.get("id"), issue.get("updated_at")) if isinstance(issue, dict) else issue)
            if version not in self._seen:
                self._seen.add(version)
                fresh.append(issue)
        parsed = await asyncio.to_thread(_read_issues, self._project_id, fresh, at)
        item_ids = [one.item.id for one in parsed if one.item is not None]
        versions = await self._feedback.versions(self._project_id, item_ids)
        known = {**versions.known, **self._posted}
        return [one.message for one in parsed if self._is_posted(one, known, versions.deleted)]

    def _is_posted(self, issue: _ReadIssue, known: Mapping[str, datetime | None], deleted: frozenset[str]) -> bool:
        item, result = issue.item, self._result
        if item is None:  # a pull request, or an issue that cannot be an item: the latter becomes a dead letter
            result.skipped += 1
            return issue.refused
        if item.id in deleted or not self._sources.accepts(item):
            result.skipped += 1
            return False
        before = known.get(item.id)
        if before is not None and item.updated_at is not None and _is_known(item, item.updated_at, before):
            result.unchanged += 1
            return False
        if item.id in known or self._was_open(item, issue.closed_at):
            result.updated += 1
            result.closed += issue.closed_at is not None
        elif self._is_wanted(issue.closed_at):
            result.new += 1
        else:
            result.skipped += 1
            return False
        self._posted[item.id] = item.updated_at
        result.ids[item.id] = None
        return True

    def _was_open(self, item: FeedbackItem, closed_at: datetime | None) -> bool:
        """Return whether an issue has closed since the last sync, which posted it; the read model may be behind."""
        since = self._start.since if self._start.whole else None
        return since is not None and closed_at is not None and item.created_at <= since < closed_at

    def _is_wanted(self, closed_at: datetime | None) -> bool:
        """Return whether the project's settings want an unknown issue, by its state."""
        wanted = self._sources.github.state
        if closed_at is None:
            return wanted != "closed"
        return wanted == "closed" or (wanted == "all" and closed_at >= self._start.connected_at)


def _is_known(item: FeedbackItem, version: datetime, known: datetime) -> bool:
    """Return whether a version is the known one, or older; what is known from the future hides no other version."""
    return version == known or version < known <= item.received_at


def _read_issues(project_id: str, issues: Sequence[Any], at: datetime) -> Sequence[_ReadIssue]:
    """Return issues as they are read behind Kafka.

    Raises:
        SourceUnavailable: one of them holds what cannot be stored.
    """
    parsed = []
    for issue in issues:
        try:
            message = read_delivery(project_id, GITHUB, {}, json.dumps(issue).encode()).message
        except ValueError as error:
            raise SourceUnavailable("GitHub answered with an issue that cannot be stored") from error
        contents = read(Record(message.topic, 0, 0, int(at.timestamp() * 1000), message.key, message.value))
        item = contents.items[0].item if contents.items else None
        closed_at = None
        if item is not None and item.metadata.get("state") == "closed":
            closed_at = issue_time(issue, "closed_at") or item.created_at
        parsed.append(_ReadIssue(message, item, bool(contents.refused), closed_at))
    return parsed
