"""Exporting a project's items with the clusters they are in."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from soulcaster.ports.read_model import ReadModel
from soulcaster.services.projects import find_project

PAGE_ITEMS = 1000
"""Items that one request to the read model returns."""


@dataclass(frozen=True, slots=True)
class ExportedItem:
    """An item's ids, and its title; `cluster_id` is None until it is clustered."""

    id: str
    external_id: str
    cluster_id: str | None
    title: str


async def export_items(read_model: ReadModel, id_or_name: str) -> AsyncIterator[ExportedItem]:
    """Yield a project's items, newest first: each that exists at the start exactly once.

    A cursor marks where each page ends, so items that arrive meanwhile shift nothing.

    Raises:
        NotFound: there is no such project.
        RedisUnavailable: Redis does not answer.
    """
    project = await find_project(read_model.projects, id_or_name)
    after = None
    while True:
        page = await read_model.feedback.list(
            project.id, source=None, cluster_id=None, limit=PAGE_ITEMS, offset=0, after=after
        )
        for view in page.items:
            yield ExportedItem(view.item.id, view.item.external_id, view.cluster_id, view.item.title)
        after = page.next
        if after is None:
            return
