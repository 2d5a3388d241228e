"""The HTTP headers of our own, and reading those that a request carries."""

import re

from aiohttp import web

from soulcaster.web.problems import Problem

API_KEY_HEADER = "X-API-Key"
"""The header that carries an API key, beside `Authorization: Bearer KEY`."""

IDEMPOTENCY_HEADER = "Idempotency-Key"

MAX_IDEMPOTENCY_KEY = 255
"""Characters of an Idempotency-Key."""

GITHUB_TOKEN_HEADER = "X-GitHub-Token"  # noqa: S105  (the name of a header)
GITHUB_TOKEN_PATTERN = "^[A-Za-z0-9_.-]{1,1000}$"  # noqa: S105

LAST_EVENT_HEADER = "Last-Event-ID"
"""The header in which a client of Server-Sent Events sends the id of the last event that it received."""

TOTAL_HEADER = "X-Total-Count"
"""The header of a list response with the length of the whole list."""

CURSOR_HEADER = "X-Next-Cursor"
"""The header of a list response with the cursor of the next page."""


def idempotency_key(request: web.Request) -> str | None:
    """Return the Idempotency-Key, or None when the request has none.

    Raises:
        Problem: 422 when it is empty or longer than `MAX_IDEMPOTENCY_KEY`.
    """
    key = request.headers.get(IDEMPOTENCY_HEADER)
    if key is not None and not 1 <= len(key) <= MAX_IDEMPOTENCY_KEY:
        raise Problem(422, f"{IDEMPOTENCY_HEADER} must have 1 to {MAX_IDEMPOTENCY_KEY} characters.")
    return key


def github_token(request: web.Request) -> str | None:
    """Return the caller's own GitHub token, or None when the request has none.

    Raises:
        Problem: 422 when it does not have the form of a token.
    """
    token = request.headers.get(GITHUB_TOKEN_HEADER)
    if token and not re.fullmatch(GITHUB_TOKEN_PATTERN, token):
        raise Problem(422, f"{GITHUB_TOKEN_HEADER} does not have the form of a GitHub token.")
    return token or None
