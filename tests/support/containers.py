"""The images that `make image` builds, run as containers without a daemon: buildah shows their files, crun runs them.

A container has what docker-compose.yml gives it: the user of the image, a read-only root, a `/tmp` of its own, no
capability, no way to new rights. It has the network of this machine, because Kafka and Redis run outside of it.
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from soulcaster.dev.child import Child

STORE = Path(__file__).parents[2] / ".cache" / "image"
PROGRAMS = ("buildah", "crun", "unshare")
RUN_SECONDS = 120.0

_IN_ONE_HIERARCHY = 'umount --recursive /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'
"""crun refuses a machine that mounts control groups of both versions; in a mount namespace of its own it sees one."""


class Image:
    """One image, with its files mounted; they are shared by its containers, which cannot write to them."""

    def __init__(self, name: str, folder: Path) -> None:
        """Mount it; skip the test where it was not built or cannot be run."""
        missing = [program for program in PROGRAMS if shutil.which(program) is None]
        if missing or os.geteuid() != 0:
            pytest.skip(f"images are run by root, with {', '.join(PROGRAMS)}; missing: {', '.join(missing) or 'root'}")
        self._folder = folder
        self._buildah = ["buildah", "--root", str(STORE / "images"), "--runroot", str(STORE / "run")]
        found = json.loads(self._run("inspect", "--type", "image", name))
        self.config: Mapping[str, Any] = found["Docker"]["config"]
        self._working = self._run("from", name).strip()
        self.root = Path(self._run("mount", self._working).strip())

    def remove(self) -> None:
        """Unmount the files."""
        self._run("rm", self._working)

    def container(
        self, *arguments: str, program: str = "", writable: Mapping[Path, str] | None = None, **env: str
    ) -> "Container":
        """Return a container of the program with these arguments, by default the image's own.

        `writable` are folders of ours and their places.
        """
        name = f"soulcaster-{uuid4().hex[:12]}"
        bundle = self._folder / name
        bundle.mkdir()
        subprocess.run(["crun", "spec"], cwd=bundle, check=True)  # noqa: S607
        path = bundle / "config.json"
        spec = json.loads(path.read_text())
        command = [program] if program else self.config["Entrypoint"]
        self._configure(spec, [*command, *(arguments or self.config["Cmd"])], env, writable or {})
        path.write_text(json.dumps(spec))
        return Container(name, bundle, self.config["User"])

    def _configure(
        self, spec: dict[str, Any], command: list[str], env: Mapping[str, str], writable: Mapping[Path, str]
    ) -> None:
        user, group = map(int, self.config["User"].split(":"))
        spec["root"] = {"path": str(self.root), "readonly": True}
        spec["process"] |= {
            "terminal": False,
            "user": {"uid": user, "gid": group},
            "args": command,
            "env": [*self.config["Env"], *(f"{name}={value}" for name, value in env.items())],
            "cwd": self.config["WorkingDir"],
            "capabilities": {kind: [] for kind in spec["process"]["capabilities"]},
            "noNewPrivileges": True,
        }
        own = {"/sys", "/sys/fs/cgroup"}  # need the network of the container to be its own, and control groups
        spec["mounts"] = [
            *(mount for mount in spec["mounts"] if mount["destination"] not in own),
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]},  # noqa: S108
            *({"destination": at, "source": str(of), "options": ["rbind", "rw"]} for of, at in writable.items()),
        ]
        linux = spec["linux"]
        linux["namespaces"] = [one for one in linux["namespaces"] if one["type"] not in {"network", "cgroup"}]

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([*self._buildah, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            pytest.skip(f"the image cannot be used; `make image` builds it: {done.stderr.strip()[-300:]}")
        return done.stdout


class Container:
    """One container, running as long as its program does."""

    def __init__(self, name: str, bundle: Path, user: str) -> None:
        self.name = name
        self._user = user
        self.child = Child(
            name, _crun("run", "--bundle", str(bundle), name), log=bundle / "output.log", grace=RUN_SECONDS, cwd=bundle
        )

    @property
    def output(self) -> str:
        return self.child.log.read_text()

    async def complete(self) -> int:
        """Run it to its end and return its exit code."""
        self.child.start()
        return await self.child.wait()

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as the image's user."""
        return subprocess.run(  # noqa: S603
            _crun("exec", "--user", self._user, self.name, *command),
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )

    async def stop(self) -> int:
        """Send SIGTERM to its program, as a daemon does, and return the exit code; none of it is left."""
        await _done("kill", self.name, "TERM")
        code = await self.child.wait()
        await self.remove()
        return code

    async def remove(self) -> None:
        """End it at once, if it runs."""
        await _done("delete", "--force", self.name)
        await self.child.kill()


def _crun(*arguments: str) -> list[str]:
    return ["unshare", "--mount", "sh", "-ec", _IN_ONE_HIERARCHY, "sh", "crun", "--cgroup-manager=disabled", *arguments]


async def _done(*arguments: str) -> None:
    program = await asyncio.create_subprocess_exec(
        *_crun(*arguments), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    await program.wait()
