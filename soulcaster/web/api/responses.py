"""JSON responses made of models; those with lists end at `RESPONSE_BYTES`."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel

from soulcaster.ports.paging import Page
from soulcaster.web.headers import CURSOR_HEADER, TOTAL_HEADER

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

SHOWN_AT_ONCE = 10
"""Entries that are written together; then whoever else is served has a turn."""

RESPONSE_BYTES = 1_000_000
"""What the entries of one list may have together, unless it is a single one."""


def json_response(model: BaseModel, *, status: int = 200) -> web.Response:
    """Return a model as a JSON response."""
    return web.Response(body=model.model_dump_json().encode(), status=status, content_type="application/json")


async def json_list(page: Page[T], show: Callable[[T], BaseModel]) -> web.Response:
    """Return a page as a bare JSON list; headers hold the length of the whole list and the cursor of the next page.

    Without a known length or a next page, its header is left out.
    """
    entries = await _fitting((show(item).model_dump_json().encode() for item in page.items), len, RESPONSE_BYTES)
    page = page.first(len(entries))
    known = {TOTAL_HEADER: str(page.total) if page.counted else None, CURSOR_HEADER: page.next}
    headers: Mapping[str, str] = {name: value for name, value in known.items() if value is not None}
    return web.Response(body=b"[" + b",".join(entries) + b"]", headers=headers, content_type="application/json")


async def shown(page: Page[T], show: Callable[[T], M], *, beside: BaseModel | None = None) -> tuple[Page[T], list[M]]:
    """Return as much of a page as one response has room for, and the models of its items.

    `beside` is what else the response has.
    """
    room = RESPONSE_BYTES - (0 if beside is None else _size(beside))
    models = await _fitting(map(show, page.items), _size, room)
    return page.first(len(models)), models


def _size(model: BaseModel) -> int:
    return len(model.model_dump_json().encode())


async def _fitting(entries: Iterable[T], size: Callable[[T], int], room: int) -> list[T]:
    """Return the first entries, as many as there is room for, at least one."""
    found: list[T] = []
    for entry in entries:
        if found and not len(found) % SHOWN_AT_ONCE:
            await asyncio.sleep(0)
        room -= size(entry)
        if found and room < 0:
            break
        found.append(entry)
    return found
