"""Processes of the program beside one stack: they find it through a data dir, as beside a `soulcaster run`."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from soulcaster.dev.child import Child
from soulcaster.processes.settings import STACK_FILE, Settings
from tests.support.forked import ForkedChild


class Beside:
    """A data dir that leads to a stack, and the processes started on it; each has a log of its own."""

    def __init__(self, settings: Settings, data_dir: Path, *, env: Mapping[str, str] | None = None) -> None:
        """`env` is added to the environment of every process: secrets are in no file."""
        self.data_dir = data_dir
        self.children: list[Child] = []
        self._env = dict(env or {})
        data_dir.mkdir(parents=True)
        addresses = settings.model_dump(mode="json", exclude={"session_key"})
        (data_dir / STACK_FILE).write_text(json.dumps({"pid": os.getpid(), "settings": addresses}))

    def soulcaster(self, *arguments: str, **env: str) -> Child:
        """Start a command of the program."""
        return self.start(arguments[0], ["soulcaster", *arguments, "--data-dir", str(self.data_dir)], **env)

    def start(self, name: str, module: Sequence[str], **env: str) -> Child:
        """Start a Python module with its arguments."""
        log = self.data_dir / f"{len(self.children)}-{name}.log"
        child = self._child(name, module, log, {**self._env, **env})
        child.start()
        self.children.append(child)
        return child

    def _child(self, name: str, module: Sequence[str], log: Path, env: Mapping[str, str]) -> Child:
        return Child(name, [sys.executable, "-m", *module], log=log, grace=60, env=env)

    async def stop(self) -> None:
        """Stop all that runs, the last started first."""
        for child in reversed(self.children):
            await child.stop()


class ForkedBeside(Beside):
    """The same, without the time that loading them takes."""

    def _child(self, name: str, module: Sequence[str], log: Path, env: Mapping[str, str]) -> Child:
        return ForkedChild(name, module, log=log, grace=60, env=env)
