"""Reading jobs, and reporting on them: a response means that Kafka has the report; it can be read a moment later."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from aiohttp import web

from soulcaster.domain.fixes.outcome import FixOutcome
from soulcaster.domain.lifecycle import Job, active
from soulcaster.services.lookup import known_cluster, known_job
from soulcaster.web.api.jobs.models import (
    ApprovedOut,
    JobBriefOut,
    JobChangedOut,
    JobIn,
    JobOut,
    JobPatchIn,
    JobsQuery,
)
from soulcaster.web.api.operation import ResponseModel, operation
from soulcaster.web.api.responses import json_list, json_response
from soulcaster.web.caller import CALLER, count_made, count_report, is_program, secret_of
from soulcaster.web.dependencies import dependencies
from soulcaster.web.headers import idempotency_key
from soulcaster.web.parameters import PageQuery, ProjectQuery, WaitByDefaultQuery, WaitQuery
from soulcaster.web.problems import Problem, begin_wait

_CHANGED: Mapping[int, ResponseModel] = {202: JobChangedOut, 200: JobChangedOut}
"""200 when the caller waited and the change can be read, or when there was nothing to change."""


@operation("GET", "/jobs", {200: (JobOut,)}, scope="read")
async def list_jobs(request: web.Request, query: JobsQuery) -> web.StreamResponse:
    """List jobs without their logs, newest first; X-Total-Count has their number."""
    page = await dependencies(request).read_model.jobs.list(
        query.project_id, cluster_id=query.cluster_id, limit=query.limit, offset=query.offset, after=query.cursor
    )
    return await json_list(page, JobOut.of)


@operation("GET", "/jobs/{job_id}", {200: JobOut}, scope="read", job_tokens=True)
async def get_job(request: web.Request, query: ProjectQuery, job_id: str) -> web.StreamResponse:
    """Get a job with its log; 404 when the project has no such job."""
    read_model = dependencies(request).read_model
    job = await known_job(read_model.jobs, query.project_id, job_id, exists=is_program(request))
    return json_response(JobOut.of(job, await read_model.jobs.logs(job.id)))


@operation("GET", "/jobs/{job_id}/brief", {200: JobBriefOut}, scope="read", job_tokens=True)
async def get_job_brief(request: web.Request, query: ProjectQuery, job_id: str) -> web.StreamResponse:
    """Get the brief that a job was given, as it was then; 404 when the job has none."""
    given = dependencies(request)
    job = await known_job(given.read_model.jobs, query.project_id, job_id, exists=is_program(request))
    brief = await given.briefs.stored(job.project_id, None if job.fix is None else job.fix.options.brief_id)
    return json_response(JobBriefOut(id=brief.id, job_id=job.id, project_id=job.project_id, text=brief.text))


@operation("GET", "/clusters/{cluster_id}/jobs", {200: (JobOut,)}, scope="read")
async def list_cluster_jobs(request: web.Request, query: PageQuery, cluster_id: str) -> web.StreamResponse:
    """List a cluster's jobs without their logs, newest first, with those of the clusters merged into it."""
    read_model = dependencies(request).read_model
    cluster = await known_cluster(read_model.clusters, query.project_id, cluster_id)
    page = await read_model.jobs.list(
        query.project_id, cluster_id=cluster.id, limit=query.limit, offset=query.offset, after=query.cursor
    )
    return await json_list(page, JobOut.of)


@operation("POST", "/jobs", {201: JobChangedOut, 202: JobChangedOut}, scope="launch", idempotent=True)
async def record_job(request: web.Request, query: WaitByDefaultQuery, body: JobIn) -> web.StreamResponse:
    """Record a pending job of a cluster that nobody launches: 201 once it can be read, 202 when that takes longer."""
    given = dependencies(request)
    await count_made(given, "jobs", query.project_id)
    await given.storage_limit.check(query.project_id)
    job = await given.jobs.record(
        query.project_id, body.cluster_id, by=request[CALLER].name, idempotency_key=idempotency_key(request)
    )
    shown = await _shown(request, job, query.wait, lambda _job: True)
    return json_response(JobChangedOut.of("Job recorded", shown or job), status=202 if shown is None else 201)


@operation("PATCH", "/jobs/{job_id}", _CHANGED, scope="launch", problems=(409,), idempotent=True, job_tokens=True)
async def update_job(request: web.Request, query: WaitQuery, body: JobPatchIn, job_id: str) -> web.StreamResponse:
    """Report a job's status, log lines, pull request, costs, error or outcome; 409 when it has ended otherwise.

    The program of a job calls it with its job token; it gets 409 as soon as another launch of the job has begun.
    """
    given = dependencies(request)
    job = await known_job(given.read_model.jobs, query.project_id, job_id, exists=is_program(request))
    if not body.model_dump(exclude_none=True):
        return json_response(JobChangedOut.of("No updates provided", job))
    program = request[CALLER].job
    if program is None:  # a job's program, whose reports are few, has to be able to end its job
        await count_report(given, job.id)
        await given.storage_limit.check(job.project_id)
    report = body.report(None if program is None else program.fence)
    report = replace(
        report,
        log=await _redacted(request, job, report.log),
        error=await _redacted(request, job, report.error),
        outcome=report.outcome and await _without_secrets(request, report.outcome),
    )
    changed = await given.jobs.report(job, report, idempotency_key=idempotency_key(request))
    shown = await _shown(request, changed, query.wait, lambda job: job.seq >= changed.seq)
    return json_response(JobChangedOut.of("Job updated", shown or changed), status=202 if shown is None else 200)


@operation("POST", "/jobs/{job_id}/cancel", _CHANGED, scope="launch", problems=(409,))
async def cancel_job(request: web.Request, query: WaitQuery, job_id: str) -> web.StreamResponse:
    """End a job as failed and stop it wherever it runs; 409 when it has already ended otherwise."""
    given = dependencies(request)
    job = await known_job(given.read_model.jobs, query.project_id, job_id)
    cancelled = await given.jobs.cancel(job, by=request[CALLER].name)
    shown = await _shown(request, cancelled, query.wait, lambda job: not active(job))
    return json_response(JobChangedOut.of("Job cancelled", shown or cancelled), status=202 if shown is None else 200)


async def _redacted(request: web.Request, job: Job, text: str | None) -> str | None:
    """Return what is said about a job as it may be shown."""
    if text is None:
        return None
    secrets = filter(None, [secret_of(request)])
    return (await dependencies(request).job_logs.redact(job.id, text, secrets=[*secrets])).removesuffix("\n")


async def _without_secrets(request: web.Request, outcome: FixOutcome) -> FixOutcome:
    """Return what a job made as it may be shown."""
    redact = partial(dependencies(request).job_logs.redact_each, secrets=[*filter(None, [secret_of(request)])])
    return replace(
        outcome,
        files=await redact(outcome.files),
        flags=await redact(outcome.flags),
        blocked_hosts=await redact(outcome.blocked_hosts),
    )


@operation("POST", "/jobs/{job_id}/approve", {202: ApprovedOut}, scope="launch", problems=(409,))
async def approve_job(request: web.Request, query: ProjectQuery, job_id: str) -> web.StreamResponse:
    """Let a job start that waits for approval; 403 where only admins may approve, 409 when it does not wait."""
    given = dependencies(request)
    job = await known_job(given.read_model.jobs, query.project_id, job_id)
    caller = request[CALLER]
    if not caller.admin and await given.fixes.approvers(query.project_id) == "admin":
        raise Problem(403, "Only an admin may approve jobs of this project.")
    command_id = await given.fixes.approve(job, by=caller.name)
    return json_response(ApprovedOut(job_id=job.id, command_id=command_id, project_id=job.project_id), status=202)


async def _shown(request: web.Request, job: Job, wait: float, matches: Callable[[Job], bool]) -> Job | None:
    """Return the job once the read model's version of it matches, or None after `wait` seconds."""
    if not wait:
        return None
    begin_wait(request, wait)
    return await dependencies(request).jobs.until(job.id, matches, seconds=wait)
