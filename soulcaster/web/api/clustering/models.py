"""The bodies and responses of clustering."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from soulcaster.domain.commands import Granularity, Threshold
from soulcaster.domain.events import ClusteringStatus, Proposal
from soulcaster.web.api.commands.models import Ids
from soulcaster.web.bodies import Body


class CleanupIn(Body):
    """POST /clusters/cleanup: the proposals to apply."""

    proposal_ids: Ids


class ClusteringConfigIn(Body):
    """PUT /clustering/config: the threshold (null: calibrated) and the granularity."""

    threshold: Threshold | None = None
    granularity: Granularity = "auto"


class ClusteringStatusOut(BaseModel):
    """The status of a project's clustering; docs/messages.md explains the fields."""

    model_config = ConfigDict(from_attributes=True)

    state: Literal["idle", "pending", "running"]
    round: int
    outcome: str
    at: datetime
    seconds: float
    items: int
    groups: int
    clusters: int
    moved_share: float
    threshold: float
    calibration: int
    foreign: list[tuple[str, int]]


class ProposalOut(BaseModel):
    """A merge or split that is proposed to a person."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    kind: Literal["merge", "split"]
    cluster_ids: list[str]
    score: float
    reason: str


class ClusteringOut(BaseModel):
    """GET /clustering/status: the status (null before the first round) and the proposals, the likeliest first."""

    status: ClusteringStatusOut | None
    proposals: list[ProposalOut]
    project_id: str

    @classmethod
    def of(cls, project_id: str, status: ClusteringStatus | None, proposals: Sequence[Proposal]) -> "ClusteringOut":
        """Return the status and the proposals of a project."""
        return cls(
            status=None if status is None else ClusteringStatusOut.model_validate(status),
            proposals=[ProposalOut.model_validate(proposal) for proposal in proposals],
            project_id=project_id,
        )
