"""A coding agent: a program that changes the code of a tree when it is told what is wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from soulcaster.ports.sandbox import Tree

AgentEnd = Literal["done", "refused", "failed", "idle", "cut off"]
"""It says that it is done; it would not; an error of its own or of the model; it printed nothing for too long; a limit
or the budget ended it."""


@dataclass(frozen=True, slots=True)
class AgentRun:
    """How a coding agent ended. `why` is for people; `summary` is what it says it did: a stranger's words.

    `tokens_in`, `tokens_out` and `usd` are what it says that it used, which only informs: our proxy counts.
    """

    end: AgentEnd
    why: str
    summary: str
    seconds: float
    blocked: tuple[str, ...] = ()
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float | None = None


class CodingAgentRunner(Protocol):
    """Runs the coding agent of an order in a sandbox."""

    async def work(self, tree: Tree, prompt: str, *, seconds: float, on_line: Callable[[str], None]) -> AgentRun:
        """Have the agent change the tree; nothing of it runs when this returns, or is cancelled."""
