"""feedback.embedded, cluster.commands -> cluster.events, fix.commands: the single writer of a project's clusters.

The row is stored first, with a note of what is to be sent (`ProjectClusters.unsent`), and the events are sent after, so
that whatever was said of a cluster is true: done again after a crash, rounds and assignments may come out otherwise. A
crash between the two sends what the note says when the project is next looked at.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import groupby

import numpy as np
import structlog

from agents.rounds import ProjectPartition, Rounds
from agents.runtime.batches import Batch
from agents.runtime.guard import Guard
from soulcaster.domain.clustering.project import EmbedderKey, ProjectClusters, Step
from soulcaster.domain.commands import RoundFinished
from soulcaster.ports.clock import Clock
from soulcaster.ports.messaging import Outgoing, Publisher, Record
from soulcaster.services.dead_letters import dead_letter, send_dead_letters
from soulcaster.services.retrying import until_available
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.cluster_events import event_envelopes
from soulcaster.wire.embedded import EmbeddedEnvelope, EmbedderId
from soulcaster.wire.jobs import FixCommand, JobEvent
from soulcaster.wire.topics import CLUSTER_COMMANDS, CLUSTER_EVENTS, FIX_COMMANDS, JOB_EVENTS
from tables.segmented import States

log = structlog.get_logger(__name__)

_MANY = 64
"""From this many items on the work is done in a thread; below, it is over sooner than a thread would start."""


async def cluster(
    batches: AsyncIterator[Batch],
    *,
    clusters: States[ProjectClusters],
    stored: Callable[[], Awaitable[None]],
    publisher: Publisher,
    clock: Clock,
) -> AsyncIterator[int]:
    """Cluster batch by batch; yield how many events each gave. `stored` returns once all rows written are kept."""
    guard = Guard("cluster", publisher)
    rounds = Rounds(publisher, clock)
    count = 0

    async def steps(place: ProjectPartition, messages: Sequence[EmbeddedEnvelope | ClusterCommand]) -> list[Step]:
        """Take messages in order; neighbouring envelopes of one embedder in one step."""
        project = clusters.state(*place)
        done = []
        for embedder, run in groupby(messages, key=lambda m: m.embedder if isinstance(m, EmbeddedEnvelope) else None):
            if embedder is not None:
                envelopes = [m for m in run if isinstance(m, EmbeddedEnvelope)]
                done.append(await _add(project, embedder, envelopes))
                deleted = [one for envelope in envelopes for one in envelope.deleted]
                if deleted:
                    done.append(await asyncio.to_thread(project.remove, deleted, clock()))
                continue
            for command in (message.command for message in run if isinstance(message, ClusterCommand)):
                if isinstance(command, RoundFinished):
                    done.append(await finish(place, project))
                else:
                    done.append(await asyncio.to_thread(project.apply, command, clock()))
        return done

    async def finish(place: ProjectPartition, project: ProjectClusters) -> Step:
        """Carry out a round, if it is one of this state."""
        finished = rounds.take(place, project)
        if finished is None:
            return Step()
        if finished.decision is None:
            return project.failed(finished.error, clock())
        return await asyncio.to_thread(project.finish, finished.round, finished.decision, clock(), finished.seconds)

    async def send(done: dict[ProjectPartition, list[Step]]) -> None:
        events, commands = _messages(done, clock)
        await until_available(lambda: publisher.publish(events))
        # A job is known as pending before anyone can launch it.
        await until_available(lambda: publisher.publish(commands))

    def sent(batch: Batch, place: ProjectPartition) -> None:
        rows = clusters.state(*place).sent()
        if rows:
            with batch.writing(place[0]):
                clusters.write(*place, rows)

    async def send_unsent(batch: Batch, place: ProjectPartition) -> None:
        """Send what was stored and not sent; what never can be is set aside, or it would hold up its project."""
        step = clusters.state(*place).unsent()
        if not step.events and not step.fixes:
            return
        try:
            await send({place: [step]})
        except Exception:
            log.exception("what was stored cannot be sent; sending it piece by piece", project=place[1])
            for piece in (*(Step((event,)) for event in step.events), *(Step((), (fix,)) for fix in step.fixes)):
                try:
                    await send({place: [piece]})
                except Exception as error:
                    messages = [message for of in _messages({place: [piece]}, clock) for message in of]
                    lost = [Record(m.topic, place[0], -1, 0, m.key, m.value) for m in messages]
                    await send_dead_letters(publisher, [dead_letter(record, f"cluster: {error!r}") for record in lost])
        sent(batch, place)

    async def work(batch: Batch, records: Sequence[Record]) -> None:
        nonlocal count
        asked: dict[ProjectPartition, list[EmbeddedEnvelope | ClusterCommand]] = defaultdict(list)
        for record in records:
            kind = ClusterCommand if record.topic == CLUSTER_COMMANDS.name else EmbeddedEnvelope
            message = kind.model_validate_json(record.value or b"")
            asked[record.partition, message.project_id].append(message)
        done: dict[ProjectPartition, list[Step]] = {}
        try:
            for place, messages in asked.items():
                await send_unsent(batch, place)
                done[place] = await steps(place, messages)
                project = clusters.state(*place)
                if rounds.begin(place, project):
                    done[place].append(project.running(clock()))
                # Rows go on their way while the next project is worked on.
                with batch.writing(place[0]):
                    clusters.write(*place, (row for step in done[place] for row in step.rows))
            await until_available(stored)
            await send(done)
            for place in done:
                sent(batch, place)
        except BaseException:
            for place in asked:
                clusters.forget(*place)
            raise
        for place in asked:
            rounds.rest(place, clusters.state(*place))
        count += sum(len(step.events) for of_place in done.values() for step in of_place)

    try:
        async for batch in batches:
            count = 0
            await guard.run(batch.records, lambda records, batch=batch: work(batch, records))  # type: ignore[misc]
            yield count
    finally:
        rounds.stop()


async def _add(project: ProjectClusters, embedder: EmbedderId, envelopes: Sequence[EmbeddedEnvelope]) -> Step:
    key = EmbedderKey(embedder.name, embedder.version, embedder.dimensions)
    items = [item for envelope in envelopes for item in envelope.items]
    vectors = np.concatenate([envelope.matrix() for envelope in envelopes])
    if len(items) < _MANY:
        return project.add(key, items, vectors)
    return await asyncio.to_thread(project.add, key, items, vectors)


def _messages(done: dict[ProjectPartition, list[Step]], clock: Clock) -> tuple[list[Outgoing], list[Outgoing]]:
    """Return what happened, and what is to be launched."""
    events: list[Outgoing] = []
    commands: list[Outgoing] = []
    for (_, project_id), steps in done.items():
        key = project_id.encode()
        happened = [event for step in steps for event in step.events]
        events += [Outgoing(CLUSTER_EVENTS.name, key, value) for value in event_envelopes(project_id, happened)]
        for fix in (fix for step in steps for fix in step.fixes):
            pending = JobEvent(
                job_id=fix.job_id,
                project_id=project_id,
                cluster_id=fix.cluster_id,
                seq=0,
                status="pending",
                at=clock(),
                log=f"asked for by {fix.requested_by}",
            )
            command = FixCommand(
                job_id=fix.job_id,
                project_id=project_id,
                cluster_id=fix.cluster_id,
                cluster_title=fix.cluster_title,
                requested_by=fix.requested_by,
                requested_at=fix.requested_at,
            )
            events.append(Outgoing(JOB_EVENTS.name, key, pending.to_bytes()))
            commands.append(Outgoing(FIX_COMMANDS.name, key, command.to_bytes()))
    return events, commands
