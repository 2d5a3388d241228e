"""Aider (https://aider.chat, PyPI `aider-chat`), with the APIs of OpenAI and Anthropic.

It prints words for people and no events, so 0 as its exit code means that it is done, unless a line names an error of
the model. It runs no shell commands by itself (`--yes-always` skips them): it only edits files.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator

from soulcaster.domain.fixes.order import ModelApi
from soulcaster.fixer.agents.cli import Access, CodingCli, Launch
from soulcaster.fixer.agents.events import Event
from soulcaster.fixer.agents.progress import Progress

_WORDS = (
    *("--yes-always", "--no-auto-commits", "--no-dirty-commits", "--no-gitignore", "--no-auto-lint", "--no-auto-test"),
    *("--no-check-update", "--no-show-release-notes", "--analytics-disable", "--no-show-model-warnings"),
    *("--no-suggest-shell-commands", "--no-detect-urls", "--no-restore-chat-history", "--no-pretty", "--no-stream"),
    *("--no-fancy-input", "--env-file", "/dev/null"),
)
_PREFIX: dict[ModelApi, str] = {"openai": "openai/", "anthropic": "anthropic/"}
_ERROR = re.compile(r"litellm\.\w+(Error|Exceeded)\b|^(Can't|Cannot) initialize")
_TOKENS = re.compile(
    r"^Tokens: (\d{1,12}(?:\.\d{1,3})?)(k?) sent, .*?(\d{1,12}(?:\.\d{1,3})?)(k?) received\."
    r"(?: Cost: .*?\$(\d{1,9}(?:\.\d{1,9})?) session)?"
)

_BANNER = re.compile(r"(Aider v|Model: |Git repo: |Repo-map: )")
_FENCE = "```"


def launch(access: Access) -> Launch:
    """Return how it is started."""
    histories = {"input": "input", "chat": "chat.md", "llm": "llm"}
    options = [
        word for kind, name in histories.items() for word in (f"--{kind}-history-file", f"{access.folder}/{name}")
    ]
    model = f"{_PREFIX[access.order.api]}{access.order.model}"
    return Launch(
        (*_WORDS, *options, "--model", model, "--message-file", access.prompt_file),
        {
            "OPENAI_API_KEY": access.key,
            "OPENAI_API_BASE": f"{access.url}/v1",
            "ANTHROPIC_API_KEY": access.key,
            "ANTHROPIC_API_BASE": access.url,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_TELEMETRY": "False",
            "HOME": access.folder,  # its configuration there counts whatever --config says; it runs no commands
        },
    )


def read(event: Event, progress: Progress) -> Iterator[str]:
    """Note nothing: a line that looks like an event is not one of Aider's."""
    del event, progress
    return iter(())


def read_line(line: str, progress: Progress) -> None:
    """Note what a line says: the words of the model, tokens, an error of the model."""
    if _ERROR.search(line):
        progress.error = line
    elif found := _TOKENS.search(line):
        progress.tokens_in += _thousands(found[1], found[2])
        progress.tokens_out += _thousands(found[3], found[4])
        progress.usd = float(found[5]) if found[5] else progress.usd
        progress.words = _without_changes(progress.words)
    elif line.startswith("Applied edit to "):
        progress.called(succeeded=True)
    elif _BANNER.match(line):
        progress.words = ""
    else:
        progress.words = f"{progress.words}\n{line}"[-8_000:]


def _without_changes(words: str) -> str:
    """Return the words of a model without its changes: each is the name of a file, and a block of code."""
    lines = words.split("\n")
    ends = [at for at, line in enumerate(lines) if line == _FENCE]
    kept: list[str] = []
    at = 0
    while at < len(lines):
        begins = at + 1 < len(lines) and lines[at + 1].startswith(_FENCE)
        following = bisect_right(ends, at + 1)
        if begins and following < len(ends):
            kept.append("")
            at = ends[following] + 1
        else:
            kept.append(lines[at])
            at += 1
    return "\n".join(kept)


def _thousands(number: str, unit: str) -> int:
    return int(float(number) * (1_000 if unit else 1))


CLI = CodingCli(
    "aider",
    "aider",
    "PyPI",
    "aider-chat",
    "0.86.2",
    ("openai", "anthropic"),
    launch,
    read,
    read_line,
    exit_code=True,
    leaves=(".aider.tags.cache.v4",),
)
