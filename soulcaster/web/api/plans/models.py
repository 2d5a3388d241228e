"""The body and the responses of plans."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel

from soulcaster.domain.fixes.plan import MAX_DESCRIPTION_CHARS, MAX_TITLE_CHARS, Plan
from soulcaster.domain.text.given import OneLine, Text
from soulcaster.web.bodies import Body


class PlanIn(Body):
    """POST /clusters/{id}/plan: a plan that a person wrote; the description is Markdown."""

    title: Annotated[str, OneLine(MAX_TITLE_CHARS)]
    description: Annotated[str, Text(MAX_DESCRIPTION_CHARS)]


class PlanOut(BaseModel):
    """A plan, as the predecessor's CodingPlan. It never changes: an edited plan is another one with an id of its own.

    `by` is the person or the model that wrote it; `updated_at` is `created_at`.
    """

    id: str
    project_id: str
    cluster_id: str
    title: str
    description: str
    by: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, plan: Plan) -> "PlanOut":
        """Return a plan as a response."""
        return cls(
            id=plan.id,
            project_id=plan.project_id,
            cluster_id=plan.cluster_id,
            title=plan.title,
            description=plan.description,
            by=plan.by,
            created_at=plan.created_at,
            updated_at=plan.created_at,
        )
