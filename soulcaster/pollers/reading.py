"""One reading of a listing, page by page, from its top to what is known: pure.

Listings move while they are read, and between two readings posts are deleted, or appear late because a moderator let
them in. So the cursor is not one post to be found again, but the newest there was and its time, and all of the first
page is looked at each time.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from soulcaster.domain.sources import Delete, Nothing, Upsert
from soulcaster.domain.sources.reddit import parse
from soulcaster.pollers.reddit_pages import Page

MAX_PAGES = 50
"""A listing ends near 1,000 posts, which are 40 pages of the feed; one that does not end is left."""

_GONE = "gone"


@dataclass(frozen=True, slots=True)
class Mark:
    """A post: its id, without t3_, and when it was posted, in seconds since 1970."""

    id: str
    at: float


@dataclass(frozen=True, slots=True)
class Taken:
    """What a page brings: posts that are new or have changed, ids of those that were removed, and what is no post.

    `after` is where the next page begins; None where the reading ends.
    """

    posts: Sequence[Upsert]
    removed: Sequence[str]
    faults: Sequence[str]
    after: str | None


@dataclass(slots=True)
class Reading:
    """A reading that has begun. What it has learned counts once all that it took is accepted, and it has ended."""

    in_order: bool
    """The newest comes first, so there is more to read until what is known; else one page is all."""

    newest: Mark | None
    """The newest post that was accepted before, None where none was: then all is read."""

    known: Mapping[str, str]
    """The posts of the first page of the reading before, and what they said."""

    seen: dict[str, str] = field(default_factory=dict)
    """The same of this one."""

    top: Mark | None = None
    """The newest post so far."""

    after: str | None = None
    """Where the next page begins."""

    validators: Mapping[str, str] = field(default_factory=dict)
    """What asks for the first page again only if it has changed."""

    pages: int = 0
    _asked: set[str] = field(default_factory=set)

    def take(self, page: Page) -> Taken:
        """Take the next page."""
        if not self.pages:
            self.validators = page.validators
        posts: list[Upsert] = []
        removed: list[str] = []
        faults: list[str] = []
        met, last = False, None
        for raw in page.posts:
            try:
                outcomes = parse({}, raw)
            except ValueError as error:
                faults.append(str(error))
                continue
            for outcome in outcomes:
                if isinstance(outcome, Nothing):
                    continue
                said = _said(outcome)
                at = None
                if isinstance(outcome, Upsert) and outcome.created_at is not None:
                    last = at = outcome.created_at.timestamp()
                    if self.top is None or at > self.top.at:
                        self.top = Mark(outcome.external_id, at)
                met = met or (self.newest is not None and outcome.external_id == self.newest.id)
                if not self.pages:
                    self.seen[outcome.external_id] = said
                if self.known.get(outcome.external_id) == said or self._is_old(at):
                    continue
                if isinstance(outcome, Upsert):
                    posts.append(outcome)
                else:
                    removed.append(outcome.external_id)
        self.pages += 1
        met = met or (self.newest is not None and last is not None and last < self.newest.at)
        more = self.in_order and not met and page.posts and self.pages < MAX_PAGES and page.after not in self._asked
        self.after = page.after if more else None
        if self.after is not None:
            self._asked.add(self.after)
        return Taken(posts, removed, faults, self.after)

    def mark(self) -> Mark | None:
        """Return the newest post that is accepted, once the reading has ended."""
        marks = [mark for mark in (self.newest, self.top) if mark is not None]
        return max(marks, key=lambda mark: mark.at) if marks else None

    def _is_old(self, at: float | None) -> bool:
        """Tell whether a post beyond the first page is one that an earlier reading had."""
        return self.pages > 0 and self.newest is not None and at is not None and at < self.newest.at


def _said(outcome: Upsert | Delete) -> str:
    """Return what stands for what a post says; its score and comments are not what it says."""
    if isinstance(outcome, Delete):
        return _GONE
    said = json.dumps([outcome.title, outcome.body, outcome.url, outcome.metadata.get("link")])
    return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()


def item(post: Upsert) -> dict[str, Any]:
    """Return a post as POST /ingest/reddit takes it, with the metadata that the predecessor's poller sent.

    The feed knows neither score nor comments, so they are 0 there, as they were.
    """
    metadata = {**post.metadata, **post.volatile}
    created = post.created_at
    return {
        "source": "reddit",
        "external_id": post.external_id,
        "title": post.title,
        "body": post.body or post.title,
        "author": post.author,
        "url": post.url,
        "created_at": created.isoformat() if created else None,
        "metadata": {
            "subreddit": metadata.get("subreddit"),
            "permalink": post.url,
            "author": post.author or "[deleted]",
            "created_utc": created.timestamp() if created else None,
            "score": metadata.get("score", 0),
            "num_comments": metadata.get("num_comments", 0),
            "url": metadata.get("link") or post.url,
        },
    }
