"""The shell scripts that start a job's program in a sandbox and tell what became of it.

A folder in the sandbox is the memory of a launch: making it is the lock that one start alone gets, and it holds the
process id of the shell that watches the program, what the program printed, and its exit code at the end.
"""

import re
import shlex
from dataclasses import dataclass
from typing import Literal, get_args

from soulcaster.ports.launch_backend import Launch

OUTPUT_BYTES = 4_000
"""The end of a program's output that is read."""

KILL_AFTER_SECONDS = 10
"""How long a program that reached its time limit may take to end by itself."""

_MARK = "@soulcaster"
"""Begins the line that is ours; a login shell may print other lines before it."""

_BEGIN = """\
set -- {arguments}
folder="$HOME/.soulcaster/$1"
"""

_START = """\
mkdir -p "$HOME/.soulcaster" || exit 1
if mkdir -m 700 "$folder"; then
    (
        timeout -k {kill_after} "$2" sh -c "$3" >"$folder/output" 2>&1
        echo "$?" >"$folder/exit.part"
        mv "$folder/exit.part" "$folder/exit"
    ) </dev/null >/dev/null 2>&1 &
    echo "$!" >"$folder/pid.part"
    mv "$folder/pid.part" "$folder/pid"
elif ! [ -d "$folder" ]; then
    exit 1
fi
"""

_STATUS = """\
if ! [ -d "$folder" ]; then
    echo "{mark} absent"
elif [ -f "$folder/exit" ]; then
    echo "{mark} exit $(cat "$folder/exit")"
elif ! [ -f "$folder/pid" ]; then
    echo "{mark} starting"
elif kill -0 "$(cat "$folder/pid")" 2>/dev/null; then
    echo "{mark} running"
elif [ -f "$folder/exit" ]; then
    echo "{mark} exit $(cat "$folder/exit")"
else
    echo "{mark} killed"
fi
tail -c {output} "$folder/output" 2>/dev/null
exit 0
"""

Progress = Literal["absent", "starting", "running", "exit", "killed"]
"""What became of the start: none yet, begun, the program runs, it has ended, or its shell was killed before the end."""

_PROGRESS: dict[str, Progress] = {word: word for word in get_args(Progress)}

_LINE = re.compile(
    rf"^{_MARK} (?:(?P<word>absent|starting|running|killed)|exit (?P<code>[0-9]{{1,3}}))$\n?", re.MULTILINE
)


class UnreadableStatus(ValueError):
    """What a script printed has no status in it."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a script found in the sandbox; `code` is the program's exit code once it has ended."""

    progress: Progress
    code: int = 0
    output: str = ""


def start_script(launch: Launch, command: str) -> str:
    """Return the script that starts a shell command once for this launch, and prints the status.

    A second run of it, also at the same time, starts nothing. Its exit code is not 0 when it cannot start anything.
    """
    return _begin(launch.key, str(launch.seconds), command) + _START.format(kill_after=KILL_AFTER_SECONDS) + _status()


def status_script(launch: Launch) -> str:
    """Return the script that prints the status of this launch."""
    return _begin(launch.key) + _status()


def read_status(printed: str) -> Status:
    """Return the status that a script printed.

    Raises:
        UnreadableStatus: there is none.
    """
    found = _LINE.search(printed)
    if found is None:
        raise UnreadableStatus(printed[:100])
    output = printed[found.end() :]
    if found["code"] is not None:
        return Status("exit", int(found["code"]), output)
    return Status(_PROGRESS[found["word"]], output=output)


def _begin(*arguments: str) -> str:
    return _BEGIN.format(arguments=shlex.join(arguments))


def _status() -> str:
    return _STATUS.format(mark=_MARK, output=OUTPUT_BYTES)
