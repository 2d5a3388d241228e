"""Answers to the libraries that ask GitHub by httpx or httpx2: bounded in bytes, as those of `http_client` are."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx
import httpx2

from soulcaster.http_client import AnswerTooLarge

SMALL_BYTES = 128 * 1024
"""No error and no answer that a library parses on the event loop is larger: parsing it takes a few milliseconds."""

Hooks = Mapping[str, list[Callable[[Any], Any]]]


class _Bounded(httpx.AsyncByteStream, httpx2.AsyncByteStream):
    """A body that ends with an error once it has more than `most` bytes."""

    def __init__(self, body: Any, most: int) -> None:
        self._body = body
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        count = 0
        async for part in self._body:
            count += len(part)
            if count > self._most:
                raise AnswerTooLarge(self._most)
            yield part

    async def aclose(self) -> None:
        """Close the connection."""
        await self._body.aclose()


def bounded_answers(most: int = SMALL_BYTES) -> Hooks:
    """Return hooks of a client of httpx or httpx2, whose answers end with `AnswerTooLarge` above `most` bytes.

    Errors, and answers to GraphQL, end above `SMALL_BYTES`. Compression is not asked for, and not taken: a small body
    would become a large one.
    """

    async def ask(request: Any) -> None:
        request.headers["Accept-Encoding"] = "identity"

    async def bound(response: Any) -> None:
        small = response.status_code >= 400 or response.request.url.path.endswith("/graphql")
        limit = min(most, SMALL_BYTES) if small else most
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise AnswerTooLarge(limit)
        response.stream = _Bounded(response.stream, limit)

    return {"request": [ask], "response": [bound]}
