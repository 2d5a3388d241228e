"""cluster.commands: what people ask of clusters."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import SerializerFunctionWrapHandler, StringConstraints, model_serializer, model_validator

from soulcaster.domain.commands import (
    Cleanup,
    Command,
    CommandKind,
    Configure,
    Granularity,
    Merge,
    Move,
    Mute,
    Pin,
    Rebalance,
    Rename,
    Reopen,
    Reset,
    Resolve,
    RoundFinished,
    Split,
    StartFix,
    Undo,
)
from soulcaster.wire.fields import Ids, ProjectId, ShortId, Threshold, Time, Title
from soulcaster.wire.message import Message

_NEEDED: Mapping[CommandKind, tuple[str, ...]] = {
    "start_fix": ("cluster_id",),
    "merge": ("cluster_id", "cluster_ids"),
    "split": ("cluster_id", "item_ids"),
    "move": ("cluster_id", "item_ids"),
    "rename": ("cluster_id",),
    "pin": ("cluster_id", "pinned"),
    "mute": ("cluster_id",),
    "resolve": ("cluster_id",),
    "reopen": ("cluster_id",),
    "undo": ("command_id",),
    "rebalance": (),
    "cleanup": ("proposal_ids",),
    "reset": (),
    "configure": ("granularity",),
    "round_finished": (),
}


class ClusterCommand(Message):
    """cluster.commands: what a person asked of clusters. `id` makes a second delivery harmless.

    `type` says which of the fields below `requested_at` it has; a field that is null is left out.
    """

    id: ShortId
    type: CommandKind
    project_id: ProjectId
    requested_by: Annotated[str, StringConstraints(max_length=200)]
    requested_at: Time
    cluster_id: ShortId | None = None
    cluster_ids: Ids | None = None
    item_ids: Ids | None = None
    title: Title | None = None
    pinned: bool | None = None
    command_id: ShortId | None = None
    proposal_ids: Ids | None = None
    threshold: Threshold | None = None
    granularity: Granularity | None = None

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        missing = [name for name in _NEEDED[self.type] if getattr(self, name) is None]
        if missing:
            raise ValueError(f"{self.type} needs {' and '.join(missing)}")
        return self

    @model_serializer(mode="wrap")
    def _without_nulls(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}

    def command(self) -> Command | RoundFinished:
        """Return the command as the domain takes it."""
        asked: dict[str, Any] = {
            "id": self.id,
            "requested_by": self.requested_by,
            "requested_at": self.requested_at,
        }
        cluster_id, items = self.cluster_id or "", self.item_ids or ()  # the validator has seen to what is needed
        match self.type:
            case "start_fix":
                return StartFix(**asked, cluster_id=cluster_id)
            case "merge":
                return Merge(**asked, cluster_id=cluster_id, others=self.cluster_ids or ())
            case "split":
                return Split(**asked, cluster_id=cluster_id, items=items, title=self.title)
            case "move":
                return Move(**asked, items=items, into=cluster_id)
            case "rename":
                return Rename(**asked, cluster_id=cluster_id, title=self.title)
            case "pin":
                return Pin(**asked, cluster_id=cluster_id, pinned=bool(self.pinned))
            case "mute":
                return Mute(**asked, cluster_id=cluster_id)
            case "resolve":
                return Resolve(**asked, cluster_id=cluster_id)
            case "reopen":
                return Reopen(**asked, cluster_id=cluster_id)
            case "undo":
                return Undo(**asked, command_id=self.command_id or "")
            case "rebalance":
                return Rebalance(**asked)
            case "cleanup":
                return Cleanup(**asked, proposals=self.proposal_ids or ())
            case "reset":
                return Reset(**asked)
            case "round_finished":
                return RoundFinished(**asked)
            case "configure":
                return Configure(**asked, threshold=self.threshold, granularity=self.granularity or "auto")
