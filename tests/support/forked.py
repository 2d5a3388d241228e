"""Python programs that are forked from a process which has imported them already.

A worker takes 2 s of CPU time to start, and most of that is imports; the tests start hundreds of processes. A forked
one is a process like any other: it has its own session, environment, arguments and log, runs its module as `python -m`
does, and ends as an interpreter ends. What it does not do is load. So a test of starting, of command lines in the table
of processes, or of variables that libraries read while they are loaded needs a plain `Child`.

The processes are forked from two servers in turn. All that come from one server have its seed of hashes; so two workers
of a test still go through a set of strings in different orders.
"""

import atexit
import gc
import importlib
import itertools
import json
import os
import runpy
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

from soulcaster.dev.child import Child, Started, die_with_parent

PRELOADED = (
    "soulcaster.adapters.embedders.static",
    "soulcaster.cli.main",
    "soulcaster.processes.launcher",
    "soulcaster.processes.poller",
    "soulcaster.processes.web",
    "soulcaster.processes.worker",
)
SERVERS = 2
_MESSAGE_BYTES = 1 << 20


@dataclass(frozen=True)
class _Program:
    """What to run: a module with its arguments, and all variables of its environment."""

    module: str
    arguments: Sequence[str]
    environment: Mapping[str, str]


class _Server:
    """The connection to a process that forks; it ends with us, and its processes with it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  ourselves
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        atexit.register(self._close)

    def run(self, program: _Program, log: BinaryIO) -> int:
        """Start a program that writes to a log; return the id of its process."""
        socket.send_fds(self._socket, [json.dumps(asdict(program)).encode()], [log.fileno()])
        pid: int = json.loads(self._socket.recv(_MESSAGE_BYTES))
        return pid

    def exit_code(self, pid: int) -> int | None:
        """Return the exit code of a process that has ended, once; None while it runs."""
        self._socket.send(json.dumps(pid).encode())
        code: int | None = json.loads(self._socket.recv(_MESSAGE_BYTES))
        return code

    def _close(self) -> None:
        self._socket.close()
        self._process.wait()


class _Forked:
    """A process of a server."""

    def __init__(self, server: _Server, pid: int) -> None:
        self.pid = pid
        self._server = server
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None:
            self._code = self._server.exit_code(self.pid)
        return self._code

    def send_signal(self, number: int, /) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


class ForkedChild(Child):
    """A child that runs a Python module, without loading it."""

    def __init__(
        self, name: str, module: Sequence[str], *, log: Path, grace: float, env: Mapping[str, str] | None = None
    ) -> None:
        """`module` is its name and its arguments."""
        super().__init__(name, module, log=log, grace=grace, env=env)

    def _begin(self, log: BinaryIO) -> Started:
        server = next(_servers())
        return _Forked(server, server.run(_Program(self._command[0], self._command[1:], self._env), log))


@cache
def _servers() -> Iterator[_Server]:
    return itertools.cycle([_Server() for _ in range(SERVERS)])


def _serve(requests: socket.socket) -> _Program | None:
    """Fork and reap as asked; return None once nobody asks any more, and in a forked process what it has to run."""
    while True:
        message, files, _, _ = socket.recv_fds(requests, _MESSAGE_BYTES, 1)
        if not message:
            return None
        asked = json.loads(message)
        if isinstance(asked, int):
            pid, status = os.waitpid(asked, os.WNOHANG)
            requests.send(json.dumps(os.waitstatus_to_exitcode(status) if pid else None).encode())
            continue
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            requests.close()
            _begin_anew(server, log=files[0])
            return _Program(**asked)
        os.close(files[0])
        requests.send(json.dumps(pid).encode())


def _begin_anew(server: int, *, log: int) -> None:
    os.setsid()
    if dies := die_with_parent(server):
        dies()
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)


def _main() -> None:
    gc.disable()
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()  # looking through them would copy them into each process
    gc.enable()
    program = _serve(socket.socket(fileno=int(sys.argv[1])))
    if program is not None:
        os.environ.clear()
        os.environ.update(program.environment)
        sys.argv[1:] = program.arguments
        runpy.run_module(program.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
