"""near.queries: what is near a cluster or an item; whoever asks waits for the answer (`ports.near_answers`)."""

from typing import Literal

from soulcaster.domain.ids import ShortId
from soulcaster.wire.fields import ProjectId
from soulcaster.wire.message import Message


class NearQuery(Message):
    """near.queries: a question. `of_id` is the id of a cluster or an item, as `kind` says."""

    project_id: ProjectId
    id: ShortId
    kind: Literal["cluster", "item"]
    of_id: ShortId
