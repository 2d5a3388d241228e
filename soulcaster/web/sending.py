"""Answers on their way: readers that take nothing do not fill the process.

An answer stays in memory until its reader has taken it, so a page of 1 MB asked for on a thousand connections that
nobody reads is a gigabyte. Answers have a time to be taken in, and a limit together; whoever is quick notices neither.
Streams have limits of their own (`live_updates`, `job_logs`).

A refusal of what is too much (429) is held back. To refuse is work, too: whoever sends on without pause, heeding no
`Retry-After`, would keep the server as busy with refusals as with what the limit refuses.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from soulcaster.web.turns import leave, project_of

REFUSAL_SECONDS = 1.0
"""How long a refusal is held back, and with it the request's place: so a project has so many refusals in a second as it
has places, whatever it sends."""

SEND_SECONDS = 60.0
"""How long a reader may take for an answer; the largest has about 1 MB."""

UNSENT_BYTES = 128 * 1024 * 1024
"""Bytes of all answers that are not taken yet; beyond, the oldest of whoever has the most is cut off."""

UNSENT_OF_ONE = 32 * 1024 * 1024
"""The same of the readers of one project, or of one address where the answer is of no project."""

_log = structlog.get_logger(__name__)


@dataclass(eq=False, frozen=True, slots=True)
class _Answer:
    """An answer that is not taken yet: its bytes, and the connection that it is on."""

    size: int
    transport: asyncio.Transport


class Unsent:
    """The answers of one server that are not taken yet."""

    def __init__(self) -> None:
        self._of: dict[str, dict[_Answer, None]] = {}
        self._bytes: dict[str, int] = {}

    @contextmanager
    def holding(self, reader: str, size: int, transport: asyncio.Transport) -> Iterator[None]:
        """Count an answer during the block, and cut off others where there is too much."""
        answer = _Answer(size, transport)
        self._of.setdefault(reader, {})[answer] = None
        self._bytes[reader] = self._bytes.get(reader, 0) + size
        while self._bytes[reader] > UNSENT_OF_ONE and len(self._of[reader]) > 1:
            self._cut_oldest(reader)
        while sum(self._bytes.values()) > UNSENT_BYTES and len(self._of) > 1:
            self._cut_oldest(max(self._bytes, key=self._bytes.__getitem__))
        try:
            yield
        finally:
            self._forget(reader, answer)

    def _cut_oldest(self, reader: str) -> None:
        oldest = next(iter(self._of[reader]))
        self._forget(reader, oldest)
        _log.warning("an answer was cut off: too much waits for its readers", reader=reader, bytes=oldest.size)
        oldest.transport.abort()

    def _forget(self, reader: str, answer: _Answer) -> None:
        of_reader = self._of.get(reader, {})
        if answer in of_reader:  # else it was cut off
            del of_reader[answer]
            self._bytes[reader] -= answer.size
            if not of_reader:
                del self._of[reader], self._bytes[reader]


UNSENT = web.AppKey("unsent", Unsent)


@web.middleware
async def send_in_time(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send the answer here, where it is counted until its reader has taken it, and cut off after `SEND_SECONDS`."""
    try:
        response = await handler(request)
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            await asyncio.sleep(REFUSAL_SECONDS)
    finally:
        leave(request)
    transport = request.transport
    if transport is None or response.prepared or not isinstance(response, web.Response):
        return response
    transport.set_write_buffer_limits(0)  # so that sending ends when the last byte has left the process
    reader = project_of(request) or f"address {request.remote}"
    with request.config_dict[UNSENT].holding(reader, response.content_length or 0, transport):
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await response.prepare(request)
                await response.write_eof()
        except TimeoutError:
            _log.warning("an answer was cut off: its reader did not take it in time", path=request.path)
            transport.abort()
        except ConnectionError:
            pass  # the reader has left, as readers may
        finally:
            response.body = None  # aiohttp keeps the response as long as the connection is open
    return response
