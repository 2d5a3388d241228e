"""The process that starts a program and dies with who watches it; inside of bubblewrap it is process 1.

`python -m soulcaster.isolation.guard CONTROL REPORT ORDER PROGRAM [ARGUMENT...]`

CONTROL is the read end of a pipe. Nobody writes to it: when it ends, the watcher has died or wants an end, and the
guard ends everything. (The kernel's own way, PR_SET_PDEATHSIG, misses a parent that dies before the child asks for it.
So does bubblewrap's --die-with-parent: it may leave a process that waits for ever for one that was killed.) REPORT is a
pipe to the watcher, a line of JSON for each event: {"started": pid}, {"failed": reason}, {"ended": wait status}.
ORDER is JSON: `limits`, resource limits by the names of the module `resource`, and `doors`, paths of unix sockets by
the port of 127.0.0.1 that leads to each (see `forwarder`).

Everything that the program starts ends with the guard: as process 1 of its namespace it takes everything with it;
without isolation it adopts orphans, and kills what it finds below itself.
"""

import json
import os
import resource
import select
import signal
import sys
from pathlib import Path
from typing import Any

from soulcaster.isolation.descendants import adopt_orphans, forbid_tracing, kill_descendants, reap
from soulcaster.isolation.forwarder import forward

OOM_SCORE = 500
"""Of -1000 to 1000: where the machine runs out of memory, the kernel ends the program before services."""


def main() -> None:
    """Run the program to its end, or to the watcher's."""
    control, report = int(sys.argv[1]), int(sys.argv[2])
    for pipe in (control, report):
        os.set_inheritable(pipe, False)
    isolated = os.getpid() == 1
    order = json.loads(sys.argv[3])
    _limit(order["limits"])
    os.nice(order["nice"])
    if isolated:
        forbid_tracing()  # last: from here on, only root may write to our files in /proc
    else:
        adopt_orphans()
    try:
        forward({int(port): path for port, path in order["doors"].items()}, (control, report))
        _run(control, report, sys.argv[4:])
    finally:
        if not isolated:
            kill_descendants()


def _run(control: int, report: int, command: list[str]) -> None:
    children = _wake_on_children()
    if select.select([control], [], [], 0)[0]:
        return
    try:
        # Python ignores these two signals, and what is ignored stays ignored in a program that is started.
        program = os.posix_spawnp(
            command[0], command, os.environ, setsid=True, setsigdef=(signal.SIGPIPE, signal.SIGXFSZ)
        )
    except OSError as error:
        _tell(report, failed=f"{command[0]} could not be started: {error.strerror}")
        return
    _tell(report, started=program)
    status = _wait(program, control, children)
    if status is not None:
        _tell(report, ended=status)


def _wake_on_children() -> int:
    """Return a pipe that can be read when a child has ended."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return read


def _wait(program: int, control: int, children: int) -> int | None:
    """Return the program's wait status, None when the watcher has died first. It reaps orphans meanwhile."""
    while True:
        ready, _, _ = select.select([control, children], [], [])
        if control in ready:
            return None
        os.read(children, 512)
        for pid, status in reap():
            if pid == program:
                return status


def _limit(limits: dict[str, int]) -> None:
    for name, most in limits.items():
        number = getattr(resource, name)
        _, hard = resource.getrlimit(number)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (value, value))
    if sys.platform == "linux":
        score = Path("/proc/self/oom_score_adj")
        if int(score.read_text()) < OOM_SCORE and os.access(score, os.W_OK):  # an outer /proc is read-only
            score.write_text(str(OOM_SCORE))


def _tell(report: int, **event: Any) -> None:
    os.write(report, json.dumps(event).encode() + b"\n")


if __name__ == "__main__":
    main()
