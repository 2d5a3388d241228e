"""The pages of jobs: the lists of a project and of a person, one job, and what its page fetches while the job runs."""

from collections.abc import Collection, Sequence
from typing import get_args

import aiohttp_jinja2
from aiohttp import web

from soulcaster.domain.fixes.document import Document
from soulcaster.domain.fixes.log_position import position_of
from soulcaster.domain.fixes.plan import Plan
from soulcaster.domain.lifecycle import Job, JobState, ends
from soulcaster.errors import ArchiveUnavailable, NotFound, NotShownYet
from soulcaster.ports.paging import Page
from soulcaster.services.job_log_reading import LogPart
from soulcaster.services.job_search import search_all, search_jobs
from soulcaster.services.lookup import known_job
from soulcaster.services.paging import filled
from soulcaster.web.api.job_logs.stream import stream_job_log
from soulcaster.web.dependencies import dependencies
from soulcaster.web.pages.access import ACCESS
from soulcaster.web.pages.fix_panel import LOG_BYTES
from soulcaster.web.pages.job_formatting import STATE_TEXTS
from soulcaster.web.pages.paging import JobsQuery, Paging
from soulcaster.web.pages.projects import projects_of_person
from soulcaster.web.pages.session import remember_project, render
from soulcaster.web.parameters import path_id, read_query

JOBS_PER_PAGE = 25
MAX_PROJECTS = 50
"""Projects whose jobs the list of a person has."""
MAX_READS = 4
"""Parts of each project's list that are searched for that."""

_STATES: Collection[JobState] = get_args(JobState)


async def list_all(request: web.Request) -> web.StreamResponse:
    """GET /app/jobs: the jobs of all projects of the person who is signed in, newest first."""
    given, query = dependencies(request), read_query(request, JobsQuery)
    projects = await projects_of_person(request)
    looked_at = projects[:MAX_PROJECTS]
    states = _wanted(query)
    found = await search_all(
        given.read_model.jobs,
        [project.id for project in looked_at],
        states,
        limit=JOBS_PER_PAGE,
        after=query.cursor,
        reads=MAX_READS,
    )
    context = {
        "rows": await _with_titles(request, found.items),
        "next_page": None if found.next is None else query.after(found.next),
        "projects": looked_at,
        "names": {project.id: project.name for project in looked_at},
        "projects_total": len(projects),
        "query": query,
        "states": STATE_TEXTS,
        "now": given.clock(),
    }
    return await render(request, "all_jobs.html", context)


async def list_jobs(request: web.Request) -> web.StreamResponse:
    """GET /app/projects/{project_id}/jobs: its jobs, newest first, all or those in a state."""
    given, query = dependencies(request), read_query(request, JobsQuery)
    project = request[ACCESS].project
    found = await _page(request, query)
    paging = None
    if found.counted and query.cursor is None:
        paging = Paging(query.page, JOBS_PER_PAGE, found.total, query.parameters)
        if query.page > paging.pages:
            raise web.HTTPSeeOther(request.path + paging.address(paging.pages))
    await remember_project(request, project.id)
    context = {
        "project": project,
        "rows": await _with_titles(request, found.items),
        "paging": paging,
        "next_page": None if found.next is None or paging is not None else query.after(found.next),
        "query": query,
        "states": STATE_TEXTS,
        "now": given.clock(),
    }
    return await render(request, "jobs.html", context)


async def one_job(request: web.Request) -> web.StreamResponse:
    """GET .../jobs/{job_id}: a job with its log, from the beginning or from a position on."""
    given, job = dependencies(request), await _job(request)
    clusters = await given.read_model.clusters.get_many(job.project_id, {job.cluster_id})
    after = request.query.get("after")
    terms = await given.fixes.terms(job.project_id)
    context = {
        "project": request[ACCESS].project,
        "job": job,
        "cluster": clusters.get(job.cluster_id),
        "brief": await _brief(request, job),
        "plan": await _plan(request, job),
        "log": await _log(request, job, after),
        "from_the_beginning": after is None,
        "user": request[ACCESS].user,
        "may_approve": request[ACCESS].may(terms.approvers),
        "now": given.clock(),
    }
    return await render(request, "job.html", context, script=True)


async def facts(request: web.Request) -> web.StreamResponse:
    """GET .../jobs/{job_id}/facts: the part of the page that changes while the job runs."""
    given, job = dependencies(request), await _job(request)
    # Not `render`: it would take a notice from the session that is for the next page.
    return aiohttp_jinja2.render_template("job_facts.html", request, {"job": job, "now": given.clock()})


async def follow_log(request: web.Request) -> web.StreamResponse:
    """GET .../jobs/{job_id}/log: follow the log, as Server-Sent Events, from the position `after` on."""
    job = await _job(request)
    return await stream_job_log(request, job, name=f"page {request[ACCESS].user}", after=request.query.get("after"))


async def _page(request: web.Request, query: JobsQuery) -> Page[Job]:
    jobs, project_id = dependencies(request).read_model.jobs, request[ACCESS].project.id
    if query.state is not None:
        return await search_jobs(jobs, project_id, _wanted(query), limit=JOBS_PER_PAGE, after=query.cursor)
    offset = (query.page - 1) * JOBS_PER_PAGE
    return await filled(
        lambda limit, after: jobs.list(project_id, limit=limit, offset=offset, after=after or query.cursor),
        JOBS_PER_PAGE,
    )


def _wanted(query: JobsQuery) -> Collection[JobState]:
    """Return the states that a list was asked for."""
    if query.state is None:
        return _STATES
    return [state for state in _STATES if not ends(state)] if query.state == "active" else [query.state]


async def _with_titles(request: web.Request, jobs: Sequence[Job]) -> Sequence[tuple[Job, str]]:
    """Return jobs with the present titles of their clusters."""
    clusters = dependencies(request).read_model.clusters
    titles: dict[tuple[str, str], str] = {}
    for project_id in {job.project_id for job in jobs}:
        found = await clusters.get_many(project_id, {job.cluster_id for job in jobs if job.project_id == project_id})
        titles |= {(project_id, cluster_id): cluster.title for cluster_id, cluster in found.items()}
    return [(job, titles.get((job.project_id, job.cluster_id)) or _title_at_start(job)) for job in jobs]


def _title_at_start(job: Job) -> str:
    """Return the title that a job's cluster had when the job was created."""
    return job.fix.cluster_title if job.fix is not None else "A cluster that is no longer here"


async def _job(request: web.Request) -> Job:
    jobs = dependencies(request).read_model.jobs
    return await known_job(jobs, request[ACCESS].project.id, path_id(request, "job_id"))


async def _brief(request: web.Request, job: Job) -> Document | None:
    """Return the brief that a job was given; None for a job without one."""
    if job.fix is None or job.fix.options.brief_id is None:
        return None
    try:
        return await dependencies(request).briefs.stored(job.project_id, job.fix.options.brief_id)
    except NotShownYet:  # the read model is a moment behind, or is being rebuilt
        return None


async def _plan(request: web.Request, job: Job) -> Plan | None:
    """Return the plan that a job was given; None for a job without one."""
    try:
        return await dependencies(request).plans.of_job(job.project_id, job.fix.options.plan_id if job.fix else None)
    except NotFound:
        return None


async def _log(request: web.Request, job: Job, after: str | None) -> LogPart | None:
    """Return a part of a job's log; None when it is in the archive and that does not answer."""
    try:
        return await dependencies(request).job_log_reading.read(job, position_of(after), limit_bytes=LOG_BYTES)
    except ArchiveUnavailable:
        return None
