"""cluster.events: what happened to the clusters of a project."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field, TypeAdapter

from soulcaster.domain.events import ClusterEvent, ProposalsChanged
from soulcaster.domain.splitting import split_by_bytes
from soulcaster.wire.fields import ProjectId
from soulcaster.wire.message import SCHEMA_VERSION, Message
from soulcaster.wire.topics import ENVELOPE_BYTES

MAX_PROPOSALS = 200
"""So many proposals are sent, the likeliest. A reason has at most 500 characters, so they fit `ENVELOPE_BYTES`."""

_Event = Annotated[ClusterEvent, Field(discriminator="type")]

_EVENT: TypeAdapter[ClusterEvent] = TypeAdapter(_Event)


class ClusterEvents(Message):
    """cluster.events: what happened in one project, in order."""

    project_id: ProjectId
    events: tuple[_Event, ...]


def event_envelopes(project_id: str, events: Sequence[ClusterEvent]) -> Iterator[bytes]:
    """Yield `ClusterEvents` messages with these events, in order, each of at most `ENVELOPE_BYTES`.

    Of proposals the likeliest `MAX_PROPOSALS` are sent.
    """
    head = b'{"schema_version":%d,"project_id":"%s","events":[' % (SCHEMA_VERSION, project_id.encode())
    values = [_EVENT.dump_json(_bounded(event)) for event in events]
    for run in split_by_bytes([(value, len(value) + 1) for value in values], ENVELOPE_BYTES - len(head) - 1):
        yield head + b",".join(run) + b"]}"


def _bounded(event: ClusterEvent) -> ClusterEvent:
    if isinstance(event, ProposalsChanged):
        return replace(event, proposals=event.proposals[:MAX_PROPOSALS])
    return event
