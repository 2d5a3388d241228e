"""Signing in with GitHub: the web flow of an OAuth app, with state and PKCE.

GitHub documents it under "Authorizing OAuth apps".

The access token is used to ask who it is, and forgotten.
"""

import asyncio
from typing import Annotated, Any

import httpx2
import structlog
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.client import OAuth2Client
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from soulcaster.domain.members import GitHubPerson
from soulcaster.errors import GitHubUnavailable, SignInRefused
from soulcaster.wire.fields import Email

TIMEOUT_SECONDS = 10.0
"""For all calls of one sign-in together."""

SCOPE = "read:user user:email"

_NAME = 200

_log = structlog.get_logger(__name__)


class _User(BaseModel):
    id: int
    login: str
    name: str | None = None


class _Address(BaseModel):
    email: str
    verified: bool
    primary: bool


_ADDRESSES: TypeAdapter[list[_Address]] = TypeAdapter(Annotated[list[_Address], Field(max_length=100)])
_EMAIL: TypeAdapter[str] = TypeAdapter(Email)


class GitHubSignIn:
    """Sends people to GitHub and asks there who came back."""

    def __init__(
        self, client_id: str, client_secret: str, *, url: str, api_url: str, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        """Prepare; `url` is that of GitHub's pages, `api_url` that of its API."""
        self._id = client_id
        self._secret = client_secret
        self._url = url.rstrip("/")
        self._api_url = api_url.rstrip("/")
        self._timeout = timeout
        self._tls = httpx2.create_ssl_context()  # takes a tenth of a second, so once

    def begin(self, back_to: str) -> tuple[str, str, str]:
        """Return the address to send a browser to, and the state and the code verifier to remember until it is back."""
        verifier = generate_token(64)
        flow = OAuth2Client(None, self._id, scope=SCOPE, redirect_uri=back_to, code_challenge_method="S256")
        address, state = flow.create_authorization_url(
            f"{self._url}/login/oauth/authorize", state=generate_token(43), code_verifier=verifier
        )
        return address, state, verifier

    async def person(self, code: str, verifier: str, back_to: str) -> GitHubPerson:
        """Return who came back with this code.

        Raises:
            SignInRefused: the code is none, or was used already; or GitHub does not take our id and secret.
            GitHubUnavailable: GitHub does not answer in time, or not as it should.
        """
        try:
            async with asyncio.timeout(self._timeout), self._client(back_to) as client:
                await client.fetch_token(
                    f"{self._url}/login/oauth/access_token",
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=verifier,
                )
                user = _User.model_validate(await self._asked(client, "/user"))
                addresses = _ADDRESSES.validate_python(await self._asked(client, "/user/emails?per_page=100"))
        except OAuthError as error:
            _log.warning("GitHub refused a sign-in", error=error.error)
            raise SignInRefused(f"GitHub refused the sign-in ({error.error}). Begin again.") from error
        except (httpx2.HTTPError, TimeoutError) as error:
            raise GitHubUnavailable(f"GitHub at {self._url} does not answer ({error!r})") from error
        except ValueError as error:  # no JSON, or none of the form that GitHub documents
            raise GitHubUnavailable(f"GitHub at {self._url} does not answer as it should") from error
        return GitHubPerson(str(user.id), user.login, _name(user.name), _verified(addresses))

    def _client(self, back_to: str) -> Any:
        return AsyncOAuth2Client(
            self._id,
            self._secret,
            token_endpoint_auth_method="client_secret_post",  # noqa: S106  (the only way that GitHub documents)
            redirect_uri=back_to,
            headers={"Accept": "application/json", "User-Agent": "soulcaster"},
            timeout=self._timeout,
            verify=self._tls,
        )

    async def _asked(self, client: Any, path: str) -> Any:
        answer = await client.get(self._api_url + path)
        answer.raise_for_status()
        return answer.json()


def _name(name: str | None) -> str | None:
    return (name or "").strip()[:_NAME].strip() or None


def _verified(addresses: list[_Address]) -> tuple[str, ...]:
    """Return the addresses that GitHub has verified, the primary one first."""
    found = []
    for address in sorted(addresses, key=lambda address: not address.primary):
        if address.verified:
            try:
                found.append(_EMAIL.validate_python(address.email))
            except ValidationError:
                _log.info("an e-mail address is not of the form that invitations take")  # so none can be meant for it
    return tuple(found)
