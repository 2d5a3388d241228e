"""The forms of jobs: start, approve, cancel and try again; each waits a moment for what comes of it, and says it."""

from dataclasses import replace
from typing import Literal

from aiohttp import web
from pydantic import BaseModel

from soulcaster.domain.fixes.fix import Backend
from soulcaster.domain.lifecycle import Job, active
from soulcaster.errors import (
    Conflict,
    IllegalTransition,
    PlannerRefuses,
    PlannerUnavailable,
    QuotaExceeded,
    SourceRefuses,
    SourceUnavailable,
)
from soulcaster.ports.planner import MAX_SECONDS
from soulcaster.services.fixes import FixRequest, UnknownBackend
from soulcaster.services.lookup import known_job
from soulcaster.web.bodies import read_form
from soulcaster.web.dependencies import dependencies
from soulcaster.web.pages import outcomes
from soulcaster.web.pages.access import ACCESS
from soulcaster.web.pages.addresses import cluster_path, job_path
from soulcaster.web.pages.session import leave_notice
from soulcaster.web.parameters import Id, path_id
from soulcaster.web.problems import Problem, begin_wait
from soulcaster.wire.project_config import Repository

_REASONS = (
    Conflict,
    QuotaExceeded,
    UnknownBackend,
    SourceRefuses,
    SourceUnavailable,
    PlannerRefuses,
    PlannerUnavailable,
)
"""Errors that say why no fix was started."""


class StartForm(BaseModel):
    """What a person chose for a fix; the project's policy has the rest."""

    backend: Backend | None
    repository: Repository | None
    plan_id: Id | None


class JobForm(BaseModel):
    """The page that the form is on, which is shown again."""

    page: Literal["cluster", "job"] | None


async def start_fix(request: web.Request) -> web.StreamResponse:
    """POST .../clusters/{cluster_id}/start-fix: request a fix of the cluster."""
    form = await read_form(request, StartForm)
    cluster_id = path_id(request, "cluster_id")
    await _start(
        request,
        cluster_id,
        FixRequest(request[ACCESS].user, backend=form.backend, repository=form.repository, plan_id=form.plan_id),
    )
    raise web.HTTPSeeOther(cluster_path(request[ACCESS].project.id, cluster_id))


async def retry(request: web.Request) -> web.StreamResponse:
    """POST .../jobs/{job_id}/retry: request another fix of the job's cluster, with the same choices."""
    job = await _job(request)
    fix = FixRequest(request[ACCESS].user)
    if job.fix is not None:
        options = job.fix.options
        fix = replace(
            fix,
            backend=options.backend,
            stop_at=options.stop_at,
            plan_id=options.plan_id,
            repository=None if options.target is None else options.target.repository,
        )
    await _start(request, job.cluster_id, fix)
    raise web.HTTPSeeOther(cluster_path(job.project_id, job.cluster_id))


async def cancel(request: web.Request) -> web.StreamResponse:
    """POST .../jobs/{job_id}/cancel: cancel the job."""
    given, job = dependencies(request), await _job(request)
    try:
        await given.jobs.cancel(job, by=request[ACCESS].user)
    except IllegalTransition as error:
        await leave_notice(request, str(error))
    else:
        await given.jobs.until(job.id, lambda known: not active(known), seconds=outcomes.OUTCOME_SECONDS)
        await leave_notice(request, "The job is cancelled.")
    return await _again(request, job)


async def approve(request: web.Request) -> web.StreamResponse:
    """POST .../jobs/{job_id}/approve: let a job start that waits for approval."""
    given, access, job = dependencies(request), request[ACCESS], await _job(request)
    if not access.may(await given.fixes.approvers(access.project.id)):
        raise Problem(403, "Only an owner may approve jobs of this project.")
    try:
        command_id = await given.fixes.approve(job, by=access.user)
    except Conflict as error:
        await leave_notice(request, str(error))
        return await _again(request, job)
    refusal = outcomes.refusal(await outcomes.outcome_of(request, command_id))
    if refusal is not None:
        await leave_notice(request, refusal)
        return await _again(request, job)
    shown = await given.jobs.until(job.id, lambda known: known.state != "queued", seconds=outcomes.OUTCOME_SECONDS)
    await leave_notice(request, "Approved." if shown else "Approved. Reload the page in a moment to see it start.")
    return await _again(request, job)


async def _start(request: web.Request, cluster_id: str, fix: FixRequest) -> None:
    """Request a fix, and leave a notice of what came of it."""
    given, access = dependencies(request), request[ACCESS]
    begin_wait(request, MAX_SECONDS)  # a fix that stops at the plan may need one first
    try:
        asked = await given.fixes.start(access.project.id, cluster_id, replace(fix, may_approve=access.may("admin")))
    except _REASONS as error:
        await leave_notice(request, f"No fix was started. {error}")
        return
    refusal = outcomes.refusal(await outcomes.outcome_of(request, asked.command_id))
    if refusal is not None:
        await leave_notice(request, refusal)
        return
    job = await given.jobs.until(asked.job_id, lambda _: True, seconds=outcomes.OUTCOME_SECONDS)
    if job is None:
        await leave_notice(request, "Fix requested. Reload the page in a moment to see its job.")
    elif job.state == "queued":
        await leave_notice(request, "Fix requested. It starts when somebody approves it.")
    elif asked.rehearses:
        await leave_notice(request, "Fix started. It only rehearses, because no coding agent is set up.")
    else:
        await leave_notice(request, "Fix started.")


async def _job(request: web.Request) -> Job:
    jobs = dependencies(request).read_model.jobs
    return await known_job(jobs, request[ACCESS].project.id, path_id(request, "job_id"))


async def _again(request: web.Request, job: Job) -> web.StreamResponse:
    """Show the page of the form again."""
    form = await read_form(request, JobForm)
    shown = cluster_path(job.project_id, job.cluster_id) if form.page == "cluster" else job_path(job)
    raise web.HTTPSeeOther(shown)
