"""What steps of clusters send: events and pending jobs, then the commands that launch fixes."""

from collections.abc import Iterable, Mapping, Sequence

import structlog

from soulcaster.domain.clustering.project.steps import Step
from soulcaster.domain.commands import Fix
from soulcaster.ports.clock import Clock
from soulcaster.ports.messaging import Outgoing, Publisher, Record
from soulcaster.services.dead_letters import dead_letter, send_dead_letters
from soulcaster.services.retrying import until_available
from soulcaster.wire.cluster_events import event_envelopes
from soulcaster.wire.jobs import FixCommand, JobEvent
from soulcaster.wire.topics import CLUSTER_EVENTS, FIX_COMMANDS, JOB_EVENTS
from tables.segmented import ProjectPartition

log = structlog.get_logger(__name__)

PENDING_SEQ = 0
"""The `seq` of a job's first event."""


class StepSender:
    """Publishes what steps of clusters say happened, and what they launch."""

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        """`clock` gives the time at which jobs become pending."""
        self._publisher = publisher
        self._clock = clock

    async def send(self, steps: Mapping[ProjectPartition, Sequence[Step]]) -> None:
        """Publish what the steps of these projects send, waiting while Kafka is unavailable."""
        events, commands = self._messages(steps)
        await until_available(lambda: self._publisher.publish(events))
        # After the events: a job is known as pending before anyone can launch it.
        await until_available(lambda: self._publisher.publish(commands))

    async def send_or_dead_letter(self, place: ProjectPartition, step: Step) -> None:
        """Publish what a step sends; dead-letter those of its parts that Kafka refuses.

        A stored step is sent before everything else of its project, so one that cannot be sent would stop the project.
        """
        try:
            await self.send({place: [step]})
        except Exception:
            log.exception("a stored step cannot be sent; sending it part by part", project=place[1])
            for part in _parts(step):
                try:
                    await self.send({place: [part]})
                except Exception as error:
                    await self._dead_letter(place, part, error)

    async def _dead_letter(self, place: ProjectPartition, part: Step, error: Exception) -> None:
        events, commands = self._messages({place: [part]})
        records = [Record(m.topic, place[0], -1, 0, m.key, m.value) for m in (*events, *commands)]
        await send_dead_letters(self._publisher, [dead_letter(record, f"cluster: {error!r}") for record in records])

    def _messages(self, steps: Mapping[ProjectPartition, Sequence[Step]]) -> tuple[list[Outgoing], list[Outgoing]]:
        """Return events and pending jobs, and the commands that launch fixes."""
        events: list[Outgoing] = []
        commands: list[Outgoing] = []
        for (_, project_id), of_project in steps.items():
            key = project_id.encode()
            happened = [event for step in of_project for event in step.events]
            events += [Outgoing(CLUSTER_EVENTS.name, key, value) for value in event_envelopes(project_id, happened)]
            for fix in (fix for step in of_project for fix in step.fixes):
                events.append(Outgoing(JOB_EVENTS.name, key, self._pending(project_id, fix).to_bytes()))
                commands.append(Outgoing(FIX_COMMANDS.name, key, _launch(project_id, fix).to_bytes()))
        return events, commands

    def _pending(self, project_id: str, fix: Fix) -> JobEvent:
        return JobEvent(
            job_id=fix.job_id,
            project_id=project_id,
            cluster_id=fix.cluster_id,
            seq=PENDING_SEQ,
            status="pending",
            at=self._clock(),
            log=f"asked for by {fix.requested_by}",
        )


def _launch(project_id: str, fix: Fix) -> FixCommand:
    return FixCommand(
        job_id=fix.job_id,
        project_id=project_id,
        cluster_id=fix.cluster_id,
        cluster_title=fix.cluster_title,
        requested_by=fix.requested_by,
        requested_at=fix.requested_at,
    )


def _parts(step: Step) -> Iterable[Step]:
    yield from (Step(events=(event,)) for event in step.events)
    yield from (Step(fixes=(fix,)) for fix in step.fixes)
