"""Reading jobs."""

from aiohttp import web

from soulcaster.errors import NotFound
from soulcaster.web.api.answers import answer, answer_list
from soulcaster.web.api.models import JobOut
from soulcaster.web.api.operation import operation
from soulcaster.web.parameters import Id, Scope, Window
from soulcaster.web.services import services


class JobsQuery(Window):
    """Query of GET /jobs."""

    cluster_id: Id | None = None


@operation("GET", "/jobs", {200: (JobOut,)}, scope="read")
async def search(request: web.Request, query: JobsQuery) -> web.StreamResponse:
    """List jobs, newest first, without logs; how many there are is in X-Total-Count."""
    page = await services(request).read_model.jobs(
        query.project_id, cluster_id=query.cluster_id, limit=query.limit, offset=query.offset
    )
    return answer_list([JobOut.of(job) for job in page.items], total=page.total)


@operation("GET", "/jobs/{job_id}", {200: JobOut}, scope="read", problems=(404,))
async def one(request: web.Request, query: Scope, job_id: str) -> web.StreamResponse:
    """Show a job and its logs; 404 when it is not of this project."""
    read_model = services(request).read_model
    job = await read_model.job(job_id)
    if job is None or job.project_id != query.project_id:
        raise NotFound("Job not found for project")
    return answer(JobOut.of(job, await read_model.job_logs(job.id)))
