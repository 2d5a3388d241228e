"""A sandbox that isolates nothing but the paths: commands see a tree as /work and its home, as in the real one."""

import asyncio
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from soulcaster.isolation import bubblewrap
from soulcaster.ports.sandbox import HOME, WORK, Ended, Network, SandboxLimits, Tree

CACHE = "/cache"
TOOLS = "/tools"
_HIDDEN = frozenset({"work", "home", "tmp", "proc", "dev", "sys", "run", "cache", "tools"})
_PASSED_ON = (
    "PIP_",
    "UV_",
    "SSL_",
    "NODE_EXTRA",
    "GOPROXY",
    "GOSUMDB",
    "GOFLAGS",
    "RUSTUP_",
    "CARGO_HTTP",
    "REQUESTS_",
)


class PlainSandbox:
    """Runs commands with the network of this machine, whatever is asked for. `cache` is kept between tests."""

    def __init__(self, cache: Path) -> None:
        programs = bubblewrap.candidates()
        if not programs:
            pytest.skip("there is no bubblewrap here")
        self._program = programs[0]
        self._cache = cache
        cache.mkdir(parents=True, exist_ok=True)
        self.commands: list[str] = []

    async def run(
        self,
        command: Sequence[str],
        tree: Tree,
        limits: SandboxLimits,
        *,
        network: Network = "none",
        environment: Mapping[str, str] | None = None,
        read_only: Mapping[Path, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Ended:
        self.commands.append(command[-1])
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *self._isolated(tree, read_only or {}),
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**self._variables(), **(environment or {})},
        )
        tail: deque[str] = deque(maxlen=200)
        assert process.stdout is not None
        try:
            async with asyncio.timeout(limits.seconds):
                async for line in process.stdout:
                    tail.append(line.decode(errors="replace").rstrip("\n"))
                    if on_line:
                        on_line(tail[-1])
                code: int | None = await process.wait()
        except TimeoutError:
            code = None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        why = "it took too long" if code is None else f"exit code {code}"
        return Ended(code, why, "\n".join(tail)[-16384:], time.monotonic() - began)

    def _isolated(self, tree: Tree, read_only: Mapping[Path, str]) -> list[str]:
        words = [str(self._program), "--die-with-parent", "--unshare-pid", "--proc", "/proc", "--dev", "/dev"]
        for entry in sorted(Path("/").iterdir()):
            if entry.is_symlink():
                words += ["--symlink", str(entry.readlink()), str(entry)]
            elif entry.is_dir() and entry.name not in _HIDDEN:
                words += ["--ro-bind", str(entry), str(entry)]
        words += ["--tmpfs", "/tmp", "--bind", str(tree.work), WORK, "--bind", str(tree.home), HOME]  # noqa: S108
        words += ["--bind", str(self._cache), CACHE]
        uv = Path(sys.prefix) / "bin" / "uv"
        words += ["--ro-bind", str(uv), f"{TOOLS}/uv"] if uv.exists() else []
        for path, seen in read_only.items():
            words += ["--ro-bind", str(path), seen]
        return [*words, "--chdir", WORK, "--"]

    @staticmethod
    def _variables() -> dict[str, str]:
        given = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
        npm = Path.home() / ".npmrc"
        toolchains = Path(os.environ.get("RUSTUP_HOME", Path.home() / ".rustup"))
        return {
            **given,
            **({"npm_config_userconfig": str(npm)} if npm.exists() else {}),
            **({"RUSTUP_HOME": str(toolchains)} if toolchains.exists() else {}),
            "PATH": f"{TOOLS}:{os.environ['PATH']}",
            "HOME": HOME,
            "UV_CACHE_DIR": f"{CACHE}/uv",
            "PIP_CACHE_DIR": f"{CACHE}/pip",
            "MAVEN_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",  # it starts in half the time
        }
