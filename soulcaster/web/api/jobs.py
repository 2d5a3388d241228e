"""Reading jobs, and telling of them: what is told is on Kafka when it is answered, and shows a moment later."""

from collections.abc import Callable, Mapping
from typing import Annotated

from aiohttp import web
from pydantic import Field

from soulcaster.domain.lifecycle import Job, active
from soulcaster.services.lookup import known_cluster, known_job
from soulcaster.web.api.answers import answer, answer_list
from soulcaster.web.api.models import JobIn, JobLogsOut, JobOut, JobPatchIn, JobToldOut
from soulcaster.web.api.operation import Answer, operation
from soulcaster.web.caller import CALLER
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import Id, PageQuery, Scope, idempotency_key
from soulcaster.web.problems import allow_more

_TOLD: Mapping[int, Answer] = {202: JobToldOut, 200: JobToldOut}
"""200 where the caller waited and it shows, or there was nothing to tell."""


class JobsQuery(PageQuery):
    """Query of GET /jobs."""

    cluster_id: Id | None = None


class TellQuery(Scope):
    """Query of what is told of a job: how many seconds to wait until it shows."""

    wait: Annotated[float, Field(ge=0, le=30)] = 0


class RecordQuery(TellQuery):
    """Query of POST /jobs; who records a job goes on to tell of it, so it waits unless told otherwise."""

    wait: Annotated[float, Field(ge=0, le=30)] = 2


@operation("GET", "/jobs", {200: (JobOut,)}, scope="read")
async def search(request: web.Request, query: JobsQuery) -> web.StreamResponse:
    """List jobs, newest first, without logs; how many there are is in X-Total-Count."""
    page = await dependencies(request).read_model.jobs.list(
        query.project_id, cluster_id=query.cluster_id, limit=query.limit, offset=query.offset, after=query.cursor
    )
    return answer_list([JobOut.of(job) for job in page.items], total=page.total, cursor=page.next)


@operation("GET", "/jobs/{job_id}", {200: JobOut}, scope="read")
async def one(request: web.Request, query: Scope, job_id: str) -> web.StreamResponse:
    """Show a job and its logs; 404 when it is not of this project."""
    job = await known_job(dependencies(request).read_model, query.project_id, job_id)
    return answer(JobOut.of(job, await dependencies(request).read_model.jobs.logs(job.id)))


@operation("GET", "/jobs/{job_id}/logs", {200: JobLogsOut}, scope="read")
async def logs(request: web.Request, query: Scope, job_id: str) -> web.StreamResponse:
    """Show a job's log so far, line by line; 404 when it is not of this project."""
    job = await known_job(dependencies(request).read_model, query.project_id, job_id)
    lines = await dependencies(request).read_model.jobs.logs(job.id)
    return answer(JobLogsOut(job_id=job.id, project_id=job.project_id, chunks=[f"{line}\n" for line in lines]))


@operation("GET", "/clusters/{cluster_id}/jobs", {200: (JobOut,)}, scope="read")
async def of_cluster(request: web.Request, query: PageQuery, cluster_id: str) -> web.StreamResponse:
    """List a cluster's jobs, newest first, without logs; those of the clusters merged into it too."""
    given = dependencies(request)
    cluster = await known_cluster(given.read_model, query.project_id, cluster_id)
    page = await given.read_model.jobs.list(
        query.project_id, cluster_id=cluster.id, limit=query.limit, offset=query.offset, after=query.cursor
    )
    return answer_list([JobOut.of(job) for job in page.items], total=page.total, cursor=page.next)


@operation("POST", "/jobs", {201: JobToldOut, 202: JobToldOut}, scope="launch", keyed=True)
async def record(request: web.Request, query: RecordQuery, body: JobIn) -> web.StreamResponse:
    """Record a job of a cluster, pending; nobody launches it. 201 once it shows, 202 when that takes longer."""
    given = dependencies(request)
    key = idempotency_key(request)
    job = await given.jobs.record(query.project_id, body.cluster_id, by=request[CALLER].name, idempotency_key=key)
    shown = await _shown(request, job, query.wait, lambda _job: True)
    return answer(JobToldOut.of("Job recorded", shown or job), status=202 if shown is None else 201)


@operation("PATCH", "/jobs/{job_id}", _TOLD, scope="launch", problems=(409,), keyed=True)
async def patch(request: web.Request, query: TellQuery, body: JobPatchIn, job_id: str) -> web.StreamResponse:
    """Tell of a job: its status, a part of its log, its pull request, its error; 409 once it has ended otherwise."""
    given = dependencies(request)
    job = await known_job(given.read_model, query.project_id, job_id)
    if not body.model_dump(exclude_none=True):
        return answer(JobToldOut.of("No updates provided", job))
    key = idempotency_key(request)
    told = await given.jobs.report(
        job, body.status, log=body.logs, pr_url=body.pr_url, error=body.error, idempotency_key=key
    )
    shown = await _shown(request, told, query.wait, lambda job: job.seq >= told.seq)
    return answer(JobToldOut.of("Job updated", shown or told), status=202 if shown is None else 200)


@operation("POST", "/jobs/{job_id}/cancel", _TOLD, scope="launch", problems=(409,))
async def cancel(request: web.Request, query: TellQuery, job_id: str) -> web.StreamResponse:
    """End a job as failed, and have it stopped wherever it runs; 409 when it has ended otherwise."""
    given = dependencies(request)
    job = await known_job(given.read_model, query.project_id, job_id)
    told = await given.jobs.cancel(job, by=request[CALLER].name)
    shown = await _shown(request, told, query.wait, lambda job: not active(job))
    return answer(JobToldOut.of("Job cancelled", shown or told), status=202 if shown is None else 200)


async def _shown(request: web.Request, job: Job, wait: float, fits: Callable[[Job], bool]) -> Job | None:
    """Return the job as it is read, or None where the caller does not want to wait so long."""
    if not wait:
        return None
    allow_more(request, wait)
    return await dependencies(request).jobs.until(job.id, fits, seconds=wait)
