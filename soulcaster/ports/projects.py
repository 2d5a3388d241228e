"""Projects as they are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Project:
    """A project; one that only its items made known is named by its id. `created_by` is a user's id."""

    id: str
    name: str
    created_at: datetime | None = None
    created_by: str | None = None


@dataclass(frozen=True, slots=True)
class Stats:
    """A project in figures."""

    total_feedback: int
    unclustered: int
    total_clusters: int
    by_source: Mapping[str, int]
    by_status: Mapping[str, int]
    jobs: int
