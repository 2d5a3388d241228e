"""Dead letters, read back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from soulcaster.ports.messaging import Record


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was set aside at `at`: the one there was, or one item of it, and why.

    `partition` and `offset` are its own place among the dead letters. `original` is the message, with the place that it
    was at; its value may be the beginning alone, `size` is how many bytes there are. `index` is the item's place in its
    envelope, None where all of it was set aside. `project_id` is None where it cannot be told whose it is.
    """

    partition: int
    offset: int
    at: datetime
    original: Record
    size: int
    reason: str
    index: int | None
    project_id: str | None

    @property
    def id(self) -> str:
        """Return its id: partition and offset, as "3-17"."""
        return f"{self.partition}-{self.offset}"


@dataclass(frozen=True, slots=True)
class DeadLetterPage:
    """A part of a project's dead letters, newest first; `before` is where older ones go on, None at the end."""

    items: tuple[DeadLetter, ...]
    before: tuple[int, ...] | None


class DeadLetters(Protocol):
    """Reads what was set aside.

    Every method raises KafkaUnavailable (an Unavailable) when Kafka does not answer in time.
    """

    async def newest(self, project_id: str, *, limit: int, before: Sequence[int] | None) -> DeadLetterPage:
        """Return a project's letters, newest first; of long ones the beginning.

        `before` is that of the page before. So much is read and no more, of all projects: a page may hold fewer than
        `limit`, or none, and still have a `before`.
        """

    async def letter(self, letter_id: str) -> DeadLetter | None:
        """Return one whole letter, whosever it is, or None."""
