"""API keys: who may do what in one project. The secret is shown once; only its hash is kept.

A secret has 256 random bits, so a plain SHA-256 is enough: slow hashes protect secrets that can be guessed.
"""

import hashlib
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, get_args

KeyScope = Literal["ingest", "poll", "read", "write", "launch", "admin"]
"""What an API key may do: post feedback; report on polling; read; change clusters; start fixes; everything, API keys
and settings too."""

SCOPES: tuple[KeyScope, ...] = get_args(KeyScope)

MAX_NAME = 100
"""Characters of an API key's name."""

MOST_KEYS = 200
"""API keys of a project that stand."""

KEPT_KEYS = 2 * MOST_KEYS
"""API keys of a project that are stored; beyond that the oldest of those that stand no more are forgotten."""

PREFIX = "sc_"
"""Every secret begins with this, so that people and secret scanners recognise it."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key of one project; `hash` is the SHA-256 of its secret, in hex.

    `knows_poll` is False for one that was made when there was no scope `poll`: those that may ingest and read have it,
    because pollers' keys were made so.
    """

    id: str
    project_id: str
    name: str
    hash: str
    scopes: tuple[KeyScope, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    knows_poll: bool = False

    def shown(self) -> dict[str, Any]:
        """Return the fields that are shown: all but the hash, and the scopes that it has in the end."""
        fields = asdict(self) | {"scopes": tuple(scope for scope in SCOPES if scope in self._all_scopes())}
        del fields["hash"], fields["knows_poll"]
        return fields

    def stands(self, at: datetime) -> bool:
        """Return whether the API key is neither revoked nor expired at this time."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)

    def allows(self, scope: KeyScope) -> bool:
        """Return whether the API key has this scope; admin includes all."""
        return scope in self._all_scopes() or "admin" in self.scopes

    def _all_scopes(self) -> set[KeyScope]:
        polls = not self.knows_poll and {"ingest", "read"} <= set(self.scopes)
        return {*self.scopes, "poll"} if polls else set(self.scopes)


def new_secret() -> str:
    """Return a new secret: the prefix and 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    """Return the hash that is kept of a secret, in hex."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
