"""Webhook secrets: created, removed, and read to check a signature.

They are stored sealed (Fernet) on `control` and in the read model, and only the web server opens them. A hash would not
do: a vendor signs with the secret itself.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from uuid import uuid4

import structlog
from cachetools import TTLCache
from cryptography.fernet import InvalidToken

from soulcaster.domain.webhook_secrets import MAX_STANDING, WebhookSecret
from soulcaster.errors import Conflict, NotFound, SoulcasterError
from soulcaster.ports.clock import Clock
from soulcaster.ports.messaging import Publisher
from soulcaster.ports.webhook_secrets import WebhookSecretReader
from soulcaster.services.control import control_record
from soulcaster.services.project_config import CACHED_MOST, CACHED_SECONDS
from soulcaster.services.secret_keys import fernet_of
from soulcaster.wire.control import WebhookSecretDefined

SECRET_BYTES = 32
"""Random bytes of a secret that is generated here."""

_log = structlog.get_logger(__name__)


class TooManySecrets(Conflict):
    """This source has two secrets already; remove one first."""


class SecretUnreadable(SoulcasterError):
    """No webhook secret of this source can be read: they were sealed with another SOULCASTER_SECRETS_KEY."""


class Seal:
    """Encrypts secrets, and decrypts them."""

    def __init__(self, keys: str) -> None:
        """`keys` are Fernet keys, comma-separated: the first one encrypts, all of them decrypt.

        Raises:
            BadInput: one of them is not a Fernet key.
        """
        self._fernet = fernet_of(keys, "SOULCASTER_SECRETS_KEY")
        self._newest = fernet_of(keys.split(",")[0], "SOULCASTER_SECRETS_KEY")

    def close(self, secret: str) -> str:
        """Return a secret, sealed."""
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> bytes | None:
        """Return a secret; None where it was sealed with another key."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            return None

    def by_newest(self, sealed: str) -> bool:
        """Return whether a secret was sealed with the first key."""
        try:
            self._newest.decrypt(sealed)
        except InvalidToken:
            return False
        return True


@dataclass(frozen=True, slots=True)
class NewWebhookSecret:
    """A new webhook secret: sealed, and in plain text."""

    secret: WebhookSecret
    plain: str


@dataclass(frozen=True, slots=True)
class Resealed:
    """Secrets that were sealed with the first key now, or had been, and those that no key opens."""

    resealed: list[WebhookSecret] = field(default_factory=list)
    right: list[WebhookSecret] = field(default_factory=list)
    unreadable: list[WebhookSecret] = field(default_factory=list)


class WebhookSecrets:
    """The webhook secrets of all projects. A source has at most `MAX_STANDING`, so that one can replace the other."""

    def __init__(
        self,
        publisher: Publisher,
        stored: WebhookSecretReader,
        seal: Seal,
        clock: Clock,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ticks` is a monotonic clock in seconds."""
        self._publisher = publisher
        self._stored = stored
        self._seal = seal
        self._clock = clock
        self._cache: TTLCache[tuple[str, str], tuple[bytes, ...]] = TTLCache(CACHED_MOST, CACHED_SECONDS, timer=ticks)

    async def valid_secrets(self, project_id: str, source: str) -> tuple[bytes, ...]:
        """Return the secrets that a webhook of this source may be signed with, newest first; at most two.

        They may be up to `CACHED_SECONDS` old.

        Raises:
            SecretUnreadable: the source has secrets, and none was sealed with our key.
            Unavailable: Redis does not answer.
        """
        key = project_id, source
        known = self._cache.get(key)
        if known is None:
            known = self._cache[key] = await self._opened(project_id, source)
        return known

    async def create(self, project_id: str, source: str, given: str | None, *, by: str) -> NewWebhookSecret:
        """Publish a new secret: the `given` one, or one of 256 random bits.

        Raises:
            TooManySecrets: the source has two already.
            Unavailable: Kafka or Redis does not answer.
        """
        if len(await self._of_source(project_id, source)) >= MAX_STANDING:
            raise TooManySecrets
        plain = secrets.token_urlsafe(SECRET_BYTES) if given is None else given
        secret_id, sealed = str(uuid4()), self._seal.close(plain)
        new = WebhookSecret(secret_id, project_id, source, sealed, plain[-4:], self._clock(), by)
        await self._publish(new)
        return NewWebhookSecret(new, plain)

    async def remove(self, project_id: str, secret_id: str) -> WebhookSecret:
        """Publish that a secret is removed, and return it.

        Raises:
            NotFound: the project has no such secret.
            Unavailable: Kafka or Redis does not answer.
        """
        known = next((one for one in await self._stored.list(project_id) if one.id == secret_id), None)
        if known is None:
            raise NotFound("There is no webhook secret of that id in this project")
        removed = replace(known, sealed="", removed_at=self._clock())
        await self._publish(removed)
        return removed

    async def reseal(self, project_ids: Iterable[str]) -> Resealed:
        """Seal the secrets of these projects with the first key where another one sealed them.

        Raises:
            Unavailable: Kafka or Redis does not answer; what was sealed until then stays so.
        """
        done = Resealed()
        for project_id in project_ids:
            for secret in await self._stored.list(project_id):
                plain = self._seal.open(secret.sealed)
                if plain is None:
                    done.unreadable.append(secret)
                elif self._seal.by_newest(secret.sealed):
                    done.right.append(secret)
                else:
                    await self._publish(replace(secret, sealed=self._seal.close(plain.decode())))
                    done.resealed.append(secret)
        return done

    async def _opened(self, project_id: str, source: str) -> tuple[bytes, ...]:
        stored = await self._of_source(project_id, source)
        opened = [(one, self._seal.open(one.sealed)) for one in stored[:MAX_STANDING]]
        for one, plain in opened:
            if plain is None:
                _log.error("a webhook secret was sealed with another key", project=project_id, source=source, id=one.id)
        readable = tuple(plain for _, plain in opened if plain is not None)
        if stored and not readable:
            raise SecretUnreadable
        return readable

    async def _of_source(self, project_id: str, source: str) -> Sequence[WebhookSecret]:
        return [secret for secret in await self._stored.list(project_id) if secret.source == source]

    async def _publish(self, secret: WebhookSecret) -> None:
        await self._publisher.publish([control_record(WebhookSecretDefined(**asdict(secret)))])
