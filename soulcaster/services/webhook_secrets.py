"""Webhook secrets: made, removed, and those that stand.

They are stored sealed (Fernet) on the topic control and in the read model, and are read by nobody but whoever checks a
signature: a vendor signs with the secret itself, so a hash would not do.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from uuid import uuid4

import structlog
from cachetools import TTLCache
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from soulcaster.domain.webhook_secrets import MAX_STANDING, WebhookSecret
from soulcaster.errors import BadInput, Conflict, NotFound, SoulcasterError
from soulcaster.ports.messaging import Outgoing, Publisher
from soulcaster.ports.read_model import ReadModel
from soulcaster.services.project_config import CACHED_MOST, CACHED_SECONDS
from soulcaster.wire.control import WebhookSecretDefined
from soulcaster.wire.topics import CONTROL

_log = structlog.get_logger(__name__)


class TooManySecrets(Conflict):
    """Two secrets of this source stand already; remove one first."""


class SecretUnreadable(SoulcasterError):
    """No webhook secret of this source can be read: they were sealed with another SOULCASTER_SECRETS_KEY."""


class Seal:
    """Seals secrets and opens them again."""

    def __init__(self, keys: str) -> None:
        """Take Fernet keys, comma-separated: the first seals, all of them open.

        Raises:
            BadInput: one is no such key.
        """
        try:
            self._fernet = MultiFernet([Fernet(key.strip()) for key in keys.split(",")])
        except ValueError:
            raise BadInput("SOULCASTER_SECRETS_KEY is no Fernet key (32 url-safe base64 bytes).") from None

    def close(self, secret: str) -> str:
        """Return a secret, sealed."""
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> bytes | None:
        """Return a secret, or None where it was sealed with another key."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            return None


class WebhookSecrets:
    """The secrets of all projects, by way of the read model."""

    def __init__(
        self, read_model: ReadModel, publisher: Publisher, seal: Seal, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare; `ticks` gives seconds of a clock that only goes on."""
        self._read_model = read_model
        self._publisher = publisher
        self._seal = seal
        self._known: TTLCache[tuple[str, str], tuple[bytes, ...]] = TTLCache(CACHED_MOST, CACHED_SECONDS, timer=ticks)

    async def standing_secrets(self, project_id: str, source: str) -> tuple[bytes, ...]:
        """Return the secrets that a webhook of this source may be signed with, the newest first; at most two.

        They are those of at most `CACHED_SECONDS` ago.

        Raises:
            SecretUnreadable: there are some, and none was sealed with our key.
            Unavailable: Redis does not answer.
        """
        key = project_id, source
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = await self._opened(project_id, source)
        return known

    async def _opened(self, project_id: str, source: str) -> tuple[bytes, ...]:
        standing = await self._of(project_id, source)
        opened = [(of, self._seal.open(of.sealed)) for of in standing[:MAX_STANDING]]
        for of, secret in opened:
            if secret is None:
                _log.error("a webhook secret was sealed with another key", project=project_id, source=source, id=of.id)
        found = tuple(secret for _, secret in opened if secret is not None)
        if standing and not found:
            raise SecretUnreadable
        return found

    async def _of(self, project_id: str, source: str) -> list[WebhookSecret]:
        return [secret for secret in await self._read_model.webhook_secrets.list(project_id) if secret.source == source]

    async def make(
        self, project_id: str, source: str, given: str | None, *, by: str, at: datetime
    ) -> tuple[WebhookSecret, str]:
        """Return a new secret, sealed and as it is: the one that is given, or one of 256 random bits.

        Raises:
            TooManySecrets: two stand already.
            Unavailable: Kafka or Redis does not answer.
        """
        if len(await self._of(project_id, source)) >= MAX_STANDING:
            raise TooManySecrets
        plain = secrets.token_urlsafe(32) if given is None else given
        made = WebhookSecret(str(uuid4()), project_id, source, self._seal.close(plain), plain[-4:], at, by)
        await self._publish(made)
        return made, plain

    async def remove(self, project_id: str, secret_id: str, at: datetime) -> WebhookSecret:
        """Return a secret that stands no more.

        Raises:
            NotFound: the project has no such secret.
            Unavailable: Kafka or Redis does not answer.
        """
        known = next(
            (one for one in await self._read_model.webhook_secrets.list(project_id) if one.id == secret_id), None
        )
        if known is None:
            raise NotFound("There is no webhook secret of that id in this project")
        removed = replace(known, sealed="", removed_at=at)
        await self._publish(removed)
        return removed

    async def _publish(self, secret: WebhookSecret) -> None:
        message = WebhookSecretDefined(**asdict(secret))
        key = f"webhook:{secret.project_id}:{secret.id}".encode()
        await self._publisher.publish([Outgoing(CONTROL.name, key, message.to_bytes())])
