"""A sandbox of the E2B on loopback: a folder, and real processes that belong to it.

What envd does is in github.com/e2b-dev/infra, packages/envd: it gives a process PATH, HOME, USER, LOGNAME, E2B_SANDBOX
and the variables of the request, ends it after Connect-Timeout-Ms, and lets it go on when the caller is gone.
"""

import asyncio
import base64
import json
import os
import signal
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
from aiohttp import web

ENVD_VERSION = "0.6.5"

Events = list[dict[str, Any]]


@dataclass
class E2bSandbox:
    """It has no isolation: a process of it is one of this machine, in a session of its own."""

    id: str
    folder: Path
    """The home of its user; it stays when the sandbox is removed, so that tests can look into it."""
    metadata: dict[str, str]
    seconds: int
    """What its time to live was set to last."""
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    state: str = "running"
    scripts: list[dict[str, Any]] = field(default_factory=list)
    """Every process that was asked for, as the request described it."""
    _sessions: set[int] = field(default_factory=set)
    _is_dead: bool = False

    @property
    def token(self) -> str:
        return f"access-to-{self.id}"

    def listed(self) -> dict[str, Any]:
        """Return it as lists and details describe it."""
        return {
            "templateID": "template-id",
            "sandboxID": self.id,
            "clientID": "client",
            "startedAt": self.started_at.isoformat(),
            "endAt": (self.started_at + timedelta(seconds=self.seconds)).isoformat(),
            "cpuCount": 2,
            "memoryMB": 512,
            "diskSizeMB": 1_024,
            "state": self.state,
            "envdVersion": ENVD_VERSION,
            "metadata": self.metadata,
        }

    def created(self) -> dict[str, Any]:
        """Return it as the answers to its creation and to a connection describe it."""
        return {
            "templateID": "template-id",
            "sandboxID": self.id,
            "clientID": "client",
            "envdVersion": ENVD_VERSION,
            "envdAccessToken": self.token,
        }

    async def run(self, request: Mapping[str, Any], milliseconds: str | None) -> Events:
        """Run a process to its end, and return the events of its stream."""
        asked = request["process"]
        self.scripts.append(asked)
        process = await asyncio.create_subprocess_exec(
            asked["cmd"],
            *asked["args"],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.folder,
            env=self.variables() | asked.get("envs", {}),
            start_new_session=True,
        )
        self._sessions.add(process.pid)
        if self._is_dead:  # since the process was asked for
            self.kill()
        try:
            limit = None if milliseconds is None else int(milliseconds) / 1_000
            printed, errors = await asyncio.wait_for(process.communicate(), limit)
        except TimeoutError:
            process.kill()
            printed, errors = await process.communicate()
        outputs = [
            {"data": {name: base64.b64encode(text).decode()}}
            for name, text in (("stdout", printed), ("stderr", errors))
            if text
        ]
        end = {"end": {"exitCode": process.returncode, "exited": True, "status": f"exit status {process.returncode}"}}
        return [{"event": event} for event in ({"start": {"pid": process.pid}}, *outputs, end)]

    async def printed(self, script: str) -> str:
        """Return what a script prints that is run as the SDK runs it."""
        events = await self.run({"process": {"cmd": "/bin/bash", "args": ["-l", "-c", script]}}, None)
        texts = [event["event"]["data"]["stdout"] for event in events if "stdout" in event["event"].get("data", {})]
        return "".join(base64.b64decode(text).decode() for text in texts)

    def variables(self) -> dict[str, str]:
        """Return the variables that envd gives every process."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "USER": "user",
            "LOGNAME": "user",
            "E2B_SANDBOX": "true",
        }

    def kill(self) -> None:
        """Kill its processes, and return when they are dead; a process that is being started dies too."""
        self._is_dead = True
        deadline = time.monotonic() + 60
        while found := self.processes():
            for process in found:
                try:
                    process.send_signal(signal.SIGKILL)
                except psutil.NoSuchProcess:
                    continue
            assert time.monotonic() < deadline, f"{found} survive their sandbox"
            psutil.wait_procs(found, timeout=0.05)

    def processes(self) -> list[psutil.Process]:
        """Return its processes that are alive."""
        return [process for process in psutil.process_iter() if self._owns(process)]

    def _owns(self, process: psutil.Process) -> bool:
        try:
            return os.getsid(process.pid) in self._sessions and process.status() != psutil.STATUS_ZOMBIE
        except (ProcessLookupError, psutil.NoSuchProcess):
            return False


def envelope(message: Mapping[str, Any], *, is_end: bool = False) -> bytes:
    """Return a message of a stream of the Connect protocol (connectrpc.com/docs/protocol, "Streaming RPCs")."""
    body = json.dumps(message).encode()
    return struct.pack(">BI", 2 if is_end else 0, len(body)) + body


def streamed(events: Events) -> web.Response:
    """Return the answer to a streaming call, whole."""
    body = b"".join(map(envelope, events)) + envelope({}, is_end=True)
    return web.Response(body=body, content_type="application/connect+json")


async def streaming_request(request: web.Request) -> dict[str, Any]:
    """Return the one message of a call whose answer is a stream."""
    body = await request.read()
    flags, length = struct.unpack(">BI", body[:5])
    assert (flags, length) == (0, len(body) - 5)
    message: dict[str, Any] = json.loads(body[5:])
    return message
