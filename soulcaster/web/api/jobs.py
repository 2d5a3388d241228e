"""Reading jobs."""

from aiohttp import web

from soulcaster.errors import NotFound
from soulcaster.web.api.answers import answer, answer_list
from soulcaster.web.api.models import JobOut
from soulcaster.web.parameters import Id, Scope, Window, path_id, read_query
from soulcaster.web.services import services


class JobsQuery(Window):
    """Query of GET /jobs."""

    cluster_id: Id | None = None


async def list_jobs(request: web.Request) -> web.StreamResponse:
    """GET /jobs: a list, newest first, without logs; how many there are is in X-Total-Count."""
    query = read_query(request, JobsQuery)
    page = await services(request).read_model.jobs(
        query.project_id, cluster_id=query.cluster_id, limit=query.limit, offset=query.offset
    )
    return answer_list([JobOut.of(job) for job in page.items], total=page.total)


async def one(request: web.Request) -> web.StreamResponse:
    """GET /jobs/{id}: a job and its logs; 404 when it is not of this project."""
    scope = read_query(request, Scope)
    read_model = services(request).read_model
    job = await read_model.job(path_id(request, "job_id"))
    if job is None or job.project_id != scope.project_id:
        raise NotFound("Job not found for project")
    return answer(JobOut.of(job, await read_model.job_logs(job.id)))
