"""API keys: who may do what in one project. The secret is shown once; only its hash is kept.

A secret has 256 random bits, so a plain SHA-256 is enough: slow hashes protect secrets that can be guessed.
"""

import hashlib
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, get_args

KeyScope = Literal["ingest", "read", "write", "launch", "admin"]
"""What an API key may do: post feedback; read; change clusters; start fixes; everything, API keys and settings too."""

SCOPES: tuple[KeyScope, ...] = get_args(KeyScope)

MAX_NAME = 100
"""Characters of an API key's name."""

PREFIX = "sc_"
"""Every secret begins with this, so that people and secret scanners recognise it."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key of one project; `hash` is the SHA-256 of its secret, in hex."""

    id: str
    project_id: str
    name: str
    hash: str
    scopes: tuple[KeyScope, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def shown(self) -> dict[str, Any]:
        """Return the fields that may be shown: all but the hash."""
        fields = asdict(self)
        del fields["hash"]
        return fields

    def stands(self, at: datetime) -> bool:
        """Return whether the API key is neither revoked nor expired at this time."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)

    def allows(self, scope: KeyScope) -> bool:
        """Return whether the API key has this scope; admin includes all."""
        return scope in self.scopes or "admin" in self.scopes


def new_secret() -> str:
    """Return a new secret: the prefix and 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    """Return the hash that is kept of a secret, in hex."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
