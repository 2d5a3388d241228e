"""Pages of a long list, by number."""

from dataclasses import dataclass
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field

from soulcaster.web.parameters import read_query


class PageQuery(BaseModel):
    """Query of a page with a list."""

    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page of how many this is."""

    page: int
    size: int
    total: int

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
