"""Pages of a long list, by number."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlencode

from aiohttp import web
from pydantic import BaseModel, Field

from soulcaster.domain.lifecycle import ClusterStatus
from soulcaster.ports.clusters import ClusterOrder
from soulcaster.web.parameters import Cursor, Words, read_query, words
from soulcaster.wire.fields import Source


class PageQuery(BaseModel):
    """Query of a page with a list."""

    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class ClustersQuery(PageQuery):
    """Query of the list of clusters: what it is narrowed down to, its order, and its page or where it goes on."""

    status: ClusterStatus | None = None
    source: Source | None = None
    sort: ClusterOrder = "largest"
    q: Words | None = None
    cursor: Cursor | None = None

    @property
    def narrowed(self) -> bool:
        """Tell whether it is not the list of all."""
        return bool(self.status or self.source or words(self.q))

    @property
    def again(self) -> Mapping[str, str]:
        """Return what of the query stands in the address of another part of the same list."""
        return self.model_dump(exclude_defaults=True, exclude={"page", "cursor"})

    def after(self, cursor: str) -> str:
        """Return the address of what follows a cursor."""
        return "?" + urlencode({**self.again, "cursor": cursor})


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page of how many this is."""

    page: int
    size: int
    total: int
    again: Mapping[str, str] = field(default_factory=dict)
    """What else stands in the address of a page."""

    def address(self, page: int) -> str:
        """Return the address of a page."""
        return "?" + urlencode({**self.again, "page": page})

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-self.total // self.size))

    @property
    def first(self) -> int:
        """Number, from 1, of the first entry on this page."""
        return (self.page - 1) * self.size + 1

    @property
    def last(self) -> int:
        """Number of the last entry on this page."""
        return min(self.page * self.size, self.total)


def page_number(request: web.Request) -> int:
    """Return the page asked for; the first unless said otherwise.

    Raises:
        Problem: 422 when it is not a number from 1.
    """
    return read_query(request, PageQuery).page
