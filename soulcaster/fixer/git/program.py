"""Runs plain `git` for us: without anybody's configuration, hooks or helpers, within a time limit.

Credentials are given by the environment (`GIT_CONFIG_COUNT`, git-config(1)), so they are neither on disk nor among the
words of a command, which every process of the machine may read.
"""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from soulcaster.errors import GitFailed
from soulcaster.fixer.commands import run_command

SECONDS = 120.0
"""How long a command on this machine may take; a large repository is checked out in a minute."""

NETWORK_SECONDS = 600.0
"""How long a fetch or a push may take."""

ERROR_BYTES = 16 * 1024
"""How much of what git says about an error is kept: the end."""

SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "core.attributesFile": os.devnull,
    "core.excludesFile": os.devnull,
    "core.autocrlf": "false",
    "core.fileMode": "true",
    "core.symlinks": "true",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.quotePath": "true",
    "commit.gpgSign": "false",
    "credential.helper": "",
    "diff.external": "",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
    "push.recurseSubmodules": "no",
    "protocol.allow": "never",
    "protocol.http.allow": "always",
    "protocol.https.allow": "always",
    "http.followRedirects": "false",  # else the credential goes where the redirect points
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "safe.directory": "*",
}

PLAIN = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository at a server. `token` is None for a public one."""

    url: str
    token: str | None = None

    def __repr__(self) -> str:
        """Return a text without the token."""
        return f"Remote(url={self.url!r})"

    def settings(self) -> dict[str, str]:
        """Return the setting that authorises requests to this server and to no other."""
        if self.token is None:
            return {}
        given = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
        return {f"http.{self.url}.extraHeader": f"Authorization: Basic {given}"}


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of a git that has our settings, and these, and nobody else's."""
    every = {**SETTINGS, **(settings or {})}
    numbered = {"GIT_CONFIG_COUNT": str(len(every))}
    for number, (name, value) in enumerate(every.items()):
        numbered |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return {**PLAIN, **numbered}


@dataclass(frozen=True, slots=True)
class Git:
    """Git on one git directory of ours; `index` and `work` are those of a command that needs them."""

    git_dir: Path
    work: Path | None = None
    index: Path | None = None

    async def __call__(
        self,
        *words: str,
        given: bytes = b"",
        settings: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> bytes:
        """Run a command, with `given` as its input, and return what it prints.

        Raises:
            GitFailed: it ended with an error, or took longer than `seconds`.
        """
        try:
            done = await run_command(
                ("git", *words),
                seconds=seconds,
                environment={**environment(settings), **self._places(), **(variables or {})},
                folder=self.work or self.git_dir,
                given=given,
            )
        except TimeoutError as error:
            raise GitFailed(f"it took longer than {seconds:.0f} seconds and timed out") from error
        if done.code != 0:
            told = done.said + done.printed if words[0] == "push" else done.said
            raise GitFailed(told[-ERROR_BYTES:].decode(errors="replace"))
        return done.printed

    def _places(self) -> dict[str, str]:
        places = {"PATH": os.environ.get("PATH", os.defpath), "HOME": os.devnull, "GIT_DIR": str(self.git_dir)}
        if self.work is not None:
            places["GIT_WORK_TREE"] = str(self.work)
        if self.index is not None:
            places["GIT_INDEX_FILE"] = str(self.index)
        return places
