"""Signing in."""

from dataclasses import dataclass
from typing import Protocol

from soulcaster.domain.members import GitHubPerson, SignUp


class SignIn(Protocol):
    """One-time sign-in tokens."""

    async def consume(self, token: str) -> str | None:
        """Return whom the token signs in and forget it, or None when it is unknown, used or expired.

        Raises:
            Unavailable: the store does not answer.
        """


class GitHub(Protocol):
    """Signing in with GitHub."""

    def begin(self, back_to: str) -> tuple[str, str, str]:
        """Return the address to send a browser to, and the state and the code verifier to remember until it is back."""

    async def person(self, code: str, verifier: str, back_to: str) -> GitHubPerson:
        """Return who came back with this code.

        Raises:
            SignInRefused: the code is none, or GitHub does not take us.
            Unavailable: GitHub does not answer.
        """


@dataclass(frozen=True, slots=True)
class Entrance:
    """How people come in by GitHub: who may, and by which address they know this server (None: as they called it)."""

    github: GitHub
    sign_up: SignUp = "members"
    public_url: str | None = None
