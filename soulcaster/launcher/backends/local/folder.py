"""The folder of one launch: all that is known of it, for launchers and for its supervisor.

`lock` is locked by the supervisor (flock) as long as it lives, so the kernel itself says whether it lives; a process id
alone could belong to another process by now. `start.json` is written before the program starts and never removed:
where it is, nothing starts again. `end.json` says how it ended. `stop` is the wish that it stops, or never starts.
`output.log` is what the program printed, `supervisor.log` what went wrong in the supervisor. `files` is what the
program may write, its home and its /tmp; it is removed at the end. `etc` holds the users that the program sees.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from soulcaster.isolation.files import remove
from soulcaster.isolation.tools import write_empty

CLAIM_SECONDS = 5.0

DIED = "its supervisor died, and the program with it"
"""The reason where a supervisor died without recording one."""


@dataclass(frozen=True, slots=True)
class Start:
    """The record of a start: the supervisor's process, and whether the program runs yet."""

    pid: int
    running: bool = False


class JobFolder:
    """One launch's folder, by its path; it may not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.home = path / "files" / "home"
        self.tmp = path / "files" / "tmp"
        self.etc = path / "etc"
        self.output = path / "output.log"
        self.log = path / "supervisor.log"
        self._lock = path / "lock"
        self._start = path / "start.json"
        self._end = path / "end.json"
        self._stop = path / "stop"

    def create(self) -> None:
        """Make the folder, for its owner only, unless it is there."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def prepare(self) -> None:
        """Make what the program sees of it: its home, its /tmp, and a user called job."""
        for path in (self.home, self.tmp, self.etc):
            path.mkdir(parents=True, exist_ok=True)
        (self.etc / "passwd").write_text("job:x:1000:1000:job:/job:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
        write_empty(self.etc)
        (self.etc / "group").write_text("job:x:1000:\nnogroup:x:65534:\n")

    # ---- records -----------------------------------------------------------------------------------------------------

    def start(self) -> Start | None:
        """Return the record of its start, None when nothing ever started."""
        record = _read(self._start)
        return None if record is None else Start(**json.loads(record))

    def write_start(self, start: Start) -> None:
        """Record the start; after this nothing starts here again."""
        _write(self._start, json.dumps(asdict(start)))

    def end(self) -> str | None:
        """Return the reason of its end, None when it has not ended or nobody could write it."""
        record = _read(self._end)
        return None if record is None else str(json.loads(record)["reason"])

    def write_end(self, reason: str) -> None:
        """Record the end."""
        _write(self._end, json.dumps({"reason": reason}))

    def ask_to_stop(self) -> None:
        """Leave the wish that it stops, or never starts."""
        self.create()
        self._stop.touch()

    def asked_to_stop(self) -> bool:
        """Return whether anybody left that wish."""
        return self._stop.exists()

    def last_output(self, size: int) -> str:
        """Return the last `size` bytes of what it printed, from the start of a line where there is one."""
        try:
            with self.output.open("rb") as file:
                cut = file.seek(0, os.SEEK_END) > size
                file.seek(-size if cut else 0, os.SEEK_END if cut else os.SEEK_SET)
                tail = file.read(size)
        except FileNotFoundError:
            return ""
        if cut:
            tail = tail.partition(b"\n")[2] or tail
        return tail.decode(errors="replace")

    # ---- who has it --------------------------------------------------------------------------------------------------

    def supervised(self) -> bool:
        """Return whether its supervisor lives."""
        try:
            with self._lock.open("rb") as lock:
                return not _locked(lock, fcntl.LOCK_SH)  # shared, so that two who look do not see each other
        except FileNotFoundError:
            return False

    def in_progress(self) -> bool:
        """Return whether its supervisor lives and has not recorded the end; after the end others may hold the lock."""
        return self.end() is None and self.supervised()

    def claim(self) -> IO[bytes] | None:
        """Make the caller its supervisor for as long as what is returned is open; None where it has or had another.

        A lock without a start belongs to somebody who looks for a moment, or to a supervisor that is about to write
        its start. So the claim waits, at most `CLAIM_SECONDS`.
        """
        lock = self._lock.open("ab")
        deadline = time.monotonic() + CLAIM_SECONDS
        while not _locked(lock, fcntl.LOCK_EX):
            if self.start() is not None or time.monotonic() > deadline:
                lock.close()
                return None
            time.sleep(0.005)
        if self.start() is not None:
            lock.close()
            return None
        return lock

    @contextmanager
    def unsupervised(self) -> Iterator[bool]:
        """While it is open, no supervisor can claim the folder; False where one has it."""
        with self._lock.open("ab") as lock:
            yield _locked(lock, fcntl.LOCK_EX)

    # ---- cleaning ----------------------------------------------------------------------------------------------------

    def has_files(self) -> bool:
        """Return whether files of the program are there."""
        return self.home.parent.exists()

    def remove_files(self) -> None:
        """Remove what the program wrote, folders that it made unreadable included."""
        if self.has_files():
            remove(self.home.parent)


def _locked(file: IO[bytes], how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def _write(path: Path, text: str) -> None:
    """Write a file that holds its old or its new content after a crash, never a part."""
    new = path.with_name(f"{path.name}.new")
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
