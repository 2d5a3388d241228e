"""The bodies of commands on a cluster, and the responses to any command."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel

from soulcaster.domain.commands import MAX_IDS, Title
from soulcaster.domain.entries import Entries
from soulcaster.domain.events import CommandOutcome
from soulcaster.ports.commands import CommandView
from soulcaster.web.bodies import Body
from soulcaster.web.parameters import Id, ItemId

Ids = Annotated[tuple[Id, ...], Entries(MAX_IDS, least=1)]


ItemIds = Annotated[tuple[ItemId, ...], Entries(MAX_IDS, least=1)]


class MergeIn(Body):
    """POST /clusters/{id}/merge: the clusters to merge into that of the path."""

    cluster_ids: Ids


class SplitIn(Body):
    """POST /clusters/{id}/split: the items of the new cluster, and its title."""

    item_ids: ItemIds
    title: Title | None = None


class MoveIn(Body):
    """POST /clusters/{id}/move: the items to move to the cluster of the path."""

    item_ids: ItemIds


class RenameIn(Body):
    """POST /clusters/{id}/rename: the title; null brings the automatic title back."""

    title: Title | None


class PinIn(Body):
    """POST /clusters/{id}/pin: whether to pin or to unpin it."""

    pinned: bool = True


class UndoIn(Body):
    """POST /clusters/{id}/undo: the command to undo."""

    command_id: Id


class CommandSentOut(BaseModel):
    """202 of a command: Kafka has it. 200 when the caller waited: it was applied.

    `cluster_id` is the cluster of a command on one cluster; `outcome` and `reason` are what is known so far.
    """

    status: Literal["ok"] = "ok"
    message: str
    command_id: str
    cluster_id: str | None
    project_id: str
    outcome: CommandOutcome | None
    reason: str | None


class CommandOut(BaseModel):
    """GET /commands/{id}: the outcome of a command."""

    command_id: str
    outcome: CommandOutcome
    reason: str
    at: datetime
    project_id: str

    @classmethod
    def of(cls, project_id: str, view: CommandView) -> "CommandOut":
        """Return the outcome of a command."""
        return cls(command_id=view.id, outcome=view.outcome, reason=view.reason, at=view.at, project_id=project_id)
