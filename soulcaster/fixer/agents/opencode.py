"""opencode (https://opencode.ai, npm `opencode-ai`), and what its fork Kilo Code shares with it.

`opencode run --format json` prints an event for each part of a message: a call of a tool when it has ended, a text, the
end of a step with its reason. It exits with 0 after a denied tool (issue 41960) and after some errors (issue 14551). It
would wait for stdin if that were open (38723), and for an answer wherever a permission is "ask" (36762).
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from soulcaster.domain.fixes.order import ModelApi
from soulcaster.fixer.agents.cli import Access, CodingCli, Launch
from soulcaster.fixer.agents.events import Event, number_of, text_of, value_of
from soulcaster.fixer.agents.progress import Progress, shown

_LIBRARIES: dict[ModelApi, tuple[str, str]] = {
    "openai": ("@ai-sdk/openai-compatible", "/v1"),
    "anthropic": ("@ai-sdk/anthropic", "/v1"),
    "gemini": ("@ai-sdk/google", "/v1beta"),
}
"""The library of each API, built into the program, and the version of the API in its addresses."""

_DENIED = re.compile(r"rejected permission|permission.{0,40}denied|prevents you from using", re.IGNORECASE)
_ARGUMENTS = ("command", "filePath", "path", "pattern", "description")


def configuration(access: Access) -> dict[str, Any]:
    """Return the whole configuration: one model, everything permitted, nothing from elsewhere."""
    library, version = _LIBRARIES[access.order.api]
    model = access.order.model
    provider = {
        "npm": library,
        "name": "model",
        "options": {"baseURL": f"{access.url}{version}", "apiKey": access.key},
        "models": {model: {"name": model, "tool_call": True}},
    }
    return {
        "provider": {"soulcaster": provider},
        "enabled_providers": ["soulcaster"],
        "model": f"soulcaster/{model}",
        "small_model": f"soulcaster/{model}",
        "permission": "allow",
        "autoupdate": False,
        "share": "disabled",
        "snapshot": False,
        "lsp": False,
        "formatter": False,
    }


def launch(access: Access, prefix: str = "OPENCODE") -> Launch:
    """Return how it is started; `prefix` begins the names of its variables."""
    words = ("run", "--auto", "--pure", "--format", "json", "--model", f"soulcaster/{access.order.model}")
    folders = {f"XDG_{kind}_HOME": f"{access.folder}/{kind.lower()}" for kind in ("CONFIG", "DATA", "STATE", "CACHE")}
    switches = (
        "DISABLE_AUTOUPDATE",
        "DISABLE_MODELS_FETCH",
        "DISABLE_PROJECT_CONFIG",
        "DISABLE_CLAUDE_CODE",
        "DISABLE_LSP_DOWNLOAD",
        "DISABLE_DEFAULT_PLUGINS",
        "DISABLE_EXTERNAL_SKILLS",
    )
    return Launch(
        (*words, "--", access.request),
        {
            **folders,
            f"{prefix}_CONFIG_CONTENT": json.dumps(configuration(access)),
            **{f"{prefix}_{switch}": "1" for switch in switches},
        },
    )


def read(event: Event, progress: Progress) -> Iterator[str]:
    """Note an event, and yield lines for the log."""
    match event.get("type"):
        case "step_start":
            progress.done, progress.error = False, ""
        case "tool_use":
            yield from _tool(event, progress)
        case "text":
            progress.words = text_of(event, "part", "text")
            yield shown(progress.words)
        case "step_finish":
            _step_ended(event, progress)
        case "error":
            progress.error = _error(event)
            yield shown("error:", progress.error)


def _tool(event: Event, progress: Progress) -> Iterator[str]:
    state = value_of(event, "part", "state")
    error = text_of(state, "error")
    denied = bool(_DENIED.search(error))
    exit_code = value_of(state, "metadata", "exit")
    worked = text_of(state, "status") == "completed" and exit_code in (None, 0)
    progress.called(succeeded=worked, denied=denied)
    arguments = (text_of(state, "input", name) for name in _ARGUMENTS)
    yield shown(text_of(event, "part", "tool"), next(filter(None, arguments), ""))
    if error:
        yield shown("not permitted:" if denied else "failed:", error)


def _step_ended(event: Event, progress: Progress) -> None:
    reason = text_of(event, "part", "reason")
    progress.refused = reason == "content-filter"
    progress.done = reason == "stop" and bool(progress.words)
    progress.tokens_in += int(
        number_of(event, "part", "tokens", "input")
        + number_of(event, "part", "tokens", "cache", "read")
        + number_of(event, "part", "tokens", "cache", "write")
    )
    progress.tokens_out += int(
        number_of(event, "part", "tokens", "output") + number_of(event, "part", "tokens", "reasoning")
    )
    progress.usd = (progress.usd or 0.0) + number_of(event, "part", "cost")


def _error(event: Event) -> str:
    status = number_of(event, "error", "data", "statusCode")
    places = (("error", "data", "message"), ("error", "message"), ("error", "name"), ("error",))
    words = next(filter(None, (text_of(event, *place) for place in places)), "an error without a word")
    return f"{words} (HTTP {status:.0f})" if status else words


CLI = CodingCli(
    "opencode", "opencode", "npm", "opencode-ai", "1.18.33", ("openai", "anthropic", "gemini"), launch, read
)
