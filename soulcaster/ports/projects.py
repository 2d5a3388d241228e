"""Projects as the read model shows them."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

ITEM_BYTES = 2_000
"""What an item counts besides its JSON: its places in lists, its assignment, and its part of a cluster."""

TOMBSTONE_BYTES = 400
"""What a deleted item goes on to count: its id is kept, and for a month the outcome of the command that deleted it."""

JOB_BYTES = 1_500
"""What a job counts besides its steps: its fields, and its places in lists."""

STEP_BYTES = 200
"""What a step of a job, or a document, counts besides its JSON."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project. One that is known from its items only has its id for a name. `created_by` is a user's id."""

    id: str
    name: str
    created_at: datetime | None = None
    created_by: str | None = None


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of a project."""

    total_feedback: int
    unclustered: int
    total_clusters: int
    by_source: Mapping[str, int]
    by_status: Mapping[str, int]
    jobs: int
    stored_bytes: int = 0
    """The JSON of its items, with `ITEM_BYTES` for each, and `TOMBSTONE_BYTES` for each that was deleted; and that of
    the steps of its jobs and of its documents, with `STEP_BYTES` for each, and `JOB_BYTES` for each job."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of all projects together."""

    items: int
    unclustered: int
    clusters: int
    queued_jobs: int
    """Jobs that wait for approval."""
    stored_bytes: int
    largest_bytes: int
    """What the project counts that stores the most."""


@dataclass(frozen=True, slots=True)
class ProjectClaim:
    """A project that is being created, and the user who becomes its owner."""

    project: Project
    user_id: str


class ExistingProjects(Protocol):
    """Says which projects exist."""

    async def among(self, project_ids: Sequence[str]) -> tuple[int, Set[str]]:
        """Return how many projects there are, and which of these ids, at least one, are of one.

        Raises:
            RedisUnavailable: the store does not answer.
        """


class StoredBytes(Protocol):
    """Says how much projects store."""

    async def stored_bytes(self, project_id: str) -> int:
        """Return what a project counts, as `Stats.stored_bytes` says.

        Raises:
            RedisUnavailable: the store does not answer.
        """


class ProjectReader(ExistingProjects, StoredBytes, Protocol):
    """Reads projects, and says who creates one.

    Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def get(self, project_id: str) -> Project | None:
        """Return the project with this id, or None."""

    async def find(self, id_or_name: str) -> Project | None:
        """Return the project with this id, else the oldest with this name, else None."""

    async def list(self) -> tuple[Project, ...]:
        """Return all projects, by name."""

    async def of_user(self, user_id: str) -> tuple[Project, ...]:
        """Return all projects of which a user is a member, by name."""

    async def stats(self, project_id: str) -> Stats:
        """Return a project's counts; zeros where the project is unknown."""

    async def stats_of(self, project_ids: Sequence[str]) -> tuple[Stats, ...]:
        """Return the counts of each of these projects, in as many round trips as for one."""

    async def totals(self) -> Totals:
        """Return the counts of all projects together."""

    async def claim(self, claim: ProjectClaim) -> ProjectClaim:
        """Claim a project's id for some minutes; return the claim that holds, which may be somebody else's."""
