"""Reads pages of Reddit's listings over HTTP, one request at a time.

With a client id and secret it reads the API, as an application without a user (OAuth); otherwise a mirror that serves
listings as JSON, if one is set; otherwise the Atom feed, which is all that Reddit serves without credentials.

It does not retry: the schedule does, and reads other listings meanwhile.
"""

import asyncio
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version

import aiohttp
from yarl import URL

from soulcaster.errors import InvalidMessage
from soulcaster.http_numbers import read_number
from soulcaster.pollers.reddit_pages import Page, read_feed, read_listing
from soulcaster.pollers.reddit_responses import (
    Later,
    PageResult,
    Refused,
    Unchanged,
    hold,
    json_object,
    not_a_page,
    retry_after,
    validators,
)

REQUEST_SECONDS = 15.0

MAX_BYTES = 64 * 1024 * 1024
"""Most bytes of a page; a hundred posts of the greatest length have fewer, even with every letter escaped."""

MAX_OTHER_BYTES = 64 * 1024
"""Most bytes that are read of a response that is no page."""

PAGE_POSTS = 100
"""Posts of a page. Reddit returns no more, and its feed may return 25 in any case."""

TOKEN_MARGIN_SECONDS = 60.0
"""How long before its end a token is renewed."""

TOKEN_SECONDS = 3_600.0
"""How long a token is valid when Reddit does not say so."""

API_PAUSE = 1.0
FEED_PAUSE = 6.0
"""Seconds between two requests: Reddit allows an application 100 a minute, and clients without credentials about 10."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The client id and secret of an application at Reddit, and the address of the API that accepts its tokens."""

    client_id: str
    client_secret: str = field(repr=False)
    api: URL


@dataclass(frozen=True, slots=True)
class RedditConfig:
    """How Reddit is read."""

    site: URL
    """Reddit's feeds and tokens."""

    user: str = ""
    """The Reddit account responsible for the poller; Reddit asks for it."""

    credentials: Credentials | None = None
    mirror: URL | None = None
    """A server of /r/NAME/new.json, read when there are no credentials."""


@dataclass(frozen=True, slots=True)
class _Way:
    """One of the three ways to a listing; `pause` is the seconds between two requests."""

    name: str
    pause: float
    base: URL
    suffix: str
    read: Callable[[bytes, Mapping[str, str]], Page]


class RedditClient:
    """Reads pages of listings; one task uses it at a time."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        config: RedditConfig,
        *,
        clock: Callable[[], float],
        seconds: float = REQUEST_SECONDS,
    ) -> None:
        """`clock` is monotonic, in seconds; `seconds` is the time limit of a request."""
        self._session = session
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=seconds)
        self.user_agent = user_agent(config.user)
        self._site = config.site
        self._credentials = config.credentials
        self._way = _way(config)
        self._token = ""
        self._token_until = -math.inf

    @property
    def way(self) -> str:
        """How listings are read: OAuth, JSON or Atom."""
        return self._way.name

    @property
    def pause(self) -> float:
        """Seconds that Reddit requires between two requests."""
        return self._way.pause

    async def page(
        self, subreddit: str, sort: str, *, after: str | None = None, validators: Mapping[str, str] | None = None
    ) -> PageResult:
        """Read one page of a listing: the first one, or the one that follows the post with the fullname `after`.

        With the `validators` of an earlier page the outcome can be `Unchanged`. A failure is an outcome, not an error.
        """
        query = {"limit": str(PAGE_POSTS), **({"after": after} if after else {})}
        url = (self._way.base / f"r/{subreddit}/{sort}{self._way.suffix}").with_query(query)
        if self._credentials is None:
            return await self._page(url, validators or {}) or PageResult(Refused("Reddit answers 401"))
        if self._clock() >= self._token_until and (failed := await self._renew(self._credentials)) is not None:
            return failed
        result = await self._page(url, validators or {})
        if result is None:
            if (failed := await self._renew(self._credentials)) is not None:
                return failed
            result = await self._page(url, validators or {})
        return result or PageResult(Refused("Reddit answers 401 to a token it has just given", everyone=True))

    async def _page(self, url: URL, known: Mapping[str, str]) -> PageResult | None:
        """Return the result of one request, None for 401."""
        headers = {"User-Agent": self.user_agent, **known}
        if self._credentials is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            async with self._session.get(
                url, headers=headers, timeout=self._timeout, allow_redirects=False
            ) as response:
                body = await _body(response, MAX_BYTES if response.status == 200 else MAX_OTHER_BYTES)
        except (aiohttp.ClientError, TimeoutError) as error:
            return PageResult(Later(_failure(error)))
        if response.status == 401:
            return None
        return PageResult(await self._outcome(response, body, known), hold(response.headers))

    async def _outcome(
        self, response: aiohttp.ClientResponse, body: bytes | None, known: Mapping[str, str]
    ) -> Page | Unchanged | Later | Refused:
        if response.status == 304 and known:
            return Unchanged()
        if response.status != 200:
            outcome = not_a_page(response.status, response.headers, body)
            if response.status == 403 and self._way.name == "Atom":
                return replace(outcome, reason=outcome.reason + _WITHOUT_CREDENTIALS)
            return outcome
        if body is None:
            return Later(f"Reddit's answer is larger than {MAX_BYTES:,} bytes")
        try:
            return await asyncio.to_thread(self._way.read, body, validators(response.headers))
        except InvalidMessage as error:
            return Later(str(error))

    async def _renew(self, credentials: Credentials) -> PageResult | None:
        """Get a new token; return why that failed, None when it did not."""
        try:
            async with self._session.post(
                self._site / "api/v1/access_token",
                data={"grant_type": "client_credentials"},
                headers={
                    "User-Agent": self.user_agent,
                    "Authorization": aiohttp.encode_basic_auth(credentials.client_id, credentials.client_secret),
                },
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                body = await _body(response, MAX_OTHER_BYTES)
        except (aiohttp.ClientError, TimeoutError) as error:
            return PageResult(Later(f"No token: {_failure(error)}", everyone=True))
        if response.status in {400, 401, 403}:
            reason = f"Reddit answers {response.status} to REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET; check both"
            return PageResult(Refused(reason, everyone=True))
        if response.status != 200:
            reason = f"No token: Reddit answers {response.status}"
            return PageResult(Later(reason, retry_after(response.headers), everyone=True))
        granted = json_object(body)
        token, seconds = granted.get("access_token"), read_number(granted.get("expires_in"))
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            return PageResult(Later("No token: Reddit's answer has none", everyone=True))
        self._token = token
        self._token_until = self._clock() + (TOKEN_SECONDS if seconds is None else seconds) - TOKEN_MARGIN_SECONDS
        return None


_WITHOUT_CREDENTIALS = "; with REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET it would know who asks"


def user_agent(name: str) -> str:
    """Return our user agent in the form that Reddit asks for; `name` is the account responsible for the poller."""
    by = f" (by /u/{name.removeprefix('/').removeprefix('u/')})" if name else ""
    return f"{sys.platform}:soulcaster:{version('soulcaster')}{by}"


def _way(config: RedditConfig) -> _Way:
    if config.credentials is not None:
        return _Way("OAuth", API_PAUSE, config.credentials.api, "", read_listing)
    if config.mirror is not None:
        return _Way("JSON", API_PAUSE, config.mirror, ".json", read_listing)
    return _Way("Atom", FEED_PAUSE, config.site, "/.rss", read_feed)


async def _body(response: aiohttp.ClientResponse, most: int) -> bytes | None:
    """Return the body, None when it has more bytes than `most`."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)


def _failure(error: Exception) -> str:
    return "Reddit does not answer in time" if isinstance(error, TimeoutError) else f"Reddit is out of reach: {error}"
