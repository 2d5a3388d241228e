"""What a program uses, with everything that it started: memory, threads, files."""

import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_LOOK_AT_CLOCK_EVERY = 500


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of memory, and threads of all processes."""

    memory: int
    threads: int


def usage(processes: Iterable[psutil.Process], most_memory: int) -> Usage:
    """Return what these processes use now.

    Memory is the sum of what is resident (RSS), which counts shared pages once for each process. Only where that is
    more than `most_memory` bytes, each process counts its share of them (PSS), which is slow to read.
    """
    memory = threads = 0
    alive = []
    for process in processes:
        try:
            with process.oneshot():
                memory += process.memory_info().rss
                threads += process.num_threads()
        except psutil.NoSuchProcess:
            continue  # it ended meanwhile
        alive.append(process)
    return Usage(_shares(alive) if memory > most_memory else memory, threads)


def _shares(processes: Iterable[psutil.Process]) -> int:
    total = 0
    for process in processes:
        try:
            memory = process.memory_full_info()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # the guard lets nobody look closely
        total += getattr(memory, "pss", memory.uss)  # macOS has no PSS
    return total


class DiskMeter:
    """Measures what folders hold, a bit at a time, so that a folder with a million files delays nothing else."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = roots
        self._last = 0
        self._steps = self._walk()

    def measure(self, seconds: float) -> int:
        """Walk on for about `seconds`; return the bytes of the last whole walk, or of this one where they are more.

        Folders that cannot be read are left out, and so are files that were removed and are still open.
        """
        until = time.monotonic() + seconds
        so_far = 0
        for so_far in self._steps:
            if time.monotonic() > until:
                return max(self._last, so_far)
        self._last = so_far
        self._steps = self._walk()
        return self._last

    def _walk(self) -> Iterator[int]:
        """Yield the sum so far, now and then. A file with several names (hard links) counts once."""
        total = seen = 0
        linked: set[tuple[int, int]] = set()
        folders = [str(root) for root in self._roots]
        while folders:
            for path, found in _entries(folders.pop()):
                if stat.S_ISDIR(found.st_mode):
                    folders.append(path)
                elif found.st_nlink > 1:
                    if (found.st_dev, found.st_ino) in linked:
                        continue
                    linked.add((found.st_dev, found.st_ino))
                total += found.st_blocks * 512  # as POSIX counts blocks
                seen += 1
                if seen % _LOOK_AT_CLOCK_EVERY == 0:
                    yield total
        yield total


def _entries(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    yield entry.path, entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # removed meanwhile
    except OSError:
        return  # removed meanwhile, unreadable, or too deep for a path
