"""Secrets by which a vendor's webhooks prove that they are the vendor's, and the proof itself."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

MAX_STANDING = 2
"""Secrets of one source that are valid at the same time: the old one and the new one, while one takes over."""


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """A secret of one project and source: `sealed` is the encrypted secret, `last4` its last four characters.

    One that was removed has `removed_at`, and nothing is left in `sealed`.
    """

    id: str
    project_id: str
    source: str
    sealed: str
    last4: str
    created_at: datetime
    created_by: str
    removed_at: datetime | None = None


def signed(body: bytes, signature: str, secrets: Sequence[bytes]) -> bool:
    """Tell whether a signature is the HMAC-SHA256 of a body by any of these secrets.

    All are tried, each in constant time, so that how long it takes says nothing.

    Args:
        body: as it came, byte for byte.
        signature: in lower-case hex, without the vendor's prefix.
        secrets: those that stand; by none of them nothing is signed.
    """
    given = signature.encode("utf-8", "surrogateescape")
    found = False
    for secret in secrets:
        found |= hmac.compare_digest(hmac.new(secret, body, hashlib.sha256).hexdigest().encode(), given)
    return found
