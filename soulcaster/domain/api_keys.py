"""API keys: who may do what in one project. The secret is shown once; what is kept is its hash.

A secret is 256 random bits, so a plain SHA-256 hides it: nobody can try them all, which is what slow hashes are for.
"""

import hashlib
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, get_args

KeyScope = Literal["ingest", "read", "write", "launch", "admin"]
"""What a key may do: post feedback; read; change clusters; start fixes; everything, keys and settings included."""

SCOPES: tuple[KeyScope, ...] = get_args(KeyScope)

MAX_NAME = 100
"""Characters of a key's name."""

PREFIX = "sc_"
"""What every secret begins with, so that people and scanners know one when they see it."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of one project; `hash` is the SHA-256 of its secret, in hex."""

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
        """Return what anyone who may see the key may see of it: all but the hash."""
        fields = asdict(self)
        del fields["hash"]
        return fields

    def stands(self, at: datetime) -> bool:
        """Return whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)

    def allows(self, scope: KeyScope) -> bool:
        """Return whether it may do this."""
        return scope in self.scopes or "admin" in self.scopes


def new_secret() -> str:
    """Return a secret: the prefix and 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
