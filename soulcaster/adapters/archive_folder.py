"""An archive in a folder, which may be a mounted volume."""

import asyncio
import os
import re
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import BinaryIO

from soulcaster.errors import ArchiveUnavailable, BadInput, NotFound

READ_BYTES = 64 * 1024

_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}){0,9}", re.ASCII)


def checked_key(key: str) -> str:
    """Return a key of an archive that is safe as a path below a folder.

    Raises:
        BadInput: it is not.
    """
    if not _KEY.fullmatch(key):
        raise BadInput(f"{key!r} cannot be a key of the archive.")
    return key


class FolderArchive:
    """Archive over files that only their owner may read."""

    def __init__(self, folder: Path) -> None:
        """Touch nothing yet; the folder is made with the first file."""
        self._folder = folder.resolve()

    async def write(self, key: str, parts: AsyncIterator[bytes]) -> str:
        """Write a file beside its place and then move it there, so that it is whole or missing."""
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(prefix=".", dir=path.parent)
        except OSError as error:
            raise _unavailable(path, error) from error
        new = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                async for part in parts:
                    await asyncio.to_thread(file.write, part)
                await asyncio.to_thread(_put, file, new, path)
        except OSError as error:
            raise _unavailable(path, error) from error
        finally:
            await asyncio.to_thread(new.unlink, missing_ok=True)
        return path.as_uri()

    async def find(self, key: str) -> str | None:
        """Return the URL of a file, if it is there."""
        path = self._path(key)
        try:
            return path.as_uri() if await asyncio.to_thread(path.is_file) else None
        except OSError as error:
            raise _unavailable(path, error) from error

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        """Yield a file in parts."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                while part := await asyncio.to_thread(file.read, READ_BYTES):
                    yield part
        except FileNotFoundError as error:
            raise NotFound(f"The archive has no {key}.") from error
        except OSError as error:
            raise _unavailable(path, error) from error

    async def close(self) -> None:
        """Do nothing: no file stays open."""

    def _path(self, key: str) -> Path:
        return self._folder / checked_key(key)


def _put(file: BinaryIO, new: Path, path: Path) -> None:
    """Move a written file to its place; after a crash the place has all of it or none."""
    file.flush()
    os.fsync(file.fileno())
    new.replace(path)


def _unavailable(path: Path, error: OSError) -> ArchiveUnavailable:
    return ArchiveUnavailable(f"The archive in {path.parent} cannot be used: {error.strerror or error}.")
