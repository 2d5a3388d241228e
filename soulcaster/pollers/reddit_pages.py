"""A page of a Reddit listing, read from the JSON API or from the Atom feed.

Posts have the form that `domain.sources.reddit` takes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from soulcaster.errors import InvalidMessage
from soulcaster.http_json import parse_json
from soulcaster.pollers.atom import read_entries

MOST_POSTS = 1_000
"""No page has more posts: a whole listing of Reddit's ends there, whatever a mirror calls a page."""

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
        InvalidMessage: it is not a listing of Reddit's, or has more than `MOST_POSTS`.
    """
    try:
        data = parse_json(body)["data"]
        children = [child for child in data["children"] if isinstance(child, dict)]
        after = data.get("after")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidMessage("What was answered is no listing in JSON") from error
    if len(children) > MOST_POSTS:
        raise InvalidMessage(f"What was answered is no page: it has more than {MOST_POSTS:,} posts")
    return Page(children, after if isinstance(after, str) and _FULLNAME.fullmatch(after) else None, validators)


def read_feed(body: bytes, validators: Mapping[str, str]) -> Page:
    """Return a page from the Atom feed. A feed does not say whether another page follows; an empty page is the end.

    Raises:
        InvalidMessage: it is not a page of an Atom feed, or an incomplete one.
    """
    posts = read_entries(body)
    last = posts[-1].get("id", "") if posts else ""
    return Page(posts, last if _FULLNAME.fullmatch(last) else None, validators)
