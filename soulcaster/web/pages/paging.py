"""Lists in pages: by number, or after a cursor where a list is not counted to its end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal
from urllib.parse import urlencode

from aiohttp import web
from pydantic import BaseModel, Field

from soulcaster.domain.lifecycle import ClusterStatus, JobState
from soulcaster.ports.clusters import ClusterOrder
from soulcaster.web.parameters import Cursor, Id, Words, read_query, words
from soulcaster.wire.fields import Source


class PageQuery(BaseModel):
    """Query of a page with a list."""

    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class ClustersQuery(PageQuery):
    """Query of the list of clusters: its filters, its order, and its page or cursor."""

    status: ClusterStatus | None = None
    source: Source | None = None
    theme_id: Id | None = None
    sort: ClusterOrder = "largest"
    q: Words | None = None
    cursor: Cursor | None = None

    @property
    def filtered(self) -> bool:
        """Whether any filter is set."""
        return bool(self.status or self.source or self.theme_id or words(self.q))

    @property
    def parameters(self) -> Mapping[str, str]:
        """The query parameters that all pages of the list share."""
        return self.model_dump(exclude_defaults=True, exclude={"page", "cursor"})

    def after(self, cursor: str) -> str:
        """Return the relative address of the page after a cursor."""
        return "?" + urlencode({**self.parameters, "cursor": cursor})


class JobsQuery(PageQuery):
    """Query of a list of jobs: their state, and its page or cursor; `active` are all that have not ended."""

    state: JobState | Literal["active"] | None = None
    cursor: Cursor | None = None

    @property
    def parameters(self) -> Mapping[str, str]:
        """The query parameters that all pages of the list share."""
        return self.model_dump(exclude_defaults=True, exclude={"page", "cursor"})

    def after(self, cursor: str) -> str:
        """Return the relative address of the page after a cursor."""
        return "?" + urlencode({**self.parameters, "cursor": cursor})


@dataclass(frozen=True, slots=True)
class Paging:
    """A page number, the entries per page, and how many entries there are; `parameters` are those of every page."""

    page: int
    size: int
    total: int
    parameters: Mapping[str, str] = field(default_factory=dict)

    def address(self, page: int) -> str:
        """Return the relative address of a page."""
        return "?" + urlencode({**self.parameters, "page": page})

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
    """Return the page number in the query, by default 1.

    Raises:
        Problem: 422 when it is not a number from 1.
    """
    return read_query(request, PageQuery).page
