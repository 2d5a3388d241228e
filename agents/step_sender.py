"""What steps of clusters send: events and job steps, then the commands that launch fixes."""

from collections.abc import Iterable, Mapping, Sequence

import structlog

from soulcaster.domain.clustering.project.steps import Step
from soulcaster.ports.messaging import Outgoing, Publisher, Record
from soulcaster.services.dead_letters import dead_letter, send_dead_letters
from soulcaster.services.retrying import until_available
from soulcaster.services.threads import away
from soulcaster.wire.cluster_events import event_envelopes
from soulcaster.wire.jobs import FixCommand, JobEvent
from soulcaster.wire.topics import CLUSTER_EVENTS, FIX_COMMANDS, JOB_EVENTS
from tables.segmented import ProjectPartition

EVENT_BYTES = 500
"""What an event has in JSON, about."""

log = structlog.get_logger(__name__)


class StepSender:
    """Publishes what steps of clusters say happened, and what they launch."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def send(self, steps: Mapping[ProjectPartition, Sequence[Step]]) -> None:
        """Publish what the steps of these projects send, waiting while Kafka is unavailable."""
        happened = sum(len(step.events) + len(step.job_steps) for of_project in steps.values() for step in of_project)
        events, commands = await away(EVENT_BYTES * happened, lambda: self._messages(steps))
        await until_available(lambda: self._publisher.publish(events))
        # After the job steps: a job is known before anyone can launch it.
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
        letters = [dead_letter(record, f"cluster: {error!r}") for record in records]
        await send_dead_letters(self._publisher, letters, "failed")

    def _messages(self, steps: Mapping[ProjectPartition, Sequence[Step]]) -> tuple[list[Outgoing], list[Outgoing]]:
        """Return events and job steps, and the commands that launch fixes."""
        events: list[Outgoing] = []
        commands: list[Outgoing] = []
        for (_, project_id), of_project in steps.items():
            key = project_id.encode()
            happened = [event for step in of_project for event in step.events]
            events += [Outgoing(CLUSTER_EVENTS.name, key, value) for value in event_envelopes(project_id, happened)]
            job_steps = [job_step for step in of_project for job_step in step.job_steps]
            events += [Outgoing(JOB_EVENTS.name, key, JobEvent.of(job_step).to_bytes()) for job_step in job_steps]
            fixes = [fix for step in of_project for fix in step.fixes]
            commands += [Outgoing(FIX_COMMANDS.name, key, FixCommand.of(project_id, fix).to_bytes()) for fix in fixes]
        return events, commands


def _parts(step: Step) -> Iterable[Step]:
    yield from (Step(events=(event,)) for event in step.events)
    yield from (Step(job_steps=(job_step,)) for job_step in step.job_steps)
    yield from (Step(fixes=(fix,)) for fix in step.fixes)
