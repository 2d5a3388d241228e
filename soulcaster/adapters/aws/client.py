"""A client of one service of AWS that opens its connections at the first call."""

import asyncio
import os
from contextlib import AsyncExitStack
from typing import Any

import aioboto3
import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession

from soulcaster.http_client import http_session

CONNECT_SECONDS = 3.0


class _Session(AIOHTTPSession):  # type: ignore[misc]  # it ships no types that hold
    """The library's way to HTTP over a session of ours, which bounds answers.

    It follows no redirect, as botocore itself does: botocore signs another request.
    """

    async def _get_session(self, proxy_url: str | None) -> "_Requests":
        if proxy_url not in self._sessions:
            session = http_session(
                connector=self._create_connector(proxy_url),
                timeout=self._timeout,
                skip_auto_headers={"Content-Type"},
                auto_decompress=False,
            )
            self._sessions[proxy_url] = await self._exit_stack.enter_async_context(session)
        return _Requests(self._sessions[proxy_url])


class _Requests:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def request(self, *words: Any, **options: Any) -> aiohttp.ClientResponse:
        return await self._session.request(*words, allow_redirects=False, **options)


class LazyClient:
    """Opens a client when it is first asked for; after `close` it opens another one."""

    def __init__(self, service: str, *, read_seconds: float, tries: int) -> None:
        """`service` is boto's name of it. A request is tried `tries` times, with random waits that grow from a second.

        `read_seconds` is how long one try waits for each part of an answer.
        """
        self._service = service
        self._config = AioConfig(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=read_seconds,
            retries={"mode": "standard", "total_max_attempts": tries},
            http_session_cls=_Session,
        )
        self._stack = AsyncExitStack()
        self._client: Any = None
        self._opening = asyncio.Lock()

    async def open(self) -> Any:
        """Return the client, whose methods boto makes from AWS's descriptions; opening takes a tenth of a second."""
        async with self._opening:
            if self._client is None:
                # ECS sets AWS_REGION, which boto does not read: it knows AWS_DEFAULT_REGION and its files.
                session = aioboto3.Session(region_name=os.environ.get("AWS_REGION"))
                client = session.client(self._service, config=self._config)
                self._client = await self._stack.enter_async_context(client)
            return self._client

    async def close(self) -> None:
        """Close the connections."""
        self._client = None
        await self._stack.aclose()
