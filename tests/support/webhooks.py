"""Webhooks as vendors sign them."""

import hashlib
import hmac

SECRET = "a-vendors-client-secret-9f3c"  # noqa: S105
HEADER = {"sentry": "Sentry-Hook-Signature", "github": "X-Hub-Signature-256"}
PREFIX = {"sentry": "", "github": "sha256="}


def signature(source: str, body: bytes, secret: str = SECRET) -> str:
    """Return what the source's signature header holds for a body."""
    return PREFIX[source] + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
