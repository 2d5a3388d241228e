"""What the handlers work with, and under which key the application holds it."""

from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from soulcaster.domain.people import GitHubPerson, SignUp
from soulcaster.github_sync import GitHubSync
from soulcaster.ports import Clock, DeadLetters, KeyedPublisher, ReadModel
from soulcaster.project_config import RedditPolling
from soulcaster.webhooks import WebhookSecrets


class Answering(Protocol):
    """A system that can be asked whether it is there."""

    async def ping(self) -> None:
        """Return when it answers.

        Raises:
            Unavailable: it does not, within its time limit.
        """


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


class RateLimits(Protocol):
    """How many requests a key and its project may make."""

    async def take(self, key_id: str, project_id: str) -> float:
        """Count a request; return how many seconds to wait before the next, 0 where there is room for this one.

        Raises:
            Unavailable: the store does not answer.
        """


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a handler may call; `keyless` lets calls without a key pass as the local owner's.

    `entrance` is None where nobody signs in by GitHub; `reddit` is what is polled where a project has set nothing.
    """

    read_model: ReadModel
    publisher: KeyedPublisher
    dead_letters: DeadLetters
    kafka: Answering
    sign_in: SignIn
    rate_limits: RateLimits
    clock: Clock
    keyless: bool
    entrance: Entrance | None
    webhooks: WebhookSecrets
    reddit: RedditPolling
    github: GitHubSync


SERVICES = web.AppKey("services", Services)


def services(request: web.Request) -> Services:
    """Return what the request's handler works with."""
    return request.config_dict[SERVICES]
