"""What is asked of Reddit over HTTP, one request at a time, and what its answer means for the schedule.

With a client id and secret it is the API, as an application without a user (OAuth); else a mirror that serves listings
as JSON, where one is set; else the Atom feed, which is all that Reddit gives to who has no credentials.

Nothing is tried again here: who tries, waits, and meanwhile other listings could be read. That is the schedule's.
"""

import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any

import aiohttp
from yarl import URL

from soulcaster.errors import BadInput, InvalidMessage
from soulcaster.pollers.addresses import address
from soulcaster.pollers.reddit_pages import Page, read_feed, read_listing
from soulcaster.processes.settings import Settings

REQUEST_SECONDS = 15.0

MAX_BYTES = 64 * 1024 * 1024
"""Of an answer: a hundred posts of the greatest length are less, even where JSON escapes every letter of them."""

PAGE_POSTS = 100
"""Posts in a page; Reddit gives no more, and in a feed may give 25 whatever is asked for."""

TOKEN_MARGIN_SECONDS = 60.0
"""So long before its end a token is renewed."""

TOKEN_SECONDS = 3_600.0
"""How long a token is good that does not say so."""

API_PAUSE = 1.0
FEED_PAUSE = 6.0
"""Between two requests: Reddit lets an application make 100 a minute, and who is nobody about 10."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The page is as it was."""


@dataclass(frozen=True, slots=True)
class Later:
    """It could not be answered now. `asked` is how many seconds Reddit wants us to wait; `everyone`: for anything."""

    reason: str
    asked: float | None = None
    everyone: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """It will not be answered until somebody does something; `everyone`: nor will anything else."""

    reason: str
    everyone: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request, and for how many seconds the rate limit is used up."""

    outcome: Page | Unchanged | Later | Refused
    hold: float = 0.0


@dataclass(frozen=True, slots=True)
class _Way:
    """One of the three ways to a listing; `pause` is how long lies between two requests."""

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
        settings: Settings,
        *,
        clock: Callable[[], float],
        seconds: float = REQUEST_SECONDS,
    ) -> None:
        """Prepare. `clock` is in seconds and does not go back; a request may take `seconds`.

        Raises:
            BadInput: the credentials are set by half, or an address is none.
        """
        self._session = session
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=seconds)
        self.user_agent = user_agent(settings.reddit_user)
        self._id, self._secret = settings.reddit_client_id, settings.reddit_client_secret
        self._site = address("SOULCASTER_REDDIT_URL", settings.reddit_url)
        self._way = self._chosen(settings)
        self._token = ""
        self._token_until = -math.inf

    def _chosen(self, settings: Settings) -> _Way:
        if bool(self._id) != bool(self._secret):
            raise BadInput("REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET go together, and one is missing.")
        if self._id:
            api = address("SOULCASTER_REDDIT_API_URL", settings.reddit_api_url)
            return _Way("OAuth", API_PAUSE, api, "", read_listing)
        if settings.reddit_json_url:
            mirror = address("SOULCASTER_REDDIT_JSON_URL", settings.reddit_json_url)
            return _Way("JSON", API_PAUSE, mirror, ".json", read_listing)
        return _Way("Atom", FEED_PAUSE, self._site, "/.rss", read_feed)

    @property
    def way(self) -> str:
        """Which way it goes: OAuth, JSON or Atom."""
        return self._way.name

    @property
    def pause(self) -> float:
        """Seconds that Reddit wants between two requests that go this way."""
        return self._way.pause

    async def page(
        self, subreddit: str, sort: str, *, after: str | None = None, validators: Mapping[str, str] | None = None
    ) -> Answer:
        """Read one page of a listing: its first, or the one after the post of that fullname.

        With the `validators` of an earlier page it may be `Unchanged`. Whatever Reddit does is an answer, no error.
        """
        query = {"limit": str(PAGE_POSTS), **({"after": after} if after else {})}
        url = (self._way.base / f"r/{subreddit}/{sort}{self._way.suffix}").with_query(query)
        if not self._id:
            return await self._page(url, validators or {}) or Answer(Refused("Reddit answers 401"))
        if self._clock() >= self._token_until and (failed := await self._renew()) is not None:
            return failed
        answer = await self._page(url, validators or {})
        if answer is None:
            if (failed := await self._renew()) is not None:
                return failed
            answer = await self._page(url, validators or {})
        return answer or Answer(Refused("Reddit answers 401 to a token it has just given", everyone=True))

    async def _page(self, url: URL, validators: Mapping[str, str]) -> Answer | None:
        """Return what became of one request, None for 401."""
        headers = {"User-Agent": self.user_agent, **validators}
        if self._id:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            async with self._session.get(
                url, headers=headers, timeout=self._timeout, allow_redirects=False
            ) as response:
                body = await _read(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            return Answer(Later(_failure(error)))
        if response.status == 401:
            return None
        return Answer(self._outcome(response, body, validators), _hold(response.headers))

    def _outcome(
        self, response: aiohttp.ClientResponse, body: bytes | None, validators: Mapping[str, str]
    ) -> Page | Unchanged | Later | Refused:
        if response.status == 304 and validators:
            return Unchanged()
        if response.status != 200:
            unwanted = _unwanted(response.status, response.headers, _json(body))
            if response.status == 403 and self._way.name == "Atom":
                return replace(unwanted, reason=unwanted.reason + _AS_NOBODY)
            return unwanted
        if body is None:
            return Later(f"Reddit's answer is larger than {MAX_BYTES:,} bytes")
        try:
            return self._way.read(body, _validators(response.headers))
        except InvalidMessage as error:
            return Later(str(error))

    async def _renew(self) -> Answer | None:
        """Get a new token; return why there is none, if so."""
        try:
            async with self._session.post(
                self._site / "api/v1/access_token",
                data={"grant_type": "client_credentials"},
                headers={
                    "User-Agent": self.user_agent,
                    "Authorization": aiohttp.encode_basic_auth(self._id, self._secret),
                },
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                body = await _read(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            return Answer(Later(f"No token: {_failure(error)}", everyone=True))
        if response.status in {400, 401, 403}:
            return Answer(
                Refused(
                    f"Reddit answers {response.status} to REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET; check both",
                    everyone=True,
                )
            )
        if response.status != 200:
            asked = _asked(response.headers)
            return Answer(Later(f"No token: Reddit answers {response.status}", asked, everyone=True))
        granted = _json(body)
        token, seconds = granted.get("access_token"), granted.get("expires_in", TOKEN_SECONDS)
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            return Answer(Later("No token: Reddit's answer has none", everyone=True))
        self._token = token
        good_for = float(seconds) if isinstance(seconds, int | float) else TOKEN_SECONDS
        self._token_until = self._clock() + good_for - TOKEN_MARGIN_SECONDS
        return None


_AS_NOBODY = "; with REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET it would know who asks"


def user_agent(name: str) -> str:
    """Return who we say we are, in the form that Reddit asks for; `name` is the account that answers for it."""
    by = f" (by /u/{name.removeprefix('/').removeprefix('u/')})" if name else ""
    return f"{sys.platform}:soulcaster:{version('soulcaster')}{by}"


def _unwanted(status: int, headers: Mapping[str, str], said: Mapping[str, Any]) -> Later | Refused:
    """Return what a status that is neither 200 nor 304 means."""
    if status == 429:
        return Later("Reddit answers 429, too many requests", _asked(headers), everyone=True)
    if status >= 500 or status in {304, 408, 425}:
        return Later(f"Reddit answers {status}", _asked(headers))
    reason = said.get("reason")
    if isinstance(reason, str) and reason.isprintable():
        return Refused(f"Reddit answers {status}: the subreddit is {reason[:50]}")
    if status == 403:
        return Refused("Reddit answers 403: it has blocked us, or the subreddit is closed")
    if status == 404 or 300 <= status < 400:
        return Refused(f"Reddit answers {status}: there seems to be no such subreddit")
    return Refused(f"Reddit answers {status}")


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """Return the body, None where it is larger than we take."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BYTES:
            return None
    return bytes(body)


def _json(body: bytes | None) -> Mapping[str, Any]:
    """Return an object in JSON; an empty one where it is none, as of errors that are pages for people."""
    try:
        said = json.loads(body or b"")
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _failure(error: Exception) -> str:
    return "Reddit does not answer in time" if isinstance(error, TimeoutError) else f"Reddit is out of reach: {error}"


def _validators(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return the headers that ask for a page again only if it has changed."""
    names = (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since"))
    return {asks: headers[given] for given, asks in names if given in headers}


def _asked(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds we are asked to wait: by Retry-After, else until the rate limit begins anew."""
    value = headers.get("Retry-After", "")
    seconds = _number(value)
    if seconds is None and value:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            seconds = None
    return _number(headers.get("X-Ratelimit-Reset")) if seconds is None else max(0.0, seconds)


def _hold(headers: Mapping[str, str]) -> float:
    """Return for how many seconds no request is left; X-Ratelimit-Reset are seconds from now."""
    remaining, reset = _number(headers.get("X-Ratelimit-Remaining")), _number(headers.get("X-Ratelimit-Reset"))
    return reset if remaining is not None and reset is not None and remaining < 1 else 0.0


def _number(text: str | None) -> float | None:
    """Return a number of seconds or requests, None where it is none."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
