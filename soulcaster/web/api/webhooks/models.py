"""The responses to webhooks."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, Field


class DeliveryOut(BaseModel):
    """202: Kafka has what the vendor sent, or what follows from it. 200: it changes nothing, or its source is off.

    `ids` are the items in it and `id` is the first. Without any, `reason` says why it cannot be read yet (it is kept as
    a dead letter) or why it was not kept.
    """

    status: Literal["ok", "ignored", "skipped"]
    id: str | None = None
    ids: list[str] = Field(default_factory=list)
    reason: str | None = None
    project_id: str

    @classmethod
    def taken(cls, project_id: str, ids: Sequence[str], refusal: str | None) -> "DeliveryOut":
        """Return the response to a webhook that Kafka has."""
        return cls(status="ok", id=ids[0] if ids else None, ids=list(ids), reason=refusal, project_id=project_id)
