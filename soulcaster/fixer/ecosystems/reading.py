"""Reading files of a folder that strangers may have written: bounded, and never out of the folder."""

import json
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MAX_BYTES = 1024 * 1024
"""The largest manifest that is read; real ones have a few KiB, the largest lock files are only looked for."""

MOST_TOML_WORK = 4_000_000
"""Steps that parsing a TOML file may take; a manifest of 100 kB with 100 dependencies in a line takes a fourth."""

MAX_ENTRIES = 20_000
"""Entries that a walk visits; what comes after them is not seen."""

_NOT_ENTERED = frozenset({"node_modules", "vendor", "target", "build", "dist", "venv", "site-packages", "third_party"})

_ENTRY = re.compile("[=:]")
"""What parts a name from its value."""


def _toml_work(text: str) -> int:
    """Return how many steps parsing TOML takes at most.

    `tomllib` copies the key that it has read so far at each dot, and the heading of its table at each line.
    """
    dots = [line.count(".") for line in text.split("\n")]
    return (1 + max(dots)) * (sum(dots) + len(dots))


class StrangersFolder:
    """A folder whose files strangers wrote: links are not followed, not even within it; no file makes this raise."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str, most: int = MAX_BYTES) -> bytes | None:
        """Return a file, None where it is missing, no regular file, behind a link, or larger than `most` bytes."""
        try:
            handle = self._open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return None
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size > most:
            os.close(handle)
            return None
        with os.fdopen(handle, "rb") as file:
            content = file.read(most + 1)
        return content if len(content) <= most else None

    def text(self, path: str, most: int = MAX_BYTES) -> str:
        """Return a file as text, with replacement characters for what is not UTF-8; "" where `read` has nothing."""
        return (self.read(path, most) or b"").decode(errors="replace")

    def toml(self, path: str) -> Mapping[str, Any]:
        """Return a TOML file, empty where it cannot be read, is not TOML, or would take long to parse."""
        text = self.text(path)
        if _toml_work(text) > MOST_TOML_WORK:
            return {}
        try:
            return tomllib.loads(text)
        except (ValueError, RecursionError):
            return {}

    def json(self, path: str) -> Mapping[str, Any]:
        """Return the object of a JSON file, empty where it cannot be read or is something else."""
        try:
            found = json.loads(self.text(path))
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def ini(self, path: str, section: str) -> Mapping[str, str]:
        """Return a section of an INI file as `configparser` writes it, empty where there is none.

        `configparser` itself takes time that grows with the square of a file: for long blanks, for what it does not
        understand, and for the defaults of many sections.
        """
        found: dict[str, list[str]] = {}
        here, name = False, ""
        for line in self.text(path).splitlines():
            words = line.strip()
            if words.startswith(("#", ";")):
                continue
            if line[:1].isspace() or not words:  # an entry goes on
                if here and name:
                    found[name].append(words)
            elif words.startswith("["):
                here, name = words == f"[{section}]", ""
            elif here:
                before, value = _ENTRY.split(words, maxsplit=1) if _ENTRY.search(words) else (words, "")
                name = before.rstrip().lower()
                found[name] = [value.lstrip()]
        return {name: "\n".join(lines).rstrip() for name, lines in found.items()}

    def has(self, path: str) -> bool:
        """Return whether there is a regular file, of any size."""
        try:
            handle = self._open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            return stat.S_ISREG(os.fstat(handle).st_mode)
        finally:
            os.close(handle)

    def names(self, folder: str = "") -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the files and the folders in a folder, sorted; links and other entries are in neither."""
        try:
            handle = self._open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return (), ()
        files, folders = [], []
        try:
            with os.scandir(handle) as entries:
                for _, entry in zip(range(MAX_ENTRIES), entries, strict=False):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
                    elif entry.is_file(follow_symlinks=False):
                        files.append(entry.name)
        except OSError:
            return (), ()
        finally:
            os.close(handle)
        return tuple(sorted(files)), tuple(sorted(folders))

    def walk(self, folder: str = "", *, depth: int = 6) -> Iterator[str]:
        """Yield the files of a folder and of those in it, by their path in the root; folders of tools are left out."""
        waiting = [(folder, depth)]
        left = MAX_ENTRIES
        while waiting and left > 0:
            here, deeper = waiting.pop(0)
            files, folders = self.names(here)
            left -= len(files) + len(folders)
            yield from (f"{here}/{name}" if here else name for name in files)
            if deeper > 0:
                inside = (name for name in folders if not name.startswith(".") and name not in _NOT_ENTERED)
                waiting += [(f"{here}/{name}" if here else name, deeper - 1) for name in inside]

    def _open(self, path: str, flags: int) -> int:
        """Open a path of the folder without following a link at any of its parts; raise OSError."""
        at = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        parts = [part for part in path.split("/") if part]
        for place, part in enumerate(parts, 1):
            if part == "..":
                os.close(at)
                raise FileNotFoundError(path)
            wanted = flags if place == len(parts) else os.O_RDONLY | os.O_DIRECTORY
            try:
                inside = os.open(part, wanted | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            finally:
                os.close(at)
            at = inside
        return at
