"""An archive: where the whole logs of jobs are kept, and backups."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol


class Archive(Protocol):
    """Keeps bytes under keys, in a place that outlasts this process.

    A key is one or more names with slashes between them; a name has letters, digits, hyphens, underscores and dots, and
    does not begin with a dot. Every method raises BadInput for any other key, and ArchiveUnavailable (an Unavailable)
    when the place does not answer or accepts nothing.
    """

    async def write(self, key: str, parts: AsyncIterator[bytes]) -> str:
        """Keep what the parts are together under a key, and return its URL; what was there is replaced.

        Until the last part is written, a reader finds what was there before. An error of the iterator passes through,
        and nothing is kept then.
        """

    async def find(self, key: str) -> str | None:
        """Return the URL of what is kept under a key; None where there is nothing."""

    def read(self, key: str) -> AsyncGenerator[bytes, None]:
        """Yield what is kept under a key, in parts.

        Raises:
            NotFound: there is nothing.
        """

    async def close(self) -> None:
        """Close connections."""
