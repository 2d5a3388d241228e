"""A project's clusters, ranked, and one of them."""

from aiohttp import web

from soulcaster.domain.lifecycle import active
from soulcaster.errors import NotFound
from soulcaster.ports import Project
from soulcaster.web.fixes import FixUnderWay, ask_for_fix
from soulcaster.web.pages.paging import Paging, page_number
from soulcaster.web.pages.session import leave_notice, remember_project, render, signed_in_user
from soulcaster.web.parameters import path_id
from soulcaster.web.services import services

CLUSTERS_A_PAGE = 25
ITEMS_A_PAGE = 20
JOBS_SHOWN = 5


async def ranking(request: web.Request) -> web.StreamResponse:
    """GET /app/projects/{project_id}: clusters, largest first, and the project's figures."""
    project = await _project(request)
    page = page_number(request)
    given = services(request)
    stats = await given.read_model.stats(project.id)
    clusters = await given.read_model.clusters(project.id, limit=CLUSTERS_A_PAGE, offset=(page - 1) * CLUSTERS_A_PAGE)
    paging = Paging(page, CLUSTERS_A_PAGE, clusters.total)
    if page > paging.pages:
        raise web.HTTPSeeOther(f"{request.path}?page={paging.pages}")
    top = clusters if page == 1 else await given.read_model.clusters(project.id, limit=1, offset=0)
    await remember_project(request, project.id)
    return await render(
        request,
        "ranking.html",
        {
            "project": project,
            "project_id": project.id,
            "stats": stats,
            "clusters": clusters.items,
            "largest": max((cluster.size for cluster in top.items), default=1) or 1,
            "paging": paging,
            "now": given.clock(),
            "host": request.host,
        },
    )


async def one(request: web.Request) -> web.StreamResponse:
    """GET /app/projects/{project_id}/clusters/{cluster_id}: a cluster, its items and its jobs."""
    project = await _project(request)
    cluster_id = path_id(request, "cluster_id")
    page = page_number(request)
    given = services(request)
    cluster = await given.read_model.cluster(project.id, cluster_id)
    if cluster is None:
        raise NotFound("There is no such cluster in this project. It may have been merged into another.")
    items = await given.read_model.feedback(
        project.id, source=None, cluster_id=cluster_id, limit=ITEMS_A_PAGE, offset=(page - 1) * ITEMS_A_PAGE
    )
    paging = Paging(page, ITEMS_A_PAGE, items.total)
    if page > paging.pages:
        raise web.HTTPSeeOther(f"{request.path}?page={paging.pages}")
    jobs = await given.read_model.jobs(project.id, cluster_id=cluster_id, limit=JOBS_SHOWN, offset=0)
    await remember_project(request, project.id)
    return await render(
        request,
        "cluster.html",
        {
            "project": project,
            "cluster": cluster,
            "items": [view.item for view in items.items],
            "paging": paging,
            "jobs": [(job, await given.read_model.job_logs(job.id)) for job in jobs.items],
            "jobs_total": jobs.total,
            "under_way": any(active(job) for job in jobs.items),
            "now": given.clock(),
        },
    )


async def start_fix(request: web.Request) -> web.StreamResponse:
    """POST .../start-fix: ask for a fix, then show the cluster again with a notice."""
    project = await _project(request)
    cluster_id = path_id(request, "cluster_id")
    user = await signed_in_user(request) or "owner"
    try:
        await ask_for_fix(services(request), project.id, cluster_id, requested_by=user)
    except FixUnderWay as error:
        await leave_notice(request, str(error))
    else:
        await leave_notice(request, "Fix asked for. Its job shows here in a moment: reload the page.")
    raise web.HTTPSeeOther(f"/app/projects/{project.id}/clusters/{cluster_id}")


async def _project(request: web.Request) -> Project:
    project_id = path_id(request, "project_id")
    project = await services(request).read_model.project(project_id)
    if project is None or project.id != project_id:
        raise NotFound("There is no such project here.")
    return project
