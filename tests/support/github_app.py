"""A GitHub on loopback that knows one App: it checks the App's signature and gives tokens of its installations."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

APP_ID = "4711"
OUR_KEY = "of the App"


@cache
def rsa_key(name: str) -> str:
    """Return a new private key in PEM, the same one for the same name."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode().strip()


@dataclass
class GitHubApps:
    """GitHub with the App `APP_ID`, which is installed on `installed`."""

    installed: dict[str, int] = field(default_factory=lambda: {"acme/shop": 77})
    granted: dict[str, str] = field(
        default_factory=lambda: {"metadata": "read", "contents": "write", "pull_requests": "write", "issues": "write"}
    )
    suspended: bool = False
    answers: list[web.Response] = field(default_factory=list)
    """What it answers first, one a call."""

    issued: list[dict[str, Any]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/repos/{owner}/{name}/installation", self._installation)
        app.router.add_post("/app/installations/{id}/access_tokens", self._token)
        self._server = TestServer(app, host="127.0.0.1")
        await self._server.start_server()
        self.url = str(self._server.make_url("")).rstrip("/")
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._server.close()

    def _refused(self, request: web.Request) -> web.Response | None:
        """Return what a call without the App's signature gets (docs.github.com, "Generating a JWT")."""
        if self.answers:
            return self.answers.pop(0)
        try:
            token = jwt.decode(
                request.headers["Authorization"].removeprefix("Bearer "), RSAKey.import_key(rsa_key(OUR_KEY)), ["RS256"]
            )
        except (JoseError, KeyError, ValueError):
            return web.json_response({"message": "A JSON web token could not be decoded"}, status=401)
        now, claims = datetime.now(UTC).timestamp(), token.claims
        valid = claims["iat"] <= now < claims["exp"] <= now + timedelta(minutes=10).total_seconds()
        if not valid or str(claims["iss"]) != APP_ID:
            return web.json_response({"message": "'Issuer' claim ('iss') must be an Integer"}, status=401)
        return None

    async def _installation(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        found = self.installed.get(f"{request.match_info['owner']}/{request.match_info['name']}")
        if found is None:
            return web.json_response({"message": "Not Found"}, status=404)
        return web.json_response({"id": found, "suspended_at": "2026-11-01T00:00:00Z" if self.suspended else None})

    async def _token(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        asked = await request.json()
        ranks = {"read": 1, "write": 2}
        lacks = [
            name
            for name, level in asked["permissions"].items()
            if ranks[level] > ranks.get(self.granted.get(name, ""), 0)
        ]
        if lacks:
            return web.json_response({"message": "The permissions requested are not granted"}, status=422)
        self.issued.append({"installation": int(request.match_info["id"]), **asked})
        return web.json_response({"token": f"ghs_{len(self.issued)}", "expires_at": "2026-11-21T13:00:00Z"}, status=201)
