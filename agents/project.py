"""feedback.items, cluster.events, job.events, control -> the read model.

Items are read before they are deduplicated and embedded, so that one shows, as unclustered, as soon as it is
normalized. Every write is idempotent, and the topics need no order between them.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

from agents.runtime.batches import Batch
from agents.runtime.guard import Guard
from soulcaster.domain.events import ClusterEvent
from soulcaster.domain.feedback.items import Deleted, FeedbackItem
from soulcaster.domain.lifecycle import JobStep
from soulcaster.ports.messaging import Publisher, Record
from soulcaster.ports.projects import Project
from soulcaster.ports.read_model_writer import ReadModelWriter
from soulcaster.services.retrying import until_available
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
from soulcaster.wire.feedback import ItemsEnvelope
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.topics import CLUSTER_EVENTS, CONTROL, FEEDBACK_ITEMS, JOB_EVENTS


async def project(
    batches: AsyncIterator[Batch], *, writer: ReadModelWriter, publisher: Publisher
) -> AsyncIterator[int]:
    """Project batch by batch; yield how many records each held."""
    guard = Guard("project", publisher)

    async def work(records: Sequence[Record]) -> None:
        items: dict[str, list[FeedbackItem]] = defaultdict(list)
        deleted: dict[str, list[Deleted]] = defaultdict(list)
        events: dict[str, list[ClusterEvent]] = defaultdict(list)
        jobs: dict[str, list[JobStep]] = defaultdict(list)
        defined: list[ControlMessage] = []
        for record in records:
            value = record.value or b""
            if record.topic == FEEDBACK_ITEMS.name:
                envelope = ItemsEnvelope.model_validate_json(value)
                items[envelope.project_id] += envelope.items
                deleted[envelope.project_id] += envelope.deleted
            elif record.topic == CLUSTER_EVENTS.name:
                happened = ClusterEvents.model_validate_json(value)
                events[happened.project_id] += happened.events
            elif record.topic == JOB_EVENTS.name:
                step = JobEvent.model_validate_json(value).step()
                jobs[step.project_id].append(step)
            elif record.topic == CONTROL.name:
                defined.append(control_message(value))

        async def of_project(project_id: str) -> None:
            await until_available(lambda: writer.put_items(project_id, items.get(project_id, ())))
            gone = [one.id for one in deleted.get(project_id, ())]
            await until_available(lambda: writer.delete_items(project_id, gone))
            await until_available(lambda: writer.apply(project_id, events.get(project_id, ())))
            for step in jobs.get(project_id, ()):
                await until_available(lambda step=step: writer.put_job(step))  # type: ignore[misc]

        await asyncio.gather(*(of_project(project_id) for project_id in {**items, **events, **jobs}))
        for message in defined:
            await until_available(lambda message=message: define(writer, message))  # type: ignore[misc]

    async for batch in batches:
        await guard.run(batch.records, work)
        yield len(batch.records)


async def define(writer: ReadModelWriter, message: ControlMessage) -> None:
    """Write what a message of control says."""
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
