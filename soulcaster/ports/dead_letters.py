"""Dead letters, read back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from soulcaster.ports.messaging import Record


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message, or one item of it, that could not be processed at `at`, and the reason.

    `partition` and `offset` are those on the topic of dead letters. `original` is the message as it was on its own
    topic; its value may be cut, `size` is its length in bytes. `index` is the item's index in its envelope, None for
    the whole message. `project_id` is None where the message does not name exactly one project.
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
    """A page of a project's dead letters, newest first; `before` is where the next page starts, None at the end."""

    items: tuple[DeadLetter, ...]
    before: tuple[int, ...] | None


class DeadLetters(Protocol):
    """Reads dead letters.

    Every method raises KafkaUnavailable (an Unavailable) when Kafka does not answer in time, and LimitReached when too
    many calls of the project wait already. Calls of one project never hold up those of another.
    """

    async def newest(self, project_id: str, *, limit: int, before: Sequence[int] | None) -> DeadLetterPage:
        """Return a page of a project's dead letters, newest first, with long values cut.

        `before` is that of the previous page. One call reads a limited number of letters of all projects, so a page may
        hold fewer than `limit`, or none, and still have a `before`.
        """

    async def get(self, project_id: str, letter_id: str) -> DeadLetter | None:
        """Return one dead letter of a project with its whole value, or None where the project has no such letter."""
