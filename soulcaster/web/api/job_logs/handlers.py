"""Reading, following and writing the logs of jobs."""

from aiohttp import web

from soulcaster.domain.fixes.log_position import position_of
from soulcaster.domain.text.normalize import visible
from soulcaster.errors import Fenced
from soulcaster.services.job_log_reading import PART_BYTES
from soulcaster.services.lookup import known_job
from soulcaster.web.api.job_logs.models import (
    JobLogAppendedOut,
    JobLogEventOut,
    JobLogIn,
    JobLogQuery,
    JobLogsOut,
)
from soulcaster.web.api.job_logs.stream import stream_job_log, wants_stream
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_response
from soulcaster.web.caller import CALLER, is_program, secret_of
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import ProjectQuery


@operation("GET", "/jobs/{job_id}/logs", {200: JobLogsOut}, scope="read", events=JobLogEventOut)
async def get_job_logs(request: web.Request, query: JobLogQuery, job_id: str) -> web.StreamResponse:
    """Get a job's log, or follow it as Server-Sent Events; 404 when the project has no such job.

    With `stream=1`, or where the client accepts text/event-stream, events `log` come as the log is written, and `end`
    when the job has ended and all of its log was sent. A stream ends after ten minutes, when the
    server stops, or within a second when the API key is revoked; a
    client that comes back with the id of the last event resumes after it.
    """
    given = dependencies(request)
    job = await known_job(given.read_model.jobs, query.project_id, job_id)
    if query.stream or wants_stream(request):
        caller = request[CALLER]
        return await stream_job_log(request, job, name=caller.api_key_id or caller.name, after=query.after)
    part = await given.job_log_reading.read(job, position_of(query.after), limit_bytes=PART_BYTES)
    return json_response(
        JobLogsOut(
            job_id=job.id,
            project_id=job.project_id,
            source=part.source,
            chunks=[visible(text) for text in part.texts],
            dropped=part.dropped,
            position=str(part.position),
            next=str(part.position) if part.more else None,
        )
    )


@operation("POST", "/jobs/{job_id}/logs", {202: JobLogAppendedOut}, scope="launch", problems=(409,), job_tokens=True)
async def append_job_log(request: web.Request, query: ProjectQuery, body: JobLogIn, job_id: str) -> web.StreamResponse:
    """Append whole lines to a job's log, as JSON or as text/plain; secrets in them are replaced.

    Lines are accepted after the end of the job as well. The program of a job calls it with its job token; without text
    it says that it runs. It gets 409 as soon as another launch of the job has begun.
    """
    given = dependencies(request)
    job = await known_job(given.read_model.jobs, query.project_id, job_id, exists=is_program(request))
    program = request[CALLER].job
    token = None if program is None else program.fence
    if token is not None and token < job.fence:
        raise Fenced
    secrets = filter(None, [secret_of(request)])
    await given.job_logs.append(job.project_id, job.id, body.text, token=token, secrets=[*secrets])
    appended = JobLogAppendedOut(job_id=job.id, project_id=job.project_id, job_status=job.status)
    return json_response(appended, status=202)
