"""Reading jobs."""

from aiohttp import web

from soulcaster.domain.lifecycle import Job
from soulcaster.errors import NotFound
from soulcaster.web.api.answers import answer, answer_list
from soulcaster.web.api.models import JobLogsOut, JobOut
from soulcaster.web.api.operation import operation
from soulcaster.web.commands import known_cluster
from soulcaster.web.parameters import Id, Scope, Window
from soulcaster.web.services import services


class JobsQuery(Window):
    """Query of GET /jobs."""

    cluster_id: Id | None = None


@operation("GET", "/jobs", {200: (JobOut,)}, scope="read")
async def search(request: web.Request, query: JobsQuery) -> web.StreamResponse:
    """List jobs, newest first, without logs; how many there are is in X-Total-Count."""
    page = await services(request).read_model.jobs(
        query.project_id, cluster_id=query.cluster_id, limit=query.limit, offset=query.offset, after=query.cursor
    )
    return answer_list([JobOut.of(job) for job in page.items], total=page.total, cursor=page.next)


@operation("GET", "/jobs/{job_id}", {200: JobOut}, scope="read")
async def one(request: web.Request, query: Scope, job_id: str) -> web.StreamResponse:
    """Show a job and its logs; 404 when it is not of this project."""
    job = await _known(request, query.project_id, job_id)
    return answer(JobOut.of(job, await services(request).read_model.job_logs(job.id)))


@operation("GET", "/jobs/{job_id}/logs", {200: JobLogsOut}, scope="read")
async def logs(request: web.Request, query: Scope, job_id: str) -> web.StreamResponse:
    """Show a job's log so far, line by line; 404 when it is not of this project."""
    job = await _known(request, query.project_id, job_id)
    lines = await services(request).read_model.job_logs(job.id)
    return answer(JobLogsOut(job_id=job.id, project_id=job.project_id, chunks=list(lines)))


@operation("GET", "/clusters/{cluster_id}/jobs", {200: (JobOut,)}, scope="read")
async def of_cluster(request: web.Request, query: Window, cluster_id: str) -> web.StreamResponse:
    """List a cluster's jobs, newest first, without logs; those of the clusters merged into it too."""
    given = services(request)
    cluster = await known_cluster(given, query.project_id, cluster_id)
    page = await given.read_model.jobs(
        query.project_id, cluster_id=cluster.id, limit=query.limit, offset=query.offset, after=query.cursor
    )
    return answer_list([JobOut.of(job) for job in page.items], total=page.total, cursor=page.next)


async def _known(request: web.Request, project_id: str, job_id: str) -> Job:
    """Return a job of this project.

    Raises:
        NotFound: it has none of that id.
    """
    job = await services(request).read_model.job(job_id)
    if job is None or job.project_id != project_id:
        raise NotFound("Job not found for project")
    return job
