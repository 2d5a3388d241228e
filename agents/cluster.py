"""feedback.embedded, cluster.commands, job.events -> cluster.events, job.events, fix.commands: clusters of projects."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from traceback import clear_frames

import numpy as np

from agents.cluster_meter import count_failed_round, count_round, count_steps
from agents.rounds import BackgroundRounds
from agents.runtime.batches import BATCH_BYTES, Batch
from agents.step_sender import StepSender
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.steps import Step
from soulcaster.domain.commands import Command, RoundFinished
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.domain.lifecycle import JobStep
from soulcaster.ports.clock import Clock
from soulcaster.ports.messaging import Publisher, Record
from soulcaster.services.retrying import until_available
from soulcaster.services.threads import away, in_thread
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.embedded import EmbeddedEnvelope, EmbedderId
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.topics import CLUSTER_COMMANDS, JOB_EVENTS
from tables.segmented import ProjectPartition, States

ITEM_BYTES = 1_024
"""What an item with its vector has in a message, about."""

Envelope = EmbeddedEnvelope | ClusterCommand | JobStep


class Cluster:
    """Assigns items to clusters and carries out commands. A project has one partition, so it has one writer.

    It reads job.events too, which it also writes: whether a fix may start depends on the jobs under way.

    1. Parse the records, by partition and project.
    2. Send what the project's last stored step has left in its outbox: a crash may have come between 6 and 7.
    3. Take the records in order, each run of one embedder as one step; steps change the state in memory.
    4. Start a round if one is due.
    5. Write the steps' rows to the table. A row holds the outbox: what its step has still to send.
    6. Wait until Kafka has the rows.
    7. Publish events and job steps, then the commands that launch fixes.
    8. Empty the outboxes in memory, and in the table where a fix must not be sent again.
    9. Return; the records are acknowledged, and events that are sent again change nothing.

    Rows come before events, because a step that is done again after a crash may come out differently: what is sent must
    be what is stored. If a project's work raises, its state in memory is thrown away and loaded from the rows again;
    other projects of the batch go on, and so do their rounds.
    """

    name = "cluster"
    batch_bytes = BATCH_BYTES
    express = True

    def __init__(
        self,
        *,
        clusters: States[ProjectClusters],
        stored: Callable[[Iterable[int]], Awaitable[None]],
        publisher: Publisher,
        clock: Clock,
    ) -> None:
        """`clusters` is the table; `stored` returns once Kafka has all of its rows of some partitions."""
        self._clusters = clusters
        self._stored = stored
        self._sender = StepSender(publisher)
        self._rounds = BackgroundRounds(publisher, clock)
        self._clock = clock

    async def process(self, batch: Batch, records: Sequence[Record]) -> int:
        """Process records, of several projects perhaps; return how many events they gave."""
        received = await away(sum(len(record.value or b"") for record in records), lambda: _parse(records))
        with self._rounds.working_on(received):
            projects, steps = await self._carry_out(batch, received)
        for place, project in projects.items():
            await asyncio.sleep(0)
            self._rounds.rebalance_when_quiet(place, project)
        return sum(len(step.events) for of_project in steps.values() for step in of_project)

    async def close(self) -> None:
        """Stop the rounds that run."""
        self._rounds.stop()

    # ---- steps ---------------------------------------------------------------------------------------------------

    async def _carry_out(
        self, batch: Batch, received: Mapping[ProjectPartition, Sequence[Envelope]]
    ) -> tuple[dict[ProjectPartition, ProjectClusters], dict[ProjectPartition, list[Step]]]:
        """Carry out, store and send what projects have received; return the projects and their steps."""
        projects: dict[ProjectPartition, ProjectClusters] = {}
        steps: dict[ProjectPartition, list[Step]] = {}
        failed: dict[ProjectPartition, Exception] = {}
        try:
            for place, envelopes in received.items():
                await asyncio.sleep(0)  # a batch may be of a thousand projects
                try:
                    projects[place] = await self._clusters.state(*place)
                    await self._send_outbox(batch, place, projects[place])
                    taken = await self._take(place, projects[place], envelopes)
                    # Rows go on their way while the next project is worked on.
                    self._write(batch, place, taken)
                except Exception as error:
                    clear_frames(error.__traceback__)  # they hold the state that is forgotten below
                    failed[place] = error
                else:
                    steps[place] = taken
            await until_available(lambda: self._stored({partition for partition, _ in steps}))
            failed |= await self._send(steps)
            await self._empty_outboxes(batch, {place: projects[place] for place in steps.keys() - failed.keys()})
        except BaseException:
            projects.clear()
            for place in received:
                self._clusters.forget(*place)
            raise
        for place in failed:
            projects.pop(place, None)
            self._clusters.forget(*place)
        for failure in failed.values():
            raise failure  # the guard finds the record that causes it
        for of_project in steps.values():
            await asyncio.sleep(0)
            count_steps(of_project)
        return projects, steps

    async def _take(
        self, place: ProjectPartition, project: ProjectClusters, envelopes: Iterable[Envelope]
    ) -> list[Step]:
        """Carry out what a project has received, and start a round if one is due."""
        steps: list[Step] = []
        for embedder, run in groupby(envelopes, key=_embedder):
            async with self._clusters.turn(*place):
                if embedder is None:
                    for _, of_kind in groupby(run, key=type):
                        steps += await self._commands_or_job_steps(project, list(of_kind))
                else:
                    items = [envelope for envelope in run if isinstance(envelope, EmbeddedEnvelope)]
                    size = ITEM_BYTES * sum(len(envelope.items) for envelope in items)
                    steps += await in_thread(size, partial(self._items, project, embedder, items))
        async with self._clusters.turn(*place):
            steps += await self._rounds.start_due(place, project)
        return steps

    def _items(
        self, project: ProjectClusters, embedder: EmbedderId, envelopes: Sequence[EmbeddedEnvelope]
    ) -> list[Step]:
        """Add items, then remove those whose tombstones came with them."""
        key = EmbedderKey(embedder.name, embedder.version, embedder.dimensions)
        items = [item for envelope in envelopes for item in envelope.items]
        steps = [project.add(key, items, np.concatenate([envelope.matrix() for envelope in envelopes]))]
        deleted = [tombstone for envelope in envelopes for tombstone in envelope.deleted]
        if deleted:
            steps.append(project.remove(deleted, self._clock()))
        return steps

    async def _commands_or_job_steps(self, project: ProjectClusters, envelopes: Sequence[Envelope]) -> list[Step]:
        """Carry out commands, one after the other, and take what jobs report, together."""
        job_steps = [envelope for envelope in envelopes if isinstance(envelope, JobStep)]
        if job_steps:
            return [await asyncio.to_thread(project.take_job_steps, job_steps, self._clock())]
        commands = [envelope.command for envelope in envelopes if isinstance(envelope, ClusterCommand)]
        return [await self._command(project, command) for command in commands]

    async def _command(self, project: ProjectClusters, command: Command | RoundFinished) -> Step:
        if isinstance(command, RoundFinished):
            return await self._finish_round(project)
        return await asyncio.to_thread(project.apply, command, self._clock())

    async def _finish_round(self, project: ProjectClusters) -> Step:
        finished = self._rounds.take_finished(project)
        if finished is None:
            return Step()
        if finished.decision is None:
            count_failed_round(finished.seconds)
            return await asyncio.to_thread(project.failed, finished.error, self._clock())
        step = await asyncio.to_thread(
            project.finish, finished.round, finished.decision, self._clock(), finished.seconds
        )
        count_round(step, finished.seconds)
        return step

    # ---- rows and messages ---------------------------------------------------------------------------------------

    def _write(self, batch: Batch, place: ProjectPartition, steps: Sequence[Step]) -> None:
        with batch.writing(place[0]):
            self._clusters.write(*place, (row for step in steps for row in step.rows))

    async def _send_outbox(self, batch: Batch, place: ProjectPartition, project: ProjectClusters) -> None:
        if project.all_sent:
            return
        async with self._clusters.turn(*place):
            unsent = await asyncio.to_thread(project.unsent)
        await self._sender.send_or_dead_letter(place, unsent)
        await self._empty_outboxes(batch, {place: project})

    async def _send(self, steps: Mapping[ProjectPartition, Sequence[Step]]) -> dict[ProjectPartition, Exception]:
        """Publish what steps send; return the projects whose steps cannot be sent, with the reason."""
        try:
            await self._sender.send(steps)
        except Exception:
            if len(steps) == 1:
                raise
        else:
            return {}
        failed: dict[ProjectPartition, Exception] = {}
        for place, of_project in steps.items():
            try:
                await self._sender.send({place: of_project})
            except Exception as error:
                failed[place] = error
        return failed

    async def _empty_outboxes(self, batch: Batch, projects: Mapping[ProjectPartition, ProjectClusters]) -> None:
        for place, project in projects.items():
            async with self._clusters.turn(*place):
                rows = await asyncio.to_thread(project.sent)
            if rows:
                with batch.writing(place[0]):
                    self._clusters.write(*place, rows)


def _parse(records: Iterable[Record]) -> dict[ProjectPartition, list[Envelope]]:
    received: dict[ProjectPartition, list[Envelope]] = defaultdict(list)
    for record in records:
        value = record.value or b""
        envelope: Envelope
        if record.topic == JOB_EVENTS.name:
            envelope = JobEvent.model_validate_json(value).step(record.offset)
        elif record.topic == CLUSTER_COMMANDS.name:
            envelope = ClusterCommand.model_validate_json(value)
        else:
            envelope = EmbeddedEnvelope.model_validate_json(value)
        received[record.partition, envelope.project_id].append(envelope)
    return received


def _embedder(envelope: Envelope) -> EmbedderId | None:
    return envelope.embedder if isinstance(envelope, EmbeddedEnvelope) else None
