"""A page of a listing of Reddit's, read from the JSON API or from the Atom feed.

Posts are as `domain.sources.reddit` takes them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import feedparser

from soulcaster.errors import InvalidMessage

_FULLNAME = re.compile(r"t3_[0-9a-z]{1,16}")


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its posts, newest (or hottest) first, and the fullname `after` which the next one begins.

    `validators` are the headers that ask for the same page again only if it has changed.
    """

    posts: Sequence[Mapping[str, Any]]
    after: str | None
    validators: Mapping[str, str]


def read_listing(body: bytes, validators: Mapping[str, str]) -> Page:
    """Return a page of JSON.

    Raises:
        InvalidMessage: it is no listing of Reddit's.
    """
    try:
        data = json.loads(body)["data"]
        children = [child for child in data["children"] if isinstance(child, dict)]
        after = data.get("after")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidMessage("What was answered is no listing in JSON") from error
    return Page(children, after if isinstance(after, str) and _FULLNAME.fullmatch(after) else None, validators)


def read_feed(body: bytes, validators: Mapping[str, str]) -> Page:
    """Return a page of the Atom feed; whether another one follows, it does not say: an empty one is the end.

    Raises:
        InvalidMessage: it is no Atom feed, or not all of one.
    """
    # Of bytes it might take a short one for the name of a file; what it would tidy up is the parser's affair.
    feed = feedparser.parse(
        BytesIO(body),
        response_headers={"content-type": "application/atom+xml; charset=utf-8"},
        sanitize_html=False,
        resolve_relative_uris=False,
    )
    if feed.bozo or not str(feed.get("version", "")).startswith("atom"):
        raise InvalidMessage("What was answered is no Atom feed")
    posts = [_entry(entry) for entry in feed.entries]
    last = str(posts[-1]["id"]) if posts else ""
    return Page(posts, last if _FULLNAME.fullmatch(last) else None, validators)


def _entry(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    contents, tags = entry.get("content") or [{}], entry.get("tags") or [{}]
    return {
        "id": entry.get("id"),
        "title": entry.get("title"),
        "content": contents[0].get("value"),
        "author": entry.get("author"),
        "updated": entry.get("updated"),
        "published": entry.get("published"),
        "link": entry.get("link"),
        "category": tags[0].get("term"),
    }
