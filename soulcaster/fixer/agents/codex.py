"""Codex CLI (npm `@openai/codex`), with OpenAI's API of responses only.

`codex exec --json` prints the items of its turn, then `turn.completed` or `turn.failed`. It exits with 0 when every
tool failed (issue 37717), and would wait for stdin if that were open (27019). Our sandbox is around it, so its own is
off.
"""

from collections.abc import Iterator

from soulcaster.fixer.agents.cli import Access, CodingCli, Launch
from soulcaster.fixer.agents.events import Event, number_of, objects_of, text_of, value_of
from soulcaster.fixer.agents.progress import Progress, shown

_WORDS = (
    *("exec", "--json", "--ephemeral", "--ignore-user-config", "--ignore-rules", "--skip-git-repo-check"),
    "--dangerously-bypass-approvals-and-sandbox",
)


def launch(access: Access) -> Launch:
    """Return how it is started."""
    settings = {
        "model_provider": '"soulcaster"',
        "model_providers.soulcaster.name": '"model"',
        "model_providers.soulcaster.base_url": f'"{access.url}/v1"',
        "model_providers.soulcaster.env_key": '"OPENAI_API_KEY"',
        "model_providers.soulcaster.wire_api": '"responses"',
        "project_doc_max_bytes": "0",
        "analytics.enabled": "false",
        "check_for_update_on_startup": "false",
        "web_search": '"disabled"',
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return Launch(
        (*_WORDS, *options, "-m", access.order.model, access.request),
        {"CODEX_HOME": access.folder, "OPENAI_API_KEY": access.key},
    )


def read(event: Event, progress: Progress) -> Iterator[str]:
    """Note an event, and yield lines for the log."""
    match event.get("type"):
        case "turn.started":
            progress.done = False
        case "item.completed":
            yield from _item(value_of(event, "item"), progress)
        case "error":  # it tries again, and `turn.failed` follows if that fails, too
            yield shown("error:", text_of(event, "message"))
        case "turn.failed":
            progress.error = text_of(event, "error", "message") or "an error without a word"
            yield shown("error:", progress.error)
        case "turn.completed":
            progress.done = bool(progress.words)
            progress.tokens_in += int(number_of(event, "usage", "input_tokens"))
            progress.tokens_out += int(number_of(event, "usage", "output_tokens"))


def _item(item: object, progress: Progress) -> Iterator[str]:
    kind = text_of(item, "type")
    if kind == "agent_message":
        progress.words = text_of(item, "text")
        yield shown(progress.words)
    elif kind in ("command_execution", "file_change", "mcp_tool_call"):
        status = text_of(item, "status")
        progress.called(succeeded=status == "completed", denied=status == "declined")
        paths = " ".join(text_of(change, "path") for change in objects_of(item, "changes"))
        yield shown(kind, text_of(item, "command") or paths, "" if status == "completed" else f"({status})")
    elif kind == "error":  # a warning: the turn goes on
        yield shown("warning:", text_of(item, "message"))


CLI = CodingCli("codex", "codex", "npm", "@openai/codex", "0.171.0", ("openai",), launch, read)
