"""How many tokens a call took, read from its response while that passes through.

Sources: the vendors' references of their APIs. OpenAI: "The chat completion chunk object" (`stream_options`), "The
response object". Anthropic: "Streaming Messages". Gemini: "UsageMetadata".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from soulcaster.domain.fixes.order import ModelApi

BYTES_PER_TOKEN = 3
"""Fewer than a token has in any language's text on average, so that an estimate is rather too high."""

MOST_LINE_BYTES = 8 * 2**20
"""A longer line of a stream, or a longer response, is passed on and not read."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call; `cached` of those in were read from the vendor's cache, `written` were written to it."""

    tokens_in: int = 0
    tokens_out: int = 0
    cached: int = 0
    written: int = 0


class Meter:
    """Reads the response of one call, in pieces cut anywhere."""

    def __init__(self, api: ModelApi, *, sse: bool, asked_bytes: int) -> None:
        """Prepare; `sse` says that the response is a stream of events, `asked_bytes` is the length of the request.

        Set `is_whole` when the response has come to its end.
        """
        self.is_whole = False
        self._api = api
        self._sse = sse
        self._asked_bytes = asked_bytes
        self._written_bytes = 0
        self._rest = bytearray()
        self._too_long = False
        self._found: dict[str, int] = {}

    def take(self, data: bytes) -> None:
        """Read the next piece."""
        if not self._sse:
            self._written_bytes += len(data)
            self._keep(data)
            return
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._keep(line)
            self._read_line()
        self._keep(rest)

    def end(self) -> Usage:
        """Return what the call took; what the vendor did not say is estimated from the bytes.

        Of a response that did not come to its end the vendor may have said an early count: the higher one of that and
        the estimate counts.
        """
        if self._sse:
            self._read_line()
        elif not self._too_long:
            self._note(_json(bytes(self._rest)))
        found = self._found
        written = self._written_bytes // BYTES_PER_TOKEN + 1
        tokens_in = found.get("in", self._asked_bytes // BYTES_PER_TOKEN + 1)
        tokens_out = found.get("out", written) if self.is_whole else max(found.get("out", 0), written)
        return Usage(tokens_in, tokens_out, found.get("cached", 0), found.get("written", 0))

    @property
    def estimates(self) -> bool:
        """Whether the vendor has not said all of it so far."""
        return not (self.is_whole and "in" in self._found and "out" in self._found)

    def _keep(self, data: bytes) -> None:
        if len(self._rest) + len(data) > MOST_LINE_BYTES:
            self._too_long = True
        elif not self._too_long:
            self._rest += data

    def _read_line(self) -> None:
        line, too_long = bytes(self._rest).strip(), self._too_long
        self._rest.clear()
        self._too_long = False
        if too_long:
            self._written_bytes += MOST_LINE_BYTES
        elif line.startswith(b"data:"):
            said = _json(line[5:])
            self._written_bytes += sum(map(_text_bytes, said)) if isinstance(said, list) else _text_bytes(said)
            self._note(said)

    def _note(self, said: object) -> None:
        for part in said if isinstance(said, list) else [said]:  # Gemini streams a list where nobody asks for events
            if isinstance(part, dict):
                _READERS[self._api](part, self._found)


def _openai(said: Mapping[str, Any], found: dict[str, int]) -> None:
    usage = said.get("usage") or _within(said, "response").get("usage")
    if not isinstance(usage, dict):
        return
    _set(found, "in", usage, "prompt_tokens", "input_tokens")
    _set(found, "out", usage, "completion_tokens", "output_tokens")
    for name in ("prompt_tokens_details", "input_tokens_details"):
        _set(found, "cached", _within(usage, name), "cached_tokens")


def _anthropic(said: Mapping[str, Any], found: dict[str, int]) -> None:
    begun = _within(said, "message").get("usage")
    usage = said.get("usage") or begun
    if not isinstance(usage, dict):
        return
    _set(found, "cached", usage, "cache_read_input_tokens")
    _set(found, "written", usage, "cache_creation_input_tokens")
    if _count(usage, "input_tokens") is not None:
        found["in"] = (_count(usage, "input_tokens") or 0) + found.get("cached", 0) + found.get("written", 0)
    if usage is not begun:  # the first event of a stream counts what was written so far: nothing
        _set(found, "out", usage, "output_tokens")


def _gemini(said: Mapping[str, Any], found: dict[str, int]) -> None:
    usage = said.get("usageMetadata")
    if not isinstance(usage, dict):
        return
    found["in"] = (_count(usage, "promptTokenCount") or 0) + (_count(usage, "toolUsePromptTokenCount") or 0)
    found["out"] = (_count(usage, "candidatesTokenCount") or 0) + (_count(usage, "thoughtsTokenCount") or 0)
    _set(found, "cached", usage, "cachedContentTokenCount")


_READERS = {"openai": _openai, "anthropic": _anthropic, "gemini": _gemini}


_WRITTEN = ("choices", "delta", "content_block", "candidates")
"""Where the events of a stream have what the model writes."""


def _text_bytes(event: object) -> int:
    """Return how many bytes of text the model wrote in an event of a stream."""
    if not isinstance(event, dict):
        return 0
    total = 0
    waiting: list[object] = [event.get(name) for name in _WRITTEN]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            total += len(part.encode(errors="replace"))
        elif isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return total


def _within(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = said.get(name)
    return inner if isinstance(inner, dict) else {}


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40 else None


def _set(found: dict[str, int], key: str, usage: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if (value := _count(usage, name)) is not None:
            found[key] = value


def _json(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
