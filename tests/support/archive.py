"""An archive in memory."""

import zlib
from collections.abc import AsyncGenerator, AsyncIterator

from soulcaster.errors import ArchiveUnavailable, NotFound


class MemoryArchive:
    """An archive that keeps bytes in `kept`; while it is `away`, it does not answer."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.away = False

    def put(self, key: str, text: str) -> None:
        """Keep a log as the launcher archives it."""
        packer = zlib.compressobj(wbits=31)
        self.kept[key] = packer.compress(text.encode()) + packer.flush()

    async def write(self, key: str, parts: AsyncIterator[bytes]) -> str:
        self._check()
        self.kept[key] = b"".join([part async for part in parts])
        return f"memory:{key}"

    async def find(self, key: str) -> str | None:
        self._check()
        return f"memory:{key}" if key in self.kept else None

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        self._check()
        if key not in self.kept:
            raise NotFound
        for first in range(0, len(self.kept[key]), 1000):
            yield self.kept[key][first : first + 1000]

    async def close(self) -> None:
        pass

    def _check(self) -> None:
        if self.away:
            raise ArchiveUnavailable
