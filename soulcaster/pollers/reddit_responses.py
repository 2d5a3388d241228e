"""What a response of Reddit's means for the schedule: a page, a reason to retry later, or a refusal."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from soulcaster.http_json import parse_json
from soulcaster.http_numbers import LONGEST_WAIT, read_number, read_retry_after
from soulcaster.pollers.reddit_pages import Page


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The page has not changed."""


@dataclass(frozen=True, slots=True)
class Later:
    """The request failed and can be retried; with `everyone`, so does any other request now.

    `retry_after` is how many seconds Reddit asks to wait.
    """

    reason: str
    retry_after: float | None = None
    everyone: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The request fails until a person acts; with `everyone`, so does any other request."""

    reason: str
    everyone: bool = False


@dataclass(frozen=True, slots=True)
class PageResult:
    """The outcome of a request for a page; `hold` is for how many seconds the rate limit is used up."""

    outcome: Page | Unchanged | Later | Refused
    hold: float = 0.0


def not_a_page(status: int, headers: Mapping[str, str], body: bytes | None) -> Later | Refused:
    """Return what a status other than 200, 304 and 401 means."""
    if status == 429:
        return Later("Reddit answers 429, too many requests", retry_after(headers), everyone=True)
    if status >= 500 or status in {304, 408, 425}:
        return Later(f"Reddit answers {status}", retry_after(headers))
    reason = json_object(body).get("reason")
    if isinstance(reason, str) and reason.isprintable():
        return Refused(f"Reddit answers {status}: the subreddit is {reason[:50]}")
    if status == 403:
        return Refused("Reddit answers 403: it has blocked us, or the subreddit is closed")
    if status == 404 or 300 <= status < 400:
        return Refused(f"Reddit answers {status}: there seems to be no such subreddit")
    return Refused(f"Reddit answers {status}")


def json_object(body: bytes | None) -> Mapping[str, Any]:
    """Return a JSON object; an empty one when the body is something else, such as an error page in HTML."""
    try:
        value = parse_json(body or b"")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def validators(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return the request headers that get a page again only if it has changed."""
    names = (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since"))
    return {request: headers[response] for response, request in names if response in headers}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that Retry-After asks to wait, or else those until the rate limit's next window."""
    seconds = read_retry_after(headers, datetime.now(UTC))
    return _until_reset(headers) if seconds is None else seconds


def hold(headers: Mapping[str, str]) -> float:
    """Return for how many seconds the rate limit is used up."""
    remaining = read_number(headers.get("X-Ratelimit-Remaining"))
    return (_until_reset(headers) or 0.0) if remaining is not None and remaining < 1 else 0.0


def _until_reset(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until the rate limit's next window; X-Ratelimit-Reset is in seconds from now."""
    seconds = read_number(headers.get("X-Ratelimit-Reset"))
    return None if seconds is None else min(seconds, LONGEST_WAIT)
