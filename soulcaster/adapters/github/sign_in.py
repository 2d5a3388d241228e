"""Signing in with GitHub: the web flow of an OAuth app, with state and PKCE.

GitHub documents it under "Authorizing OAuth apps". The access token is used once, to identify the person, and is not
stored.
"""

import asyncio
from typing import Annotated, Any

import httpx2
import structlog
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.client import OAuth2Client
from pydantic import BaseModel, TypeAdapter, ValidationError

from soulcaster.adapters.github.bounded import bounded_answers
from soulcaster.domain.entries import Entries
from soulcaster.domain.members import GitHubPerson
from soulcaster.domain.text.normalize import clean, one_line
from soulcaster.errors import GitHubUnavailable, SignInRefused
from soulcaster.http_client import AnswerTooLarge
from soulcaster.wire.fields import MAX_PERSON_NAME, Email

TIMEOUT_SECONDS = 10.0
"""Limit for all calls of one sign-in together."""

SCOPE = "read:user user:email"

_log = structlog.get_logger(__name__)


class _User(BaseModel):
    id: int
    login: str
    name: str | None = None


class _Address(BaseModel):
    email: str
    verified: bool
    primary: bool


_ADDRESSES: TypeAdapter[list[_Address]] = TypeAdapter(Annotated[list[_Address], Entries(100)])
_EMAIL: TypeAdapter[str] = TypeAdapter(Email)


class GitHubSignIn:
    """Sends people to GitHub to sign in, and identifies them when they come back."""

    def __init__(
        self, client_id: str, client_secret: str, *, url: str, api_url: str, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        """Prepare; `url` is the address of GitHub's pages, `api_url` that of its API."""
        self._id = client_id
        self._secret = client_secret
        self._url = url.rstrip("/")
        self._api_url = api_url.rstrip("/")
        self._timeout = timeout
        self._tls = httpx2.create_ssl_context()  # takes a tenth of a second, so it is made once

    def begin(self, back_to: str) -> tuple[str, str, str]:
        """Return the address to redirect to, and the state and code verifier to keep until the browser comes back."""
        verifier = generate_token(64)
        flow = OAuth2Client(None, self._id, scope=SCOPE, redirect_uri=back_to, code_challenge_method="S256")
        address, state = flow.create_authorization_url(
            f"{self._url}/login/oauth/authorize", state=generate_token(43), code_verifier=verifier
        )
        return address, state, verifier

    async def person(self, code: str, verifier: str, back_to: str) -> GitHubPerson:
        """Return the person who came back with this code.

        Raises:
            SignInRefused: the code is invalid or already used, or GitHub does not accept our id and secret.
            GitHubUnavailable: GitHub does not answer in time, or its response is not valid.
        """
        try:
            async with asyncio.timeout(self._timeout), self._client(back_to) as client:
                await client.fetch_token(
                    f"{self._url}/login/oauth/access_token",
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=verifier,
                )
                user = _User.model_validate(await self._get(client, "/user"))
                addresses = _ADDRESSES.validate_python(await self._get(client, "/user/emails?per_page=100"))
        except OAuthError as error:
            _log.warning("GitHub refused a sign-in", error=error.error)
            raise SignInRefused(f"GitHub refused the sign-in ({error.error}). Begin again.") from error
        except (httpx2.HTTPError, AnswerTooLarge, TimeoutError) as error:
            raise GitHubUnavailable(f"GitHub at {self._url} does not answer ({error!r})") from error
        except ValueError as error:  # not JSON, or not the form that GitHub documents
            raise GitHubUnavailable(f"GitHub at {self._url} sent an invalid response") from error
        return GitHubPerson(str(user.id), user.login, _name(user.name), _verified(addresses))

    def _client(self, back_to: str) -> Any:
        return AsyncOAuth2Client(
            self._id,
            self._secret,
            token_endpoint_auth_method="client_secret_post",  # noqa: S106  (the only method that GitHub documents)
            redirect_uri=back_to,
            headers={"Accept": "application/json", "User-Agent": "soulcaster"},
            timeout=self._timeout,
            verify=self._tls,
            event_hooks=bounded_answers(),
        )

    async def _get(self, client: Any, path: str) -> Any:
        response = await client.get(self._api_url + path)
        response.raise_for_status()
        return response.json()


def _name(name: str | None) -> str | None:
    return one_line(clean(name or ""), MAX_PERSON_NAME) or None


def _verified(addresses: list[_Address]) -> tuple[str, ...]:
    """Return the addresses that GitHub has verified, the primary one first."""
    found = []
    for address in sorted(addresses, key=lambda address: not address.primary):
        if address.verified:
            try:
                found.append(_EMAIL.validate_python(address.email))
            except ValidationError:
                _log.info("an e-mail address is not valid for invitations")  # so no invitation can name it
    return tuple(found)
