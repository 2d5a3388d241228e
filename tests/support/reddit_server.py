"""A Reddit on loopback: OAuth, listings in JSON and Atom, and faults that a test sets."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self
from xml.sax.saxutils import escape

from aiohttp import web
from aiohttp.test_utils import TestServer

from soulcaster.processes.settings import Settings

CLIENT_ID, CLIENT_SECRET = "an-id", "a-secret"
USER = "kim_runs_it"


@dataclass(slots=True)
class Post:
    id: str
    title: str
    text: str
    created: int
    author: str | None = "kim"
    score: int = 1
    removed: bool = False

    def listed(self, subreddit: str) -> dict[str, Any]:
        text = "[removed]" if self.removed else self.text
        return {
            "kind": "t3",
            "data": {
                "id": self.id,
                "name": f"t3_{self.id}",
                "title": escape(self.title),
                "selftext": escape(text),
                "selftext_html": escape(html(text)),
                "author": self.author or "[deleted]",
                "created_utc": float(self.created),
                "edited": False,
                "score": self.score,
                "num_comments": 2,
                "subreddit": subreddit,
                "permalink": f"/r/{subreddit}/comments/{self.id}/a_title/",
                "url": f"https://www.reddit.com/r/{subreddit}/comments/{self.id}/a_title/",
                "removed_by_category": "moderator" if self.removed else None,
            },
        }

    def entry(self, subreddit: str) -> str:
        at = f"{stamp(self.created)}+00:00"
        return (
            f"<entry><author><name>/u/{self.author or '[deleted]'}</name></author>"
            f'<category term="{subreddit}" label="r/{subreddit}"/>'
            f'<content type="html">{escape(html("[removed]" if self.removed else self.text))}</content>'
            f'<id>t3_{self.id}</id><link href="https://www.reddit.com/r/{subreddit}/comments/{self.id}/a_title/" />'
            f"<updated>{at}</updated><published>{at}</published><title>{escape(self.title)}</title></entry>"
        )


@dataclass(slots=True)
class Asked:
    """A request as received; `path` includes the query."""

    path: str
    headers: Mapping[str, str]


@dataclass(slots=True)
class Fault:
    """A response in place of a page: a status with headers and a body; `HANGS` never responds."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = "<html>What went wrong, for people</html>"


HANGS = Fault()


class Reddit:
    """A server with `posts` by subreddit, newest first; other subreddits do not exist."""

    def __init__(self) -> None:
        self.posts: dict[str, list[Post]] = {}
        self.faults: list[Fault | None] = []
        """Responses to the next requests for a page, one each; None is the page."""
        self.closed: dict[str, Fault] = {}
        """The response to every request for a subreddit."""
        self.token_faults: list[Fault] = []
        self.page_headers: dict[str, str] = {}
        """Headers of every page."""
        self.page_posts = {"feed": 25, "json": 100}
        self.has_etags = False
        self.expires_in: Any = 3600
        self.tokens: set[str] = set()
        """Valid ones."""
        self.tokens_given = 0
        self.asked: list[Asked] = []
        """Every request for a page."""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/api/v1/access_token", self._give_token)
        app.router.add_get("/api/r/{subreddit}/{sort}", self._by_token)
        app.router.add_get(r"/mirror/r/{subreddit}/{sort:\w+}.json", self._json)
        app.router.add_get("/r/{subreddit}/{sort}/.rss", self._feed)
        self._server = TestServer(app, host="127.0.0.1")
        await self._server.start_server(shutdown_timeout=0.1)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._server.close()

    def settings(self, *, way: str = "Atom", **more: Any) -> Settings:
        base = str(self._server.make_url("")).rstrip("/")
        given: dict[str, Any] = {"reddit_url": base, "reddit_user": USER, "reddit_api_url": f"{base}/api"}
        if way == "OAuth":
            given |= {"reddit_client_id": CLIENT_ID, "reddit_client_secret": CLIENT_SECRET}
        if way == "JSON":
            given |= {"reddit_json_url": f"{base}/mirror"}
        return Settings().model_copy(update={**given, **more})

    def environment(self, *, way: str = "Atom") -> dict[str, str]:
        """Return the variables of a poller that reads from here."""
        of = self.settings(way=way)
        return {
            "SOULCASTER_REDDIT_URL": of.reddit_url,
            "SOULCASTER_REDDIT_API_URL": of.reddit_api_url,
            "SOULCASTER_REDDIT_USER": of.reddit_user,
            "REDDIT_CLIENT_ID": of.reddit_client_id,
            "REDDIT_CLIENT_SECRET": of.reddit_client_secret,
        }

    def add(self, subreddit: str, *posts: Post) -> None:
        """Post, the newest last."""
        self.posts[subreddit] = [*reversed(posts), *self.posts.get(subreddit, [])]

    @property
    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    async def _give_token(self, request: web.Request) -> web.Response:
        if self.token_faults:
            return await self._fail(self.token_faults.pop(0))
        credentials = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        form = await request.post()
        if request.headers.get("Authorization") != f"Basic {credentials}":
            return web.json_response({"message": "Unauthorized", "error": 401}, status=401)
        if form.get("grant_type") != "client_credentials":
            return web.json_response({"error": "unsupported_grant_type"})
        self.tokens_given += 1
        token = f"token-{self.tokens_given}"
        self.tokens.add(token)
        return web.json_response(
            {"access_token": token, "token_type": "bearer", "expires_in": self.expires_in, "scope": "*"}
        )

    async def _by_token(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            self.asked.append(Asked(request.path_qs, request.headers))
            return web.json_response({"message": "Unauthorized", "error": 401}, status=401)
        return await self._json(request)

    async def _json(self, request: web.Request) -> web.Response:
        found = await self._page(request, "json")
        if isinstance(found, web.Response):
            return found
        subreddit, posts, more = found
        data = {
            "after": f"t3_{posts[-1].id}" if more else None,
            "children": [post.listed(subreddit) for post in posts],
        }
        return self._unless_known(request, json.dumps({"kind": "Listing", "data": data}), "application/json")

    async def _feed(self, request: web.Request) -> web.Response:
        found = await self._page(request, "feed")
        if isinstance(found, web.Response):
            return found
        subreddit, posts, _ = found
        entries = "".join(post.entry(subreddit) for post in posts)
        text = (
            '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom">'
            f"<category term='{subreddit}' label='r/{subreddit}'/><id>/r/{subreddit}/.rss</id>"
            f"<title>newest submissions</title>{entries}</feed>"
        )
        return self._unless_known(request, text, "application/atom+xml")

    def _unless_known(self, request: web.Request, text: str, content_type: str) -> web.Response:
        headers = dict(self.page_headers)
        if self.has_etags:
            headers["ETag"] = f'"{hashlib.sha256(text.encode()).hexdigest()}"'
            if request.headers.get("If-None-Match") == headers["ETag"]:
                return web.Response(status=304, headers=headers)
        return web.Response(text=text, content_type=content_type, charset="utf-8", headers=headers)

    async def _page(self, request: web.Request, kind: str) -> web.Response | tuple[str, Sequence[Post], bool]:
        self.asked.append(Asked(request.path_qs, request.headers))
        subreddit, sort = request.match_info["subreddit"], request.match_info["sort"]
        if self.faults and (fault := self.faults.pop(0)) is not None:
            return await self._fail(fault)
        if subreddit in self.closed:
            return await self._fail(self.closed[subreddit])
        if subreddit not in self.posts:
            return web.Response(status=302, headers={"Location": "/subreddits/search"})
        posts = self.posts[subreddit]
        if sort != "new":
            posts = sorted(posts, key=lambda post: (-post.score, post.id))
        after = request.query.get("after")
        start = next(
            (at + 1 for at, post in enumerate(posts) if f"t3_{post.id}" == after), 0 if after is None else None
        )
        if start is None:
            return web.Response(status=400)
        size = min(self.page_posts[kind], int(request.query.get("limit", "25")))
        return subreddit, posts[start : start + size], start + size < len(posts)

    async def _fail(self, fault: Fault) -> web.Response:
        if fault is HANGS:
            await asyncio.sleep(3600)
        return web.Response(status=fault.status, headers=fault.headers, text=fault.body)


def post(number: int, text: str | None = None, *, created: int | None = None, **more: Any) -> Post:
    """Return a post; the higher its number, the newer."""
    return Post(
        f"p{number:05d}",
        f"Question {number}",
        f"Text of {number}, with <tags> & all." if text is None else text,
        1_795_000_000 + 60 * number if created is None else created,
        **more,
    )


def html(text: str) -> str:
    return f'<!-- SC_OFF --><div class="md"><p>{escape(text)}</p>\n</div><!-- SC_ON -->'


def stamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
