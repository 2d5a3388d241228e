"""Secrets that vendors sign their webhooks with, and the check of a signature."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

MAX_STANDING = 2
"""Secrets of one source that are valid at the same time: the old and the new one during a rotation."""


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """A secret of one project and source: `sealed` is the encrypted secret, `last4` its last four characters.

    A removed secret has `removed_at`, and its `sealed` is empty.
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
    """Return whether a signature is the HMAC-SHA256 of a body with one of these secrets.

    All secrets are tried, each in constant time, so the duration reveals nothing.

    Args:
        body: the request body, byte for byte.
        signature: lower-case hex, without the vendor's prefix.
        secrets: the valid secrets; without any, nothing is signed.
    """
    given = signature.encode("utf-8", "surrogateescape")
    found = False
    for secret in secrets:
        found |= hmac.compare_digest(hmac.new(secret, body, hashlib.sha256).hexdigest().encode(), given)
    return found
