"""Writing jobs to Redis."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.aliases import chains
from soulcaster.adapters.redis.cluster_lists import update_lists
from soulcaster.adapters.redis.jobs import job_fields, job_of, step_value
from soulcaster.adapters.redis.notices import NoticeWriter
from soulcaster.adapters.redis.typed import Commands
from soulcaster.domain.lifecycle import Job, JobStatus, JobStep, active, advance, follows_pull_request, start
from soulcaster.ports.jobs import MAX_STEP_LOG_BYTES
from soulcaster.ports.notices import JobNotice, Notice
from soulcaster.ports.projects import JOB_BYTES, STEP_BYTES

LOGGED = "logged"
"""The field of a job's hash that counts the bytes of its steps' log lines."""

NO_MORE = " ... what steps say from here on is not kept: it is too much ..."

STEPS_AT_ONCE = 100
"""Steps that one transaction writes; their log lines may be long."""


class JobWriter:
    """Applies job steps."""

    def __init__(self, notices: NoticeWriter) -> None:
        self._notices = notices

    async def put(self, redis: Commands, steps: Sequence[JobStep]) -> None:
        """Apply steps, with their log lines; a step whose id is stored changes nothing."""
        for first in range(0, len(steps), STEPS_AT_ONCE):
            by_project: dict[str, list[_Advanced]] = defaultdict(list)
            for advanced in await _advance(redis, steps[first : first + STEPS_AT_ONCE]):
                by_project[advanced.job.project_id].append(advanced)
            for project_id, jobs in by_project.items():
                await self._write(redis, project_id, jobs)

    async def _write(self, redis: Commands, project_id: str, jobs: Collection["_Advanced"]) -> None:
        """Write jobs of one project, all or nothing, and bring the lists of their clusters up to date."""
        chain_of = await chains(redis, project_id, {advanced.job.cluster_id for advanced in jobs})
        transaction = redis.transaction()
        transaction.incr(keys.stored_bytes(project_id), sum(advanced.size for advanced in jobs))
        notices: list[tuple[int, Notice]] = []
        for advanced in jobs:
            job, chain = advanced.job, chain_of[advanced.job.cluster_id]
            if advanced.new:
                transaction.delete(keys.job(job.id))
                transaction.hset(keys.job(job.id), {**job_fields(job), LOGGED: advanced.logged})
                transaction.hset(keys.job_steps(job.id), advanced.new)
            transaction.zadd(keys.jobs(project_id), {job.id: job.created_at.timestamp()})
            if active(job) and job.fix is not None and job.state != "queued":
                transaction.sadd(keys.active_jobs(), job.id)
            else:
                transaction.srem(keys.active_jobs(), job.id)
            if job.state == "queued":
                transaction.sadd(keys.queued_jobs(), job.id)
            else:
                transaction.srem(keys.queued_jobs(), job.id)
            if follows_pull_request(job):
                transaction.sadd(keys.followed_jobs(), job.id)
            else:
                transaction.srem(keys.followed_jobs(), job.id)
            if job.fix is not None and job.fix.branch:
                transaction.sadd(keys.jobs_of_branch(project_id, job.fix.branch), job.id)
            if not active(job):
                transaction.delete(keys.person_token(job.id))
            for link in chain:
                transaction.zadd(keys.cluster_jobs(link), {job.id: job.created_at.timestamp()})
            for position, status in advanced.statuses:
                notices.append((position, Notice(clusters=chain[-1:], jobs=(JobNotice(job.id, chain[-1], status),))))
        for _, notice in sorted(notices, key=lambda pair: pair[0]):
            self._notices.add(transaction, project_id, notice)
        await transaction.execute()
        await update_lists(redis, project_id, sorted({chain[-1] for chain in chain_of.values()}))


@dataclass(slots=True)
class _Advanced:
    """A job after some steps: those that are new, by id, and the status after each of them, with its position."""

    job: Job
    logged: int
    """Bytes of the log lines of its steps, those that are not kept included."""
    is_known: bool
    """Whether the job was stored before."""
    new: dict[str, str] = field(default_factory=dict)
    statuses: list[tuple[int, JobStatus]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Return what the new steps count, and the job where it is new, in bytes."""
        steps = sum(STEP_BYTES + len(value.encode()) for value in self.new.values())
        return steps if self.is_known else JOB_BYTES + steps

    def apply(self, step: JobStep, position: int) -> None:
        """Advance the job by a step that is not stored; the same step again changes nothing."""
        if step.id not in self.new:
            self.job = advance(self.job, step)
            self.new[step.id] = step_value(step, self._kept(step.log))
            self.statuses.append((position, self.job.status))

    def _kept(self, log: str | None) -> str | None:
        """Return what is kept of a log line."""
        if not log:
            return None
        line = log.encode()
        room = MAX_STEP_LOG_BYTES - self.logged
        self.logged += len(line)
        if len(line) <= room:
            return log
        return line[:room].decode(errors="ignore") + NO_MORE if room > 0 else None


async def _advance(redis: Commands, steps: Sequence[JobStep]) -> Collection[_Advanced]:
    """Return the jobs of these steps, advanced by those that are not stored, in one round trip."""
    pipe = redis.pipeline()
    stored = {job_id: pipe.hgetall(keys.job(job_id)) for job_id in dict.fromkeys(step.job_id for step in steps)}
    known = [pipe.hexists(keys.job_steps(step.job_id), step.id) for step in steps]
    await pipe.execute()
    jobs: dict[str, _Advanced] = {}
    for position, (step, is_known) in enumerate(zip(steps, known, strict=True)):
        if step.job_id not in jobs:
            fields = stored[step.job_id].value
            jobs[step.job_id] = _Advanced(
                job_of(fields) if fields else start(step), int(fields.get(LOGGED, 0)), bool(fields)
            )
        if not is_known.value:
            jobs[step.job_id].apply(step, position)
    return jobs.values()
