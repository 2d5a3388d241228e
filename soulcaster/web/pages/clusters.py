"""The pages that show clusters: a project's ranking, and one cluster with its items, jobs and history."""

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from aiohttp import web

from soulcaster.domain.events import Proposal
from soulcaster.domain.lifecycle import ClusterStatus
from soulcaster.domain.text.normalize import CUT
from soulcaster.errors import NotFound
from soulcaster.ports.clusters import ClusterReader
from soulcaster.ports.feedback import FeedbackView
from soulcaster.services.lookup import known_item
from soulcaster.services.paging import filled
from soulcaster.web.dependencies import dependencies
from soulcaster.web.pages.access import ACCESS
from soulcaster.web.pages.addresses import cluster_path
from soulcaster.web.pages.fix_panel import fix_panel
from soulcaster.web.pages.formatting import ORDER_TEXTS
from soulcaster.web.pages.paging import ClustersQuery, Paging, page_number
from soulcaster.web.pages.session import remember_project, render
from soulcaster.web.parameters import path_id, read_query, words
from soulcaster.web.turns import elsewhere

CLUSTERS_PER_PAGE = 25
ITEMS_PER_PAGE = 20
SHOWN_CHARS = 5_000
"""Characters of an item's text on the page of its cluster; another address has all of it."""

AUTHOR_CHARS, URL_CHARS = 200, 2_000
"""Of an item's author and address, on that page."""

MAX_TARGETS = 50
"""Clusters that a page offers to merge with, or to move items to: the largest."""
MAX_PROPOSALS = 5


async def ranking(request: web.Request) -> web.StreamResponse:
    """GET /app/projects/{project_id}: its clusters, largest first or as requested, and its counts."""
    project = request[ACCESS].project
    query = read_query(request, ClustersQuery)
    given = dependencies(request)
    read_model = given.read_model
    stats = await read_model.projects.stats(project.id)
    clusters = await read_model.clusters.list(
        project.id,
        status=query.status,
        source=query.source,
        theme_id=query.theme_id,
        words=words(query.q),
        order=query.sort,
        limit=CLUSTERS_PER_PAGE,
        offset=(query.page - 1) * CLUSTERS_PER_PAGE,
        after=query.cursor,
    )
    paging = None  # a list that was not counted to its end, or continues after a cursor, has no page numbers
    if clusters.counted and query.cursor is None:
        paging = Paging(query.page, CLUSTERS_PER_PAGE, clusters.total, query.parameters)
        if query.page > paging.pages:
            raise web.HTTPSeeOther(request.path + paging.address(paging.pages))
    proposals = (await read_model.clustering.proposals(project.id))[:MAX_PROPOSALS]
    themes = await read_model.clustering.themes(project.id)
    largest = await read_model.clusters.list(project.id, limit=1, offset=0)
    await remember_project(request, project.id)
    return await render(
        request,
        "ranking.html",
        {
            "project": project,
            "project_id": project.id,
            "stats": stats,
            "query": query,
            "statuses": get_args(ClusterStatus),
            "orders": ORDER_TEXTS,
            "themes": {theme.id: theme for theme in themes},
            "clusters": clusters.items,
            "next_page": None if clusters.next is None or paging is not None else query.after(clusters.next),
            "largest": max((cluster.size for cluster in largest.items), default=1) or 1,
            "paging": paging,
            "proposals": await _with_titles(read_model.clusters, project.id, proposals),
            "clustering": await read_model.clustering.status(project.id),
            "now": given.clock(),
            "host": request.host,
        },
    )


async def one_cluster(request: web.Request) -> web.StreamResponse:
    """GET /app/projects/{project_id}/clusters/{cluster_id}: a cluster, its items, jobs and history."""
    project = request[ACCESS].project
    cluster_id = path_id(request, "cluster_id")
    page = page_number(request)
    given = dependencies(request)
    read_model = given.read_model
    cluster = await read_model.clusters.get(project.id, cluster_id)
    if cluster is None:
        raise NotFound("There is no such cluster in this project. All its items may have moved to other clusters.")
    if cluster.id != cluster_id:  # the id is an alias
        raise web.HTTPSeeOther(cluster_path(project.id, cluster.id))
    cut: set[str] = set()
    items = await filled(
        lambda limit, after: read_model.feedback.list(
            project.id, cluster_id=cluster_id, limit=limit, offset=(page - 1) * ITEMS_PER_PAGE, after=after
        ),
        ITEMS_PER_PAGE,
        lambda view: _shortened(view, cut),
    )
    paging = Paging(page, ITEMS_PER_PAGE, items.total)
    if page > paging.pages:
        raise web.HTTPSeeOther(f"{request.path}?page={paging.pages}")
    largest = await read_model.clusters.list(project.id, limit=MAX_TARGETS + 1, offset=0)
    await remember_project(request, project.id)
    return await render(
        request,
        "cluster.html",
        {
            "project": project,
            "cluster": cluster,
            "items": items.items,
            "cut": cut,
            "others": [other for other in largest.items if other.id != cluster_id],
            "history": await read_model.clusters.history(project.id, cluster_id),
            "paging": paging,
            "fixes": await fix_panel(request, cluster_id),
            "now": given.clock(),
        },
        script=True,
    )


async def near_clusters(request: web.Request) -> web.StreamResponse:
    """GET /app/projects/{project_id}/clusters/{cluster_id}/near: the clusters that are maybe the same."""
    project = request[ACCESS].project
    cluster_id = path_id(request, "cluster_id")
    cluster, near = await dependencies(request).near.cluster(project.id, cluster_id, elsewhere(request))
    if cluster.id != cluster_id:  # the id is an alias
        raise web.HTTPSeeOther(f"{cluster_path(project.id, cluster.id)}/near")
    await remember_project(request, project.id)
    return await render(request, "near.html", {"project": project, "cluster": cluster, "near": near})


async def one_item(request: web.Request) -> web.StreamResponse:
    """GET /app/projects/{project_id}/items/{item_id}: all that an item says."""
    given, project = dependencies(request), request[ACCESS].project
    view = await known_item(given.read_model.feedback, project.id, path_id(request, "item_id"))
    context = {"project": project, "item": view.item, "cluster_id": view.cluster_id, "now": given.clock()}
    return await render(request, "item.html", context)


def _shortened(view: FeedbackView, cut: set[str]) -> FeedbackView:
    """Return an item as a page shows it; its id is added to `cut` where the text is longer."""
    item = view.item
    body = item.body
    if len(body) > SHOWN_CHARS:
        cut.add(item.id)
        body = body[:SHOWN_CHARS] + CUT
    author, url = item.author and item.author[:AUTHOR_CHARS], item.url and item.url[:URL_CHARS]
    return replace(view, item=replace(item, body=body, author=author, url=url, metadata={}))


async def _with_titles(
    clusters: ClusterReader, project_id: str, proposals: Sequence[Proposal]
) -> Sequence[tuple[Proposal, Sequence[tuple[str, str]]]]:
    """Return proposals with id and title of the clusters that they name, without those that no longer exist."""
    found = await clusters.get_many(project_id, {i for proposal in proposals for i in proposal.cluster_ids})
    titles = {i: (cluster.id, cluster.title) for i, cluster in found.items()}
    return [(proposal, [titles[i] for i in proposal.cluster_ids if i in titles]) for proposal in proposals]
