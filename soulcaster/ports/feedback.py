"""Feedback items as the read model shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from soulcaster.domain.assignment import Assignment
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.ports.paging import Page


@dataclass(frozen=True, slots=True)
class FeedbackView:
    """An item, the cluster it is in (None while it is in none yet), why, and how many events it stands for."""

    item: FeedbackItem
    cluster_id: str | None
    assignment: Assignment | None = None
    occurrences: int = 1


@dataclass(frozen=True, slots=True)
class Versions:
    """Which of some items are known, with `updated_at` of their source where it gave one, and which are deleted.

    An item that is neither known nor deleted is in neither.
    """

    known: Mapping[str, datetime | None]
    deleted: frozenset[str]


class FeedbackReader(Protocol):
    """Reads items.

    Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def list(
        self,
        project_id: str,
        *,
        source: str | None = None,
        cluster_id: str | None = None,
        repo: str | None = None,
        words: Sequence[str] = (),
        since: datetime | None = None,
        limit: int,
        offset: int,
        after: str | None = None,
    ) -> Page[FeedbackView]:
        """Return one page of items, newest first; see `ports.paging` for offset, cursor and what one call may look at.

        Args:
            project_id: the project.
            source: only items of this source.
            cluster_id: only items of this cluster; an alias is resolved.
            repo: only items about this repository, "owner/name" in any case.
            words: only items whose title and body contain each of these, in any case.
            since: only items created at this time or later.
            limit: most items on the page.
            offset: how many to skip, where `after` is None.
            after: `Page.next` of the page before.
        """

    async def get(self, project_id: str, item_id: str) -> FeedbackView | None:
        """Return one item, or None."""

    async def versions(self, project_id: str, item_ids: Sequence[str]) -> Versions:
        """Return which versions of these items are stored, in one round trip."""
