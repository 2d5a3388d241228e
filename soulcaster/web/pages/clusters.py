"""A project's clusters, ranked, and one of them."""

from collections.abc import Sequence
from typing import Annotated, Any, get_args
from uuid import uuid4

from aiohttp import web
from pydantic import BaseModel, Field

from soulcaster.domain.commands import MAX_IDS, CommandKind, Title
from soulcaster.domain.events import Proposal
from soulcaster.domain.lifecycle import ClusterStatus, active
from soulcaster.errors import IllegalTransition, NotFound
from soulcaster.ports.projects import Project
from soulcaster.services.cluster_commands import FixUnderWay
from soulcaster.services.lookup import known_job
from soulcaster.web.bodies import read_form
from soulcaster.web.dependencies import dependencies
from soulcaster.web.pages.formatting import ORDER_WORDS
from soulcaster.web.pages.paging import ClustersQuery, Paging, page_number
from soulcaster.web.pages.rights import ACCESS
from soulcaster.web.pages.session import leave_notice, remember_project, render
from soulcaster.web.parameters import Id, path_id, read_query, words

CLUSTERS_A_PAGE = 25
ITEMS_A_PAGE = 20
JOBS_SHOWN = 5
OTHERS_OFFERED = 50
"""Clusters that another may be merged with, or items be moved to: the largest."""
PROPOSALS_SHOWN = 5
OUTCOME_SECONDS = 2.0
"""How long a page waits for what becomes of a command, so that it can say so."""


class OtherForm(BaseModel):
    """Another cluster to be merged into this one."""

    other: Id


class ItemsForm(BaseModel):
    """Ticked items, and what is to become of them: a cluster of a title, or a part of another."""

    item_ids: Annotated[tuple[Id, ...], Field(max_length=MAX_IDS)]
    title: Title | None
    into: Id | None


class TitleForm(BaseModel):
    """A title; left empty, the machine gives one."""

    title: Title | None


class PinForm(BaseModel):
    """Whether the cluster is to be pinned."""

    pinned: bool


class UndoForm(BaseModel):
    """The command to be taken back."""

    command_id: Id


class JobForm(BaseModel):
    """The job to be cancelled."""

    job_id: Id


class CleanupForm(BaseModel):
    """The proposal to be applied."""

    proposal_id: Id


async def ranking(request: web.Request) -> web.StreamResponse:
    """GET /app/projects/{project_id}: clusters, largest first or as asked, and the project's figures."""
    project = request[ACCESS].project
    asked = read_query(request, ClustersQuery)
    given = dependencies(request)
    stats = await given.read_model.projects.stats(project.id)
    clusters = await given.read_model.clusters.list(
        project.id,
        status=asked.status,
        source=asked.source,
        words=words(asked.q),
        order=asked.sort,
        limit=CLUSTERS_A_PAGE,
        offset=(asked.page - 1) * CLUSTERS_A_PAGE,
        after=asked.cursor,
    )
    paging = None  # where not all was looked at there are no pages by number, nor after a cursor
    if clusters.counted and asked.cursor is None:
        paging = Paging(asked.page, CLUSTERS_A_PAGE, clusters.total, asked.again)
        if asked.page > paging.pages:
            raise web.HTTPSeeOther(request.path + paging.address(paging.pages))
    proposals = (await given.read_model.clustering.proposals(project.id))[:PROPOSALS_SHOWN]
    top = await given.read_model.clusters.list(project.id, limit=1, offset=0)
    await remember_project(request, project.id)
    return await render(
        request,
        "ranking.html",
        {
            "project": project,
            "project_id": project.id,
            "stats": stats,
            "asked": asked,
            "statuses": get_args(ClusterStatus),
            "orders": ORDER_WORDS,
            "clusters": clusters.items,
            "following": None if clusters.next is None or paging is not None else asked.after(clusters.next),
            "largest": max((cluster.size for cluster in top.items), default=1) or 1,
            "paging": paging,
            "proposals": [(one, await _titles(request, project, one)) for one in proposals],
            "clustering": await given.read_model.clustering.status(project.id),
            "now": given.clock(),
            "host": request.host,
        },
    )


async def one(request: web.Request) -> web.StreamResponse:
    """GET /app/projects/{project_id}/clusters/{cluster_id}: a cluster, its items and its jobs."""
    project = request[ACCESS].project
    cluster_id = path_id(request, "cluster_id")
    page = page_number(request)
    given = dependencies(request)
    cluster = await given.read_model.clusters.get(project.id, cluster_id)
    if cluster is None:
        raise NotFound("There is no such cluster in this project. Its items may all have moved to others.")
    if cluster.id != cluster_id:  # it was merged
        raise web.HTTPSeeOther(_path(project, cluster.id))
    items = await given.read_model.feedback.list(
        project.id, source=None, cluster_id=cluster_id, limit=ITEMS_A_PAGE, offset=(page - 1) * ITEMS_A_PAGE
    )
    paging = Paging(page, ITEMS_A_PAGE, items.total)
    if page > paging.pages:
        raise web.HTTPSeeOther(f"{request.path}?page={paging.pages}")
    jobs = await given.read_model.jobs.list(project.id, cluster_id=cluster_id, limit=JOBS_SHOWN, offset=0)
    others = await given.read_model.clusters.list(project.id, limit=OTHERS_OFFERED + 1, offset=0)
    await remember_project(request, project.id)
    return await render(
        request,
        "cluster.html",
        {
            "project": project,
            "cluster": cluster,
            "items": items.items,
            "others": [other for other in others.items if other.id != cluster_id],
            "history": await given.read_model.clusters.history(project.id, cluster_id),
            "paging": paging,
            "jobs": [(job, await given.read_model.jobs.logs(job.id)) for job in jobs.items],
            "jobs_total": jobs.total,
            "under_way": any(active(job) for job in jobs.items),
            "now": given.clock(),
        },
    )


async def start_fix(request: web.Request) -> web.StreamResponse:
    """POST .../start-fix: ask for a fix, then show the cluster again with a notice."""
    project = request[ACCESS].project
    cluster_id = path_id(request, "cluster_id")
    try:
        await dependencies(request).commands.start_fix(project.id, cluster_id, requested_by=request[ACCESS].user)
    except FixUnderWay as error:
        await leave_notice(request, str(error))
    else:
        await leave_notice(request, "Fix asked for. Its job shows here in a moment: reload the page.")
    raise web.HTTPSeeOther(_path(project, cluster_id))


async def cancel(request: web.Request) -> web.StreamResponse:
    """POST .../cancel: cancel a job of the cluster, then show the cluster again with a notice."""
    project = request[ACCESS].project
    form = await read_form(request, JobForm)
    given = dependencies(request)
    job = await known_job(given.read_model.jobs, project.id, form.job_id)
    try:
        await given.jobs.cancel(job, by=request[ACCESS].user)
    except IllegalTransition as error:
        await leave_notice(request, str(error))
    else:
        await given.jobs.until(job.id, lambda known: not active(known), seconds=OUTCOME_SECONDS)
        await leave_notice(request, "The job is cancelled.")
    raise web.HTTPSeeOther(_path(project, path_id(request, "cluster_id")))


async def rename(request: web.Request) -> web.StreamResponse:
    """POST .../rename: give the cluster a title, or back to the machine."""
    form = await read_form(request, TitleForm)
    return await _ask_of_cluster(request, "rename", title=form.title)


async def pin(request: web.Request) -> web.StreamResponse:
    """POST .../pin: pin or unpin the cluster."""
    form = await read_form(request, PinForm)
    return await _ask_of_cluster(request, "pin", pinned=form.pinned)


async def mute(request: web.Request) -> web.StreamResponse:
    """POST .../mute: nobody wants to hear of the cluster."""
    return await _ask_of_cluster(request, "mute")


async def resolve(request: web.Request) -> web.StreamResponse:
    """POST .../resolve: the cluster is done with."""
    return await _ask_of_cluster(request, "resolve")


async def reopen(request: web.Request) -> web.StreamResponse:
    """POST .../reopen: the cluster is neither muted nor resolved any more."""
    return await _ask_of_cluster(request, "reopen")


async def merge(request: web.Request) -> web.StreamResponse:
    """POST .../merge: make another cluster part of this one."""
    form = await read_form(request, OtherForm)
    return await _ask_of_cluster(request, "merge", cluster_ids=(form.other,))


async def split(request: web.Request) -> web.StreamResponse:
    """POST .../split: make the ticked items a cluster of their own."""
    form = await read_form(request, ItemsForm)
    if not form.item_ids:
        return await _tick_first(request)
    return await _ask_of_cluster(request, "split", item_ids=form.item_ids, title=form.title)


async def move(request: web.Request) -> web.StreamResponse:
    """POST .../move: move the ticked items to another cluster."""
    form = await read_form(request, ItemsForm)
    if not form.item_ids or form.into is None:
        return await _tick_first(request)
    back = path_id(request, "cluster_id")
    return await _ask(request, "move", request[ACCESS].project, back, cluster_id=form.into, item_ids=form.item_ids)


async def undo(request: web.Request) -> web.StreamResponse:
    """POST .../undo: take a command back."""
    form = await read_form(request, UndoForm)
    return await _ask_of_cluster(request, "undo", command_id=form.command_id)


async def rebalance(request: web.Request) -> web.StreamResponse:
    """POST /app/projects/{project_id}/rebalance: consolidate now."""
    return await _ask(request, "rebalance", request[ACCESS].project, None)


async def cleanup(request: web.Request) -> web.StreamResponse:
    """POST /app/projects/{project_id}/cleanup: apply a proposal."""
    form = await read_form(request, CleanupForm)
    return await _ask(request, "cleanup", request[ACCESS].project, None, proposal_ids=(form.proposal_id,))


async def _ask_of_cluster(request: web.Request, kind: CommandKind, **fields: Any) -> web.StreamResponse:
    """Ask for a command of the cluster in the path, and show it again."""
    cluster_id = path_id(request, "cluster_id")
    return await _ask(request, kind, request[ACCESS].project, cluster_id, cluster_id=cluster_id, **fields)


async def _ask(
    request: web.Request, kind: CommandKind, project: Project, back: str | None, **fields: Any
) -> web.StreamResponse:
    """Ask for a command, and show the cluster `back` (None: the list) again with what became of it."""
    given = dependencies(request)
    command_id = str(uuid4())
    await given.commands.send(project.id, kind, command_id, requested_by=request[ACCESS].user, **fields)
    view = await given.commands.outcome(project.id, command_id, seconds=OUTCOME_SECONDS)
    if view is None or view.outcome == "waiting":
        await leave_notice(request, "Asked for. What comes of it shows here in a moment: reload the page.")
    elif view.outcome == "refused":
        await leave_notice(request, f"This was not done: {view.reason}")
    else:
        await leave_notice(request, view.reason or "Done.")
    raise web.HTTPSeeOther(f"/app/projects/{project.id}" if back is None else _path(project, back))


async def _tick_first(request: web.Request) -> web.StreamResponse:
    await leave_notice(request, "Tick the items first, and choose where they are to go.")
    raise web.HTTPSeeOther(_path(request[ACCESS].project, path_id(request, "cluster_id")))


async def _titles(request: web.Request, project: Project, proposal: Proposal) -> Sequence[tuple[str, str]]:
    """Return id and title of the clusters that a proposal names."""
    read_model = dependencies(request).read_model
    found = [await read_model.clusters.get(project.id, cluster_id) for cluster_id in proposal.cluster_ids]
    return [(cluster.id, cluster.title) for cluster in found if cluster is not None]


def _path(project: Project, cluster_id: str) -> str:
    return f"/app/projects/{project.id}/clusters/{cluster_id}"
