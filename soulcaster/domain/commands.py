"""What people ask of clusters, and what comes of it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class StartFix:
    """Send a coding agent for a cluster. `id` is the command's own."""

    id: str
    cluster_id: str
    requested_by: str
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class Fix:
    """A job that is to be launched, once, for a cluster."""

    job_id: str
    cluster_id: str
    cluster_title: str
    requested_by: str
    requested_at: datetime
