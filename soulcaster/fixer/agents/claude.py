"""Claude Code (npm `@anthropic-ai/claude-code`), with Anthropic's API only.

`claude -p --output-format stream-json` prints messages as its API has them, then one event `result`. `--bare` leaves
out hooks, plugins, memory and the instructions of the repository, and offers the tools for files and for a shell. It
has been seen not to exit when it is done (issue 25629).
"""

import re
from collections.abc import Iterator

from soulcaster.fixer.agents.cli import Access, CodingCli, Launch
from soulcaster.fixer.agents.events import Event, number_of, objects_of, text_of, value_of
from soulcaster.fixer.agents.progress import Progress, shown

_WORDS = (
    *("--bare", "-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "bypassPermissions"),
    *("--no-session-persistence", "--strict-mcp-config", "--disable-slash-commands", "--setting-sources", "user"),
)
_MODELS = (
    "ANTHROPIC_MODEL",
    "ANTHROPIC_SMALL_FAST_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "CLAUDE_CODE_SUBAGENT_MODEL",
)
_SWITCHES = (
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "DISABLE_AUTOUPDATER",
    "DISABLE_ERROR_REPORTING",
    "DISABLE_TELEMETRY",
    "IS_SANDBOX",  # without it, root may not bypass permissions
)
_DENIED = re.compile(r"was blocked\. For security|requires? approval|requested permissions|haven't granted")
_ARGUMENTS = ("command", "file_path", "path", "pattern", "description")


def launch(access: Access) -> Launch:
    """Return how it is started."""
    return Launch(
        (*_WORDS, "--model", access.order.model, access.request),
        {
            "ANTHROPIC_API_KEY": access.key,
            "ANTHROPIC_BASE_URL": access.url,
            "CLAUDE_CONFIG_DIR": access.folder,
            **dict.fromkeys(_MODELS, access.order.model),
            **dict.fromkeys(_SWITCHES, "1"),
        },
    )


def read(event: Event, progress: Progress) -> Iterator[str]:
    """Note an event, and yield lines for the log."""
    match event.get("type"):
        case "assistant":
            progress.done = False
            yield from _said(event, progress)
        case "user":
            yield from _results(event, progress)
        case "result":
            yield from _result(event, progress)


def _said(event: Event, progress: Progress) -> Iterator[str]:
    for part in objects_of(event, "message", "content"):
        if part.get("type") == "text":
            progress.words = text_of(part, "text")
            yield shown(progress.words)
        elif part.get("type") == "tool_use":
            arguments = (text_of(part, "input", name) for name in _ARGUMENTS)
            yield shown(text_of(part, "name"), next(filter(None, arguments), ""))


def _results(event: Event, progress: Progress) -> Iterator[str]:
    for part in objects_of(event, "message", "content"):
        if part.get("type") == "tool_result":
            failed = part.get("is_error") is True
            words = part.get("content")
            words = words if isinstance(words, str) else ""
            denied = failed and bool(_DENIED.search(words))
            progress.called(succeeded=not failed, denied=denied)
            if failed:
                yield shown("not permitted:" if denied else "failed:", words)


def _result(event: Event, progress: Progress) -> Iterator[str]:
    failed = event.get("is_error") is True or event.get("subtype") != "success"
    words = text_of(event, "result")
    progress.refused = event.get("stop_reason") == "refusal"
    if failed and not progress.refused:
        progress.error = words or text_of(event, "subtype") or "an error without a word"
        yield shown("error:", progress.error)
    elif words:
        progress.words = words
    progress.done = not failed
    usage = value_of(event, "usage")
    kinds = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    progress.tokens_in = int(sum(number_of(usage, kind) for kind in kinds))
    progress.tokens_out = int(number_of(usage, "output_tokens"))
    progress.usd = number_of(event, "total_cost_usd")


CLI = CodingCli("claude", "claude", "npm", "@anthropic-ai/claude-code", "2.1.197", ("anthropic",), launch, read)
