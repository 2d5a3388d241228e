"""The order of a job and its credentials, for the program of its present launch only."""

from aiohttp import web

from soulcaster.domain.lifecycle import Job
from soulcaster.services.fencing import check_launch
from soulcaster.services.lookup import known_job
from soulcaster.web.api.job_orders.models import CredentialIn
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_response
from soulcaster.web.caller import claims_of
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import ProjectQuery
from soulcaster.wire.job_orders import CredentialOut, JobOrderOut


@operation("GET", "/jobs/{job_id}/order", {200: JobOrderOut}, scope="program", problems=(409,))
async def get_job_order(request: web.Request, query: ProjectQuery, job_id: str) -> web.StreamResponse:
    """Get all that a job is to do, with its job token; 409 once the job has ended or another launch has begun."""
    job = await _launched(request, query, job_id)
    return json_response(JobOrderOut(await dependencies(request).job_orders.of(job)))


@operation("POST", "/jobs/{job_id}/credentials", {200: CredentialOut}, scope="program", problems=(409, 502))
async def issue_credential(
    request: web.Request, query: ProjectQuery, body: CredentialIn, job_id: str
) -> web.StreamResponse:
    """Get a secret for one use, with the job token; 409 once the job has ended or another launch has begun.

    GitHub's token is that of the App, for this repository and this use only, where there is an App; else the one that
    the server has, else the one that the request for the fix brought.
    """
    job = await _launched(request, query, job_id)
    return json_response(CredentialOut(await dependencies(request).credentials.of(job, body.use)))


async def _launched(request: web.Request, query: ProjectQuery, job_id: str) -> Job:
    """Return the job whose present launch calls.

    Raises:
        Fenced: another launch has begun, or the job has ended.
        Unavailable: Redis does not answer, or does not show the launch yet.
    """
    job = await known_job(dependencies(request).read_model.jobs, query.project_id, job_id, exists=True)
    check_launch(job, claims_of(request).fence)
    return job
