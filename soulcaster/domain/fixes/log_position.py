"""How far a reader of a job's log has got. A position is text for those who send it back."""

import re
from dataclasses import dataclass

POSITION_PATTERN = r"^(?:blob\.[0-9]{1,15}|[0-9]{1,15}\.[0-9]{1,9})$"


@dataclass(frozen=True, slots=True)
class MemoryPosition:
    """In what the read model has: the offset on job.logs that comes next, and how many lines of steps were read."""

    offset: int = 0
    steps: int = 0

    def __str__(self) -> str:
        return f"{self.offset}.{self.steps}"


@dataclass(frozen=True, slots=True)
class BlobPosition:
    """In the archive's text: the byte that comes next."""

    byte: int = 0

    def __str__(self) -> str:
        return f"blob.{self.byte}"


LogPosition = MemoryPosition | BlobPosition


def position_of(text: str | None) -> LogPosition:
    """Return the position that a reader sent; the beginning for everything that is none."""
    if text is None or not re.fullmatch(POSITION_PATTERN, text):
        return MemoryPosition()
    first, second = text.split(".")
    return BlobPosition(int(second)) if first == "blob" else MemoryPosition(int(first), int(second))
