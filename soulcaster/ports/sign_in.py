"""Signing in."""

from dataclasses import dataclass
from typing import Protocol

from soulcaster.domain.members import GitHubPerson, SignUp


class SignIn(Protocol):
    """One-time sign-in tokens."""

    async def consume(self, token: str) -> str | None:
        """Return the user whom a token signs in, and forget the token; None when it is unknown, used or expired.

        Raises:
            Unavailable: the store does not answer.
        """


class GitHub(Protocol):
    """Signing in with GitHub."""

    def begin(self, back_to: str) -> tuple[str, str, str]:
        """Return the address to send a browser to, and the state and code verifier to remember until it comes back."""

    async def person(self, code: str, verifier: str, back_to: str) -> GitHubPerson:
        """Return the person who came back with this code.

        Raises:
            SignInRefused: the code is invalid, or GitHub refuses this OAuth app.
            Unavailable: GitHub does not answer.
        """


@dataclass(frozen=True, slots=True)
class Entrance:
    """Signing in with GitHub on this server: who may sign in, and the server's public address.

    Without a `public_url`, GitHub sends people back to the address of their request.
    """

    github: GitHub
    sign_up: SignUp = "members"
    public_url: str | None = None
