"""What the APIs of models look like: paths, the header with the key, errors.

Only calls that coding agents need are let through; no other part of a vendor's API can be reached with the key.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from soulcaster.domain.fixes.order import ModelApi

_GEMINI = re.compile(r"/v1(?:beta)?/models/[^/:]{1,200}:(generateContent|streamGenerateContent|countTokens)")

_PATHS: Mapping[ModelApi, Mapping[str, bool]] = {
    "openai": {"/v1/chat/completions": True, "/v1/responses": True},
    "anthropic": {"/v1/messages": True, "/v1/messages/count_tokens": False},
    "gemini": {},
}
"""The paths of each API, and whether a call is paid for."""

PASSED_ON = ("content-type", "accept", "anthropic-version", "anthropic-beta", "openai-beta")
"""Headers of a request that the vendor gets."""


@dataclass(frozen=True, slots=True)
class Route:
    """A call that is let through: its path at the vendor's address, and whether it is paid for."""

    path: str
    paid: bool


def route(api: ModelApi, path: str, model: str) -> Route | None:
    """Return where a call goes, None where it is not let through. A model in the path becomes the ordered one."""
    if api == "gemini":
        found = _GEMINI.fullmatch(path)
        if found is None:
            return None
        return Route(f"/v1beta/models/{model}:{found[1]}", found[1] != "countTokens")
    if path not in _PATHS[api]:
        return None
    return Route(path.removeprefix("/v1") if api == "openai" else path, _PATHS[api][path])


def ordered(api: ModelApi, path: str, body: dict[str, Any], model: str) -> dict[str, Any]:
    """Return a permitted request for the ordered model, and with a count of its tokens."""
    if api == "gemini":
        return body
    body = {**body, "model": model}
    if path == "/v1/chat/completions" and body.get("stream") is True:
        options = body.get("stream_options")
        body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    return body


def authorised(api: ModelApi, key: str) -> dict[str, str]:
    """Return the header that authorises a call."""
    match api:
        case "openai":
            return {"Authorization": f"Bearer {key}"}
        case "anthropic":
            return {"x-api-key": key}
        case "gemini":
            return {"x-goog-api-key": key}


def problem(api: ModelApi, status: int, message: str) -> dict[str, Any]:
    """Return an error in the form of the API, so that its clients show the message."""
    match api:
        case "openai":
            return {"error": {"message": message, "type": "soulcaster", "code": status, "param": None}}
        case "anthropic":
            return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
        case "gemini":
            return {"error": {"code": status, "message": message, "status": "FAILED_PRECONDITION"}}
