"""The right by which a request was let in, for streams, which outlast the check at their beginning."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

from soulcaster.services.stream_rights import Right
from soulcaster.web.dependencies import dependencies

RIGHT = web.RequestKey("right", Right)
"""Set where a request is let in; the local owner without a key has a right that nobody can take away, and none here."""


@contextmanager
def while_allowed(request: web.Request, end: Callable[[], None]) -> Iterator[None]:
    """Call `end` as soon as whoever sent the request may not read any more, until the block ends."""
    if RIGHT not in request:
        yield
        return
    with dependencies(request).stream_rights.watching(request[RIGHT], end):
        yield
