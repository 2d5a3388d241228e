"""One reading of a Reddit listing, page by page, from its top to posts that are known: pure.

Listings move while they are read, and between two readings posts are deleted, or appear late because a moderator
approved them. So the cursor is not one post to find again, but the newest post and its time, and the whole first page
is compared each time.
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
"""A listing ends near 1,000 posts, which are 40 pages of the feed; a longer one is left there."""

_REMOVED = "gone"


@dataclass(frozen=True, slots=True)
class Mark:
    """A post: its id, without t3_, and its time in seconds since 1970."""

    id: str
    at: float


@dataclass(frozen=True, slots=True)
class Taken:
    """What a page adds: new or changed posts, ids of removed ones, and why others are not posts.

    `after` is where the next page begins; None at the end of the reading.
    """

    posts: Sequence[Upsert]
    removed: Sequence[str]
    faults: Sequence[str]
    after: str | None


@dataclass(slots=True)
class Reading:
    """A reading in progress. Its result counts once it has ended and the API has accepted all that it took."""

    in_order: bool
    """Newest posts come first, so it reads until known posts; otherwise it reads one page."""

    newest: Mark | None
    """The newest post accepted before; None when there was none, and everything is read."""

    known: Mapping[str, str]
    """Digests of the posts on the first page of the previous reading, by id."""

    now: float
    """When it began, in Unix time. A time after it cannot be true and is no place to continue from."""

    seen: dict[str, str] = field(default_factory=dict)
    """The same of this reading."""

    top: Mark | None = None
    """The newest post so far."""

    after: str | None = None
    """Where the next page begins."""

    validators: Mapping[str, str] = field(default_factory=dict)
    """Request headers that get the first page again only if it has changed."""

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
                digest = _digest(outcome)
                at = None
                if isinstance(outcome, Upsert) and outcome.created_at is not None:
                    last = at = min(outcome.created_at.timestamp(), self.now)
                    if self.top is None or at > self.top.at:
                        self.top = Mark(outcome.external_id, at)
                met = met or (self.newest is not None and outcome.external_id == self.newest.id)
                if not self.pages:
                    self.seen[outcome.external_id] = digest
                if self.known.get(outcome.external_id) == digest or self._is_old(at):
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
        """Return the newest accepted post, once the reading has ended."""
        marks = [mark for mark in (self.newest, self.top) if mark is not None]
        return max(marks, key=lambda mark: mark.at) if marks else None

    def _is_old(self, at: float | None) -> bool:
        """Return whether a post beyond the first page belongs to an earlier reading."""
        return self.pages > 0 and self.newest is not None and at is not None and at < self.newest.at


def _digest(outcome: Upsert | Delete) -> str:
    """Return a digest of a post's content, without its score and its number of comments."""
    if isinstance(outcome, Delete):
        return _REMOVED
    content = json.dumps([outcome.title, outcome.body, outcome.url, outcome.metadata.get("link")])
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


def item(post: Upsert) -> dict[str, Any]:
    """Return a post as POST /ingest/reddit takes it, with the metadata that the predecessor's poller sent.

    The feed has neither score nor comments; as in the predecessor they are 0 then.
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
