"""A GitHub on loopback: the web flow of OAuth apps with PKCE, and the two calls that say who it is.

It holds callers to the protocol: the redirect address of the app, the client's secret, the code once and with its
verifier, and the token as a bearer.
"""

import asyncio
import base64
import hashlib
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

CLIENT_ID = "Iv1.0123456789abcdef"
CLIENT_SECRET = "the-secret-of-the-app"  # noqa: S105


@dataclass
class Account:
    """Who is signed in at GitHub."""

    id: int = 4711
    login: str = "octocat"
    name: str | None = "Mona"
    emails: list[dict[str, Any]] = field(default_factory=list)

    def email(self, address: str, *, verified: bool = True, primary: bool = False) -> Self:
        self.emails.append({"email": address, "verified": verified, "primary": primary, "visibility": None})
        return self


class GitHub:
    """The server; `account` is who is at the browser, None: they say no. `broken` maps a path to how it fails."""

    def __init__(self) -> None:
        self.account: Account | None = Account()
        self.broken: dict[str, int | bytes | None] = {}
        self.calls: list[str] = []
        self.asked: list[URL] = []
        self._codes: dict[str, tuple[str, str, Account]] = {}
        self._tokens: dict[str, Account] = {}
        app = web.Application(middlewares=[self._break])
        app.add_routes(
            [
                web.get("/login/oauth/authorize", self._authorize),
                web.post("/login/oauth/access_token", self._token),
                web.get("/api/user", self._user),
                web.get("/api/user/emails", self._emails),
            ]
        )
        self._server = TestServer(app)

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        self.url = str(self._server.make_url("")).rstrip("/")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.close()

    @web.middleware
    async def _break(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.calls.append(request.path)
        if request.path in self.broken:
            how = self.broken[request.path]
            if how is None:
                await asyncio.sleep(3600)
            if isinstance(how, bytes):
                return web.Response(body=how, content_type="application/json")
            return web.Response(status=how or 500)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        self.asked.append(request.url)
        back = URL(query["redirect_uri"])
        if query["client_id"] != CLIENT_ID or query["response_type"] != "code" or not back.path.endswith("/callback"):
            return web.Response(status=404)
        if query["code_challenge_method"] != "S256" or len(query["code_challenge"]) != 43 or len(query["state"]) < 32:
            return web.Response(status=404)
        if self.account is None:
            denied = {"error": "access_denied", "error_description": "The user has denied", "state": query["state"]}
            raise web.HTTPFound(back.with_query(denied))
        code = uuid4().hex
        self._codes[code] = (query["code_challenge"], query["redirect_uri"], self.account)
        raise web.HTTPFound(back.with_query(code=code, state=query["state"]))

    async def _token(self, request: web.Request) -> web.StreamResponse:
        sent = await request.post()
        if (sent.get("client_id"), sent.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return web.json_response({"error": "incorrect_client_credentials"})  # 200, as GitHub does
        challenge, back, account = self._codes.pop(str(sent.get("code")), ("", "", None))
        digest = hashlib.sha256(str(sent.get("code_verifier")).encode()).digest()
        given = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if account is None or given != challenge or sent.get("redirect_uri") != back:
            return web.json_response({"error": "bad_verification_code", "error_description": "It has expired."})
        token = f"gho_{uuid4().hex}"
        self._tokens[token] = account
        return web.json_response({"access_token": token, "token_type": "bearer", "scope": "read:user,user:email"})

    def _who(self, request: web.Request) -> Account:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self._tokens:
            raise web.HTTPUnauthorized
        return self._tokens[token]

    async def _user(self, request: web.Request) -> web.StreamResponse:
        account = self._who(request)
        return web.json_response({"id": account.id, "login": account.login, "name": account.name, "type": "User"})

    async def _emails(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._who(request).emails)
