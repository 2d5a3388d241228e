"""Gemini CLI (npm `@google/gemini-cli`), with Gemini's API only.

`gemini -o stream-json` prints messages, calls of tools with their results, then one event `result`. Its settings are
those of a home of its own. It reads files only in the repository and in the folder of the prompt, unless by its shell.
"""

import json
from collections.abc import Iterator

from soulcaster.fixer.agents.cli import Access, CodingCli, Launch
from soulcaster.fixer.agents.events import Event, number_of, text_of, value_of
from soulcaster.fixer.agents.progress import Progress, shown

_SETTINGS = {
    "context": {"fileName": ["no-file-of-instructions.md"]},
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
    "hooksConfig": {"enabled": False},
    "mcp": {"allowed": []},
    "privacy": {"usageStatisticsEnabled": False},
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "skills": {"enabled": False},
    "telemetry": {"enabled": False},
}
_EXITED = "Command exited with code"
"""How the result of a shell command begins that failed; its status is "success" all the same."""

_ARGUMENTS = ("command", "file_path", "absolute_path", "path", "pattern")


def launch(access: Access) -> Launch:
    """Return how it is started."""
    return Launch(
        (
            *("--approval-mode", "yolo", "--skip-trust", "-o", "stream-json", "-m", access.order.model),
            *("--extensions", "none", "--allowed-mcp-server-names", "none", "--include-directories", access.given),
            *("-p", access.request),
        ),
        {
            "GEMINI_API_KEY": access.key,
            "GEMINI_CLI_HOME": access.folder,
            "GEMINI_CLI_NO_RELAUNCH": "true",
            "GEMINI_TELEMETRY_ENABLED": "false",
            "GOOGLE_GEMINI_BASE_URL": access.url,
            "NO_BROWSER": "true",
        },
        {".gemini/settings.json": json.dumps(_SETTINGS)},
    )


def read(event: Event, progress: Progress) -> Iterator[str]:
    """Note an event, and yield lines for the log."""
    match event.get("type"):
        case "message" if event.get("role") == "assistant":
            words = text_of(event, "content")
            progress.words = progress.words + words if event.get("delta") else words
            yield shown(words)
        case "tool_use":
            progress.words = ""
            arguments = (text_of(event, "parameters", name) for name in _ARGUMENTS)
            yield shown(text_of(event, "tool_name"), next(filter(None, arguments), ""))
        case "tool_result":
            yield from _tool_ended(event, progress)
        case "error":
            yield shown("error:", text_of(event, "message"))
        case "result":
            yield from _result(event, progress)


def _tool_ended(event: Event, progress: Progress) -> Iterator[str]:
    error = text_of(event, "error", "message")
    denied = "denied by policy" in error or text_of(event, "error", "type") == "policy_violation"
    worked = event.get("status") == "success" and not text_of(event, "output").startswith(_EXITED)
    progress.called(succeeded=worked, denied=denied)
    if error:
        yield shown("not permitted:" if denied else "failed:", error)


def _result(event: Event, progress: Progress) -> Iterator[str]:
    progress.done = event.get("status") == "success" and bool(progress.words)
    if event.get("status") != "success":
        progress.error = text_of(event, "error", "message") or "an error without a word"
        yield shown("error:", progress.error)
    stats = value_of(event, "stats")
    progress.tokens_in = int(number_of(stats, "input_tokens"))
    progress.tokens_out = int(number_of(stats, "output_tokens"))


CLI = CodingCli("gemini", "gemini", "npm", "@google/gemini-cli", "0.61.0", ("gemini",), launch, read)
