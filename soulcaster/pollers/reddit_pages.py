"""A page of a Reddit listing, read from the JSON API or from the Atom feed.

Posts have the form that `domain.sources.reddit` takes.
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
    """A page: its posts, in the listing's order, and the fullname `after` which the next page begins.

    `validators` are the request headers that get the same page again only if it has changed.
    """

    posts: Sequence[Mapping[str, Any]]
    after: str | None
    validators: Mapping[str, str]


def read_listing(body: bytes, validators: Mapping[str, str]) -> Page:
    """Return a page from JSON.

    Raises:
        InvalidMessage: it is not a listing of Reddit's.
    """
    try:
        data = json.loads(body)["data"]
        children = [child for child in data["children"] if isinstance(child, dict)]
        after = data.get("after")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidMessage("What was answered is no listing in JSON") from error
    return Page(children, after if isinstance(after, str) and _FULLNAME.fullmatch(after) else None, validators)


def read_feed(body: bytes, validators: Mapping[str, str]) -> Page:
    """Return a page from the Atom feed. A feed does not say whether another page follows; an empty page is the end.

    Raises:
        InvalidMessage: it is not an Atom feed, or an incomplete one.
    """
    # BytesIO, because feedparser takes short bytes for the name of a file. Our own parser cleans up the HTML.
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
