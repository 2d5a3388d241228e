"""Jobs of a project on a real Kafka: ordering them, and what job.events and fix.commands say of them."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from pydantic import ValidationError

from soulcaster.domain.fixes.fix import Fix, FixOptions
from soulcaster.domain.lifecycle import Job, JobStep, active, advance, start
from soulcaster.ports.messaging import Outgoing, Publisher
from soulcaster.processes.settings import Settings
from soulcaster.wire.jobs import FixCommand, JobEvent
from soulcaster.wire.topics import FIX_COMMANDS, JOB_EVENTS
from tests.support.recount import read_all


@dataclass(frozen=True)
class JobHistory:
    """All steps of a project's jobs in the order of the log, the jobs they make, and how often each was ordered."""

    steps: tuple[JobStep, ...]
    jobs: dict[str, Job]
    ordered: Counter[str]
    most_at_once: int
    most_of_a_cluster: int

    def starts(self) -> Counter[tuple[str, int]]:
        """Return how many programs reported that they run, by job and fencing token.

        A program sends its report again until it is answered, always as the same step; another program sends another.
        """
        reports = {(s.job_id, s.token, s.id) for s in self.steps if s.token is not None and s.state == "running"}
        return Counter((job_id, token) for job_id, token, _ in reports)


async def order_jobs(publisher: Publisher, project_id: str, count: int) -> list[str]:
    """Order jobs, as the clusterer does; return their ids."""
    now = datetime.now(UTC)
    ids = [str(uuid4()) for _ in range(count)]
    messages = []
    for job_id in ids:
        options = FixOptions(backend="local", seconds=120)
        fix = Fix(job_id, f"c-{job_id}", "Late card", "kim", now, options=options)
        step = JobStep(f"first {job_id}", job_id, project_id, fix.cluster_id, 0, "approved", now, fix=fix)
        key = project_id.encode()
        messages.append(Outgoing(JOB_EVENTS.name, key, JobEvent.of(step).to_bytes()))
        messages.append(Outgoing(FIX_COMMANDS.name, key, FixCommand.of(project_id, fix).to_bytes()))
    await publisher.publish(messages)
    return ids


async def job_history(settings: Settings, project_id: str) -> JobHistory:
    """Read it all from the beginning."""
    steps: list[JobStep] = []
    jobs: dict[str, Job] = {}
    most_at_once = most_of_a_cluster = 0
    for record in sorted(await read_all(settings, JOB_EVENTS.name), key=lambda r: (r.partition, r.offset)):
        try:
            step = JobEvent.model_validate_json(record.value or b"").step(record.offset)
        except ValidationError:
            continue  # of a test that sends poison
        if step.project_id != project_id:
            continue
        steps.append(step)
        known = jobs.get(step.job_id)
        jobs[step.job_id] = start(step) if known is None else advance(known, step)
        of_cluster: dict[str, int] = defaultdict(int)
        for job in jobs.values():
            of_cluster[job.cluster_id] += active(job)
        most_at_once = max(most_at_once, sum(of_cluster.values()))
        most_of_a_cluster = max(most_of_a_cluster, *of_cluster.values())
    commands: Counter[str] = Counter()
    for record in await read_all(settings, FIX_COMMANDS.name):
        if record.key == project_id.encode():
            commands[FixCommand.model_validate_json(record.value or b"").job_id] += 1
    return JobHistory(tuple(steps), jobs, commands, most_at_once, most_of_a_cluster)
