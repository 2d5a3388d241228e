"""Runs a coding agent in a sandbox, with a prompt as a file, and says how it ended."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from soulcaster.domain.fixes.order import AgentOrder
from soulcaster.errors import AgentUnusable
from soulcaster.fixer.agents.catalog import CLIS
from soulcaster.fixer.agents.cli import PROMPT_NAME, Access, Launch
from soulcaster.fixer.agents.hidden import Hidden
from soulcaster.fixer.agents.installed import Installed, find
from soulcaster.fixer.agents.progress import Progress, judge, shown
from soulcaster.fixer.trees import remove_folder
from soulcaster.ports.coding_agent import AgentRun
from soulcaster.ports.sandbox import HOME, MODEL_KEY, MODEL_URL, Ended, Sandbox, SandboxLimits, Tree

GIVEN = "/given"
"""Where the agent sees the prompt and its settings, read-only and outside of the tree."""

IDLE_SECONDS = 600.0
"""How long an agent may print nothing: the longest answer of a model, with calls that are tried again."""

LINGER_SECONDS = 20.0
"""How long an agent may go on running after it has said that it is done: some never exit."""


class CliRunner:
    """Runs the coding agent of one order (`CodingAgentRunner`).

    Raises:
        AgentUnusable: on creation, where the agent is not installed or does not speak the API of the model.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        order: AgentOrder,
        *,
        search_path: str | None = None,
        idle_seconds: float = IDLE_SECONDS,
        linger_seconds: float = LINGER_SECONDS,
    ) -> None:
        """Look for the program in the folders of `search_path`, those of PATH where that is None."""
        self._sandbox = sandbox
        self._order = order
        self._cli = CLIS[order.agent]
        self._idle_seconds = idle_seconds
        self._linger_seconds = linger_seconds
        if order.api not in self._cli.apis:
            raise AgentUnusable(f"The coding agent {order.agent} does not speak the API {order.api} of the model.")
        if not self._cli.program and not order.command:
            raise AgentUnusable("The coding agent is a command, and no command line is set up.")
        self._installed: Installed = find(self._cli, self._cli.program or order.command[0], search_path)

    async def work(self, tree: Tree, prompt: str, *, seconds: float, on_line: Callable[[str], None]) -> AgentRun:
        """Have the agent change the tree, with the agent configuration in it hidden meanwhile."""
        began = time.monotonic()
        own = f".agent-{secrets.token_hex(8)}"  # no program that ran before can have put anything there
        access = Access(self._order, GIVEN, f"{HOME}/{own}", MODEL_URL, MODEL_KEY)
        launch = self._cli.launch(access)
        await asyncio.to_thread(_write, tree.home / own, launch.files)
        limits = SandboxLimits(seconds=seconds, idle_seconds=self._idle_seconds)
        hidden = await asyncio.to_thread(Hidden, tree.work, self._cli.leaves)
        try:
            if hidden.paths:
                on_line(shown("hidden from the agent:", ", ".join(hidden.paths)))
            with TemporaryDirectory(prefix="given-", dir=tree.work.parent) as folder:
                _give(Path(folder), prompt)
                progress, ended = await self._run(tree, Path(folder), launch, limits, on_line)
        finally:
            await asyncio.to_thread(hidden.restore)
            await remove_folder(hidden.stash)
        end, why = judge(progress, ended)
        return AgentRun(
            end,
            why,
            progress.summary,
            time.monotonic() - began,
            () if ended is None else ended.blocked,
            progress.tokens_in,
            progress.tokens_out,
            progress.usd,
        )

    async def _run(
        self, tree: Tree, given: Path, launch: Launch, limits: SandboxLimits, on_line: Callable[[str], None]
    ) -> tuple[Progress, Ended | None]:
        """Run the program. It is ended some time after it has said that it is done; then there is no `Ended`."""
        progress = Progress()
        linger = _Linger(self._linger_seconds)

        def read(line: str) -> None:
            for words in self._cli.hear(line, progress):
                if words:
                    on_line(words)
            linger.see(done=progress.done)

        running = asyncio.ensure_future(
            self._sandbox.run(
                (self._installed.program, *launch.words),
                tree,
                limits,
                network="model",
                environment=launch.environment,
                read_only={given: GIVEN, **self._installed.shown},
                on_line=read,
            )
        )
        linger.of = running
        try:
            ended = await running
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not linger.over or (task is not None and task.cancelling()):  # a limit, or the launch ends
                raise
            return progress, None
        finally:
            linger.see(done=False)
        if self._cli.exit_code:
            progress.done = ended.code == 0
        return progress, ended


class _Linger:
    """Cancels a run some time after its agent has said that it is done, unless that goes on after all."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self.of: asyncio.Future[Ended] | None = None
        self.over = False

    def see(self, *, done: bool) -> None:
        """Note whether the agent is done, by its newest event."""
        if self._timer is not None and not done:
            self._timer.cancel()
            self._timer = None
        elif self._timer is None and done:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._end)

    def _end(self) -> None:
        if self.of is not None:
            self.over = self.of.cancel()


def _give(folder: Path, prompt: str) -> None:
    (folder / PROMPT_NAME).write_text(prompt)
    folder.chmod(0o755)  # the agent may have another user's id


def _write(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
