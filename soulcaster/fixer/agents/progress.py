"""How far a coding agent has got, by what it prints, and what follows from that when it has ended."""

from dataclasses import dataclass

from soulcaster.domain.fixes.strangers import cut, plain, plain_line
from soulcaster.ports.coding_agent import AgentEnd
from soulcaster.ports.sandbox import Ended

LINE_CHARS = 400
"""Characters of a line of the log that an event becomes."""

SUMMARY_BYTES = 8 * 1024

_DENIED = "It was not permitted to use a tool, and gave up."
_BUDGET = "The budget of this job is spent"
"""What our proxy of the model says when it lets no more calls through."""


@dataclass(slots=True)
class Progress:
    """What the events of a coding agent have said so far.

    `done` is that it says so in the last of them. `words` is its newest message. `denied` is that its newest call of
    a tool was not permitted. Tokens and US dollars are what it says that it used.
    """

    done: bool = False
    refused: bool = False
    error: str = ""
    words: str = ""
    calls: int = 0
    succeeded: int = 0
    denied: bool = False
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float | None = None

    def called(self, *, succeeded: bool, denied: bool = False) -> None:
        """Note that a call of a tool has ended."""
        self.calls += 1
        self.succeeded += succeeded
        self.denied = denied

    @property
    def summary(self) -> str:
        """What it says that it did."""
        return cut(plain(self.words), SUMMARY_BYTES)


def shown(*words: str) -> str:
    """Return words as a line of the log."""
    return plain_line(" ".join(word for word in words if word), LINE_CHARS)


def judge(progress: Progress, ended: Ended | None) -> tuple[AgentEnd, str]:
    """Return how a coding agent ended, and why, for people; `ended` is None where it was done and did not exit.

    Its exit code says nothing for those that print events: some exit with 0 after errors and denied tools.
    """
    if progress.error:
        spent = _BUDGET in progress.error
        return ("cut off", "The budget for the model is spent.") if spent else ("failed", shown(progress.error))
    if progress.refused:
        return "refused", "The model would not work on this."
    if progress.done:
        return _done(progress)
    if ended is not None and ended.limit is not None:
        return ("idle" if ended.limit == "idle" else "cut off"), ended.why
    if progress.denied:
        return "failed", _DENIED
    last = "" if ended is None else ended.tail.strip().rpartition("\n")[2]
    said = "" if not last or last.startswith("{") else f" Its last line: {last}"
    return "failed", shown(f"It ended without a word that it was done.{said}")


def _done(progress: Progress) -> tuple[AgentEnd, str]:
    if progress.denied:
        return "failed", _DENIED
    if progress.calls and not progress.succeeded:
        return "failed", "No tool that it used worked."
    return "done", "It says that it is done."
