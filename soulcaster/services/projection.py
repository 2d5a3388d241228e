"""The projection: what records of Kafka say, written to the read model."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from soulcaster.domain.events import ClusterEvent
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.fixes.document import Document
from soulcaster.domain.fixes.job_log import LogChunk
from soulcaster.domain.lifecycle import JobStep
from soulcaster.errors import WriteLeaseLost
from soulcaster.ports.messaging import Record
from soulcaster.ports.projects import Project
from soulcaster.ports.read_model_writer import ReadModelWriter
from soulcaster.services.retrying import until_available
from soulcaster.services.threads import away
from soulcaster.telemetry.metrics import ITEM_VISIBLE_SECONDS
from soulcaster.wire.cluster_events import ClusterEvents
from soulcaster.wire.control import (
    ControlMessage,
    KeyDefined,
    MemberDefined,
    ProjectConfigured,
    ProjectDefined,
    RepositorySynced,
    SourceKicked,
    SourceReported,
    UserDefined,
    WebhookSecretDefined,
    control_message,
)
from soulcaster.wire.documents import JobDocument
from soulcaster.wire.feedback import ItemsEnvelope
from soulcaster.wire.job_logs import JobLog
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.topics import CLUSTER_EVENTS, CONTROL, FEEDBACK_ITEMS, JOB_DOCUMENTS, JOB_EVENTS, JOB_LOGS

log = structlog.get_logger(__name__)

AT_ONCE = 16
"""Projects that are written at the same time: each needs a connection to the read model, and those are few.

A batch may be of thousands of projects. Whoever waits long for a connection takes the read model for unavailable and
tries again, and many who try again never get on.
"""


@dataclass(slots=True)
class _Changes:
    """What some records say about one project, in the order of each topic."""

    items: list[FeedbackItem] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    events: list[ClusterEvent] = field(default_factory=list)
    steps: list[JobStep] = field(default_factory=list)
    logs: list[LogChunk] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)


class Projection:
    """Applies records of the topics that `agents/project.py` reads to the read model.

    Applying records again changes nothing, and the topics need no order between them.
    """

    def __init__(self, writer: ReadModelWriter) -> None:
        self._writer = writer

    async def apply(self, records: Sequence[Record]) -> None:
        """Parse all records, then write: one call of the writer for each project and topic; some projects at a time.

        Waits while the read model is unavailable.

        Raises:
            ValidationError: a record is not what its topic carries; nothing was written.
        """
        size = sum(len(record.value or b"") for record in records)
        projects, control = await away(size, lambda: _parse(records))
        partitions = {record.partition for record in records}
        while True:
            try:
                return await until_available(lambda: self._write(partitions, projects, control))
            except WriteLeaseLost:
                log.warning("written again, because another process may have written meanwhile", partitions=partitions)

    async def _write(
        self, partitions: Collection[int], projects: Mapping[str, _Changes], control: Sequence[ControlMessage]
    ) -> None:
        """Write all of it as the only process."""
        turns = asyncio.Semaphore(AT_ONCE)
        async with self._writer.writing(partitions):
            try:
                async with asyncio.TaskGroup() as group:
                    for project_id, changes in projects.items():
                        group.create_task(self._in_turn(turns, project_id, changes))
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None
            for message in control:
                await until_available(partial(self.apply_control, message))

    async def _in_turn(self, turns: asyncio.Semaphore, project_id: str, changes: _Changes) -> None:
        async with turns:
            await self._apply_changes(project_id, changes)

    async def _apply_changes(self, project_id: str, changes: _Changes) -> None:
        writer = self._writer
        for things, write in (
            (changes.items, partial(writer.put_items, project_id, changes.items)),
            (changes.deleted, partial(writer.delete_items, project_id, changes.deleted)),
            (changes.events, partial(writer.apply, project_id, changes.events)),
            (changes.steps, partial(writer.put_job_steps, changes.steps)),
            (changes.logs, partial(writer.put_job_logs, project_id, changes.logs)),
            (changes.documents, partial(writer.put_documents, changes.documents)),
        ):
            if things:
                await until_available(write)
        if changes.items:
            oldest = min(item.received_at for item in changes.items)
            ITEM_VISIBLE_SECONDS.observe(max(0.0, time.time() - oldest.timestamp()))

    async def apply_control(self, message: ControlMessage) -> None:
        """Write what a message of control says.

        Raises:
            Unavailable: the read model does not answer.
        """
        writer = self._writer
        match message:
            case ProjectDefined():
                await writer.put_project(Project(message.id, message.name, message.created_at, message.created_by))
            case KeyDefined():
                await writer.put_api_key(message.key())
            case UserDefined():
                await writer.put_user(message.user())
            case MemberDefined():
                await writer.put_member(message.membership())
            case ProjectConfigured():
                await writer.put_project_config(message.project_id, message.stored())
            case WebhookSecretDefined():
                await writer.put_webhook_secret(message.secret())
            case SourceReported():
                await writer.put_source_report(message.project_id, message.source, message.report())
            case SourceKicked():
                await writer.put_source_kick(message.project_id, message.source, message.kicked_at)
            case RepositorySynced():
                await writer.put_repository(message.project_id, message.state())


def _parse(records: Sequence[Record]) -> tuple[dict[str, _Changes], list[ControlMessage]]:
    """Return what records say about each project, and the messages of control."""
    projects: dict[str, _Changes] = defaultdict(_Changes)
    control: list[ControlMessage] = []
    for record in records:
        value = record.value or b""
        if record.topic == FEEDBACK_ITEMS.name:
            envelope = ItemsEnvelope.model_validate_json(value)
            changes = projects[envelope.project_id]
            changes.items += envelope.items
            changes.deleted += [tombstone.id for tombstone in envelope.deleted]
        elif record.topic == CLUSTER_EVENTS.name:
            events = ClusterEvents.model_validate_json(value)
            projects[events.project_id].events += events.events
        elif record.topic == JOB_EVENTS.name:
            step = JobEvent.model_validate_json(value).step(record.offset)
            projects[step.project_id].steps.append(step)
        elif record.topic == JOB_LOGS.name:
            log = JobLog.model_validate_json(value)
            projects[log.project_id].logs.append(log.chunk(record.offset))
        elif record.topic == JOB_DOCUMENTS.name:
            document = JobDocument.model_validate_json(value).document()
            projects[document.project_id].documents.append(document)
        elif record.topic == CONTROL.name:
            control.append(control_message(value))
    return projects, control
