"""What `bench intake` posts: items in our own format, or webhooks as the vendors send and sign them."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from soulcaster.bench import PostedAs
from soulcaster.web.signatures import SIGNATURES

SENTRY_FRAMES = 30
"""Stack frames of a Sentry event; with the lines around them the event is some twenty times as large as its text."""

_TIME = "2026-11-20T08:30:00Z"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of post: its headers without the proof, and the function that makes a payload from a number and a text."""

    headers: Mapping[str, str]
    payload: Callable[[int, str], Mapping[str, Any]]


def _item(number: int, text: str) -> Mapping[str, Any]:
    return {"source": "bench", "external_id": str(number), "body": text}


def _sentry(number: int, text: str) -> Mapping[str, Any]:
    line = "    return prices[key] if key in prices else self.default(key, at=now())"
    frame = {"function": "total", "lineno": 42, "in_app": True, "context_line": line}
    frame |= {"pre_context": [line] * 3, "post_context": [line] * 3}
    frames = [{**frame, "filename": f"shop/cart_{n}.py"} for n in range(SENTRY_FRAMES)]
    exception = {"values": [{"type": "CartError", "value": text, "stacktrace": {"frames": frames}}]}
    event = {"event_id": f"{number:032x}", "issue_id": str(number), "title": f"CartError: {text[:100]}"}
    return {"action": "created", "data": {"error": {**event, "datetime": _TIME, "exception": exception}}}


def _github(number: int, text: str) -> Mapping[str, Any]:
    issue = {"id": number, "number": number, "title": text[:100], "body": text, "state": "open"}
    issue |= {"html_url": f"https://github.com/acme/shop/issues/{number}", "created_at": _TIME, "updated_at": _TIME}
    return {"action": "opened", "issue": {**issue, "user": {"login": "kim", "type": "User"}}}


KINDS: Mapping[PostedAs, Kind] = MappingProxyType(
    {
        "feedback": Kind({}, _item),
        "sentry": Kind({"Sentry-Hook-Resource": "error"}, _sentry),
        "github": Kind({"X-GitHub-Event": "issues"}, _github),
    }
)


class Post(NamedTuple):
    """The body and the headers of a post."""

    body: bytes
    headers: dict[str, str]


def make_post(kind: PostedAs, number: int, text: str, secret: str) -> Post:
    """Return a post that `secret` proves: an API key, or the secret that signs webhooks.

    Posts with different numbers are different items.
    """
    posted = KINDS[kind]
    body = json.dumps(posted.payload(number, text)).encode()
    headers = {"Content-Type": "application/json", **posted.headers}
    if kind == "feedback":
        return Post(body, {**headers, "Authorization": f"Bearer {secret}"})
    signature = SIGNATURES[kind]
    digits = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return Post(body, {**headers, signature.header: signature.prefix + digits})
