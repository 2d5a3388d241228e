"""Reading more of a list than one page holds: long texts make pages short."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from soulcaster.ports.paging import Page

T = TypeVar("T")

ReadPage = Callable[[int, str | None], Awaitable[Page[T]]]
"""Reads a page of at most so many items, from the beginning or after a cursor."""


async def first_of(read: ReadPage[T], most: int) -> AsyncIterator[T]:
    """Yield the first items of a list, at most so many; one page of them is in memory."""
    after: str | None = None
    while most > 0:
        page = await read(most, after)
        for item in page.items:
            yield item
        most -= len(page.items)
        after = page.next
        if after is None:
            return


async def filled(read: ReadPage[T], limit: int, shorten: Callable[[T], T] = lambda item: item) -> Page[T]:
    """Return a page of `limit` items, each shortened as soon as it is read; fewer only where the list has no more.

    A list that was not counted to its end is not read further.
    """
    page = await read(limit, None)
    items = [*map(shorten, page.items)]
    rest = page
    while page.counted and rest.next is not None and len(items) < limit:
        rest = await read(limit - len(items), rest.next)
        items += map(shorten, rest.items)
    return replace(page, items=tuple(items), next=rest.next)
