"""Jobs in Redis: their values and their reader."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.aliases import resolve
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.lists import ListRange, read_part
from soulcaster.adapters.redis.sizes import Room
from soulcaster.adapters.redis.typed import Commands, Pipeline, Reply, Value
from soulcaster.domain.fixes.fix import Fix
from soulcaster.domain.fixes.outcome import FixOutcome
from soulcaster.domain.fixes.pull_request_sight import PullRequestSight
from soulcaster.domain.lifecycle import Job, JobStatus, JobStep, state_of
from soulcaster.ports.paging import Page

_JOB: TypeAdapter[Job] = TypeAdapter(Job)
_NESTED: Mapping[str, TypeAdapter[Any]] = {
    "fix": TypeAdapter(Fix),
    "outcome": TypeAdapter(FixOutcome),
    "pr_sight": TypeAdapter(PullRequestSight),
}
"""The fields of a job that its hash has as JSON."""
_LONG_FIELDS = (*_NESTED, "error", "task", "pr_url", "archive_url")
"""The fields of a job that may be long."""

READ_AT_ONCE = 50
"""Jobs of a list that are read together: more would hold up whoever else is served."""

_OUTLINE = tuple(one.name for one in fields(Job) if one.name not in {"fix", "outcome", "task", "archive_url"})
"""The fields that say what a job makes of its cluster."""

_STATUS: TypeAdapter[JobStatus] = TypeAdapter(JobStatus)


def job_fields(job: Job) -> dict[str, Value]:
    """Return the hash of a job; what it has not is left out."""
    stored = _JOB.dump_python(job, mode="json", exclude=set(_NESTED))
    for name, adapter in _NESTED.items():
        value = getattr(job, name)
        if value is not None:
            stored[name] = adapter.dump_json(value)
    return {name: value for name, value in stored.items() if value is not None}


def job_of(stored: Mapping[str, str]) -> Job:
    """Return the job of a hash."""
    state = stored.get("state") or state_of(_STATUS.validate_python(stored["status"]))  # older hashes have no state
    nested = {name: adapter.validate_json(stored[name]) for name, adapter in _NESTED.items() if name in stored}
    return _JOB.validate_python({**stored, **nested, "state": state})


def outline_sizes(pipe: Pipeline, job_id: str) -> Sequence[Reply[int]]:
    """Ask for the sizes of what may be long in the outline of a job."""
    return [pipe.hstrlen(keys.job(job_id), name) for name in ("error", "pr_url")]


def read_outline(pipe: Pipeline, job_id: str) -> Reply[list[str | None]]:
    """Ask for a job without what it was ordered to do, what it made, and where it ran."""
    return pipe.hmget(keys.job(job_id), [*_OUTLINE, "status"])


def outline_of(values: Sequence[str | None]) -> Job | None:
    """Return the job of such an outline, None where there is none."""
    found = dict(zip([*_OUTLINE, "status"], values, strict=True))
    present = {name: value for name, value in found.items() if value is not None}
    return job_of(present) if present else None


def step_value(step: JobStep, log: str | None) -> str:
    """Return what is stored of a step: its position and the log line that is kept of it; nothing without a line."""
    return json.dumps([step.place, log]) if log else ""


def step_lines(stored: Iterable[str]) -> Sequence[tuple[str, str]]:
    """Return position and log line of the stored steps that have a line, in the order of the steps."""
    return sorted((place, log) for place, log in (json.loads(step) for step in stored if step) if log)


def _log_lines(steps: Iterable[str]) -> tuple[str, ...]:
    """Return the log lines of stored steps, in the order of the steps."""
    return tuple(log for _, log in step_lines(steps))


async def read_jobs(redis: Commands, job_ids: Iterable[str]) -> tuple[Job, ...]:
    """Return the jobs that there are, in one round trip."""
    pipe = redis.pipeline()
    found = [pipe.hgetall(keys.job(job_id)) for job_id in job_ids]
    await pipe.execute()
    return tuple(job_of(stored.value) for stored in found if stored.value)


async def _fitting(redis: Commands, job_ids: Sequence[str], room: Room) -> int:
    """Return how many of the first jobs fit what is left of a page."""
    pipe = redis.pipeline()
    sizes = [[pipe.hstrlen(keys.job(job_id), name) for name in _LONG_FIELDS] for job_id in job_ids]
    await pipe.execute()
    return room.take(sum(size.value for size in of_job) for of_job in sizes)


class RedisJobs:
    """JobReader over Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def list(
        self, project_id: str, *, cluster_id: str | None = None, limit: int, offset: int, after: str | None = None
    ) -> Page[Job]:
        """Return one page of jobs, newest first."""
        async with self._connection.commands() as redis:
            key = keys.jobs(project_id)
            if cluster_id is not None:
                key = keys.cluster_jobs(await resolve(redis, project_id, cluster_id))
            found = await read_part(redis, key, ListRange(limit, offset, after))
            room = Room()
            jobs: list[Job] = []
            for first in range(0, len(found.ids), READ_AT_ONCE):
                ids = found.ids[first : first + READ_AT_ONCE]
                fit = await _fitting(redis, ids, room)
                jobs += await read_jobs(redis, ids[:fit])
                if fit < len(ids):
                    found = found.first(first + fit)
                    break
        # The lists of clusters' jobs are not kept by project.
        return found.page({job.id: job for job in jobs if job.project_id == project_id})

    async def get(self, job_id: str) -> Job | None:
        """Return one job, or None."""
        async with self._connection.commands() as redis:
            stored = await redis.hgetall(keys.job(job_id))
        return job_of(stored) if stored else None

    async def of_branch(self, project_id: str, branch: str) -> tuple[Job, ...]:
        """Return the jobs of a project that work on a branch."""
        async with self._connection.commands() as redis:
            return await read_jobs(redis, sorted(await redis.smembers(keys.jobs_of_branch(project_id, branch))))

    async def followed(self) -> tuple[Job, ...]:
        """Return the jobs of all projects whose pull request somebody has to look at."""
        async with self._connection.commands() as redis:
            return await read_jobs(redis, sorted(await redis.smembers(keys.followed_jobs())))

    async def active(self) -> int:
        """Return how many ordered jobs of all projects are approved and have not ended."""
        async with self._connection.commands() as redis:
            pipe = redis.pipeline()
            count = pipe.scard(keys.active_jobs())
            await pipe.execute()
        return count.value

    async def logs(self, job_id: str) -> tuple[str, ...]:
        """Return all log lines of a job, oldest first."""
        [lines] = await self.logs_of([job_id])
        return lines

    async def logs_of(self, job_ids: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Return the log lines of each of these jobs, in one round trip."""
        async with self._connection.commands() as redis:
            pipe = redis.pipeline()
            found = [pipe.hvals(keys.job_steps(job_id)) for job_id in job_ids]
            await pipe.execute()
        return tuple(_log_lines(steps.value) for steps in found)
