"""A GitHub on loopback: it lists a repository's issues as GitHub does, and does what tests want of it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

START = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass
class GitHub:
    """One repository, acme/shop."""

    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
    answers: list[web.Response] = field(default_factory=list)
    """What it answers first, one a call; after these it lists issues."""

    token: str | None = None
    """Without this token there is no such repository."""

    port: int | None = None
    """Where it listens; None: anywhere."""

    before_each: Callable[[], None] = lambda: None
    now: datetime = START
    calls: list[URL] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/repos/acme/shop/issues", self._serve)
        self._server = TestServer(app, host="127.0.0.1", port=self.port)
        await self._server.start_server()
        self.url = str(self._server.make_url("")).rstrip("/")
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._server.close()

    def put(self, number: int, *, after: timedelta = timedelta(seconds=1), **fields: Any) -> dict[str, Any]:
        """Open an issue, or change one, a little later than what was before."""
        self.now += after
        at = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        issue = self.issues.get(number) or {
            "id": 5_000_000 + number,
            "number": number,
            "title": f"The cart is empty again ({number})",
            "body": f"Since version {number} the cart loses what was in it.",
            "state": "open",
            "created_at": at,
            "html_url": f"https://github.com/acme/shop/issues/{number}",
            "repository_url": f"{self.url}/repos/acme/shop",
            "user": {"login": f"person{number}", "type": "User"},
            "labels": [],
            "comments": 0,
        }
        if fields.get("state", issue["state"]) != issue["state"] or number not in self.issues:
            fields = {"closed_at": at if fields.get("state") == "closed" else None, **fields}
        self.issues[number] = {**issue, "updated_at": at, **fields}
        return self.issues[number]

    async def _serve(self, request: web.Request) -> web.Response:
        self.before_each()
        self.calls.append(request.rel_url)
        self.authorizations.append(request.headers.get("Authorization"))
        answer = self.answers.pop(0) if self.answers else self._list(request)
        self.statuses.append(answer.status)
        return answer

    def _list(self, request: web.Request) -> web.Response:
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"message": "Not Found"}, status=404)
        asked = request.query
        found = [
            issue
            for issue in self.issues.values()
            if asked["state"] in {"all", issue["state"]} and issue["updated_at"] >= asked.get("since", "")
        ]
        found.sort(key=lambda issue: (issue["updated_at"], issue["number"]))
        size, number = int(asked["per_page"]), int(asked.get("page", "1"))
        listed = found[(number - 1) * size : number * size]
        headers = {"ETag": f'W/"{hashlib.sha256(repr(listed).encode()).hexdigest()}"'}
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        if number * size < len(found):
            following = URL(self.url).join(request.rel_url.update_query(page=str(number + 1)))
            headers["Link"] = f'<{following}>; rel="next", <{following}>; rel="last"'
        return web.json_response(listed, headers=headers)
