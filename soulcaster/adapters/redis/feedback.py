"""Items in Redis: their values and their reader."""

import json
from collections.abc import Sequence
from datetime import datetime

from pydantic import TypeAdapter

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.aliases import chains, resolve
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.lists import ListRange, narrowed
from soulcaster.adapters.redis.sizes import fitting
from soulcaster.adapters.redis.typed import Commands
from soulcaster.domain.assignment import Assignment
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.ports.feedback import FeedbackView, Versions
from soulcaster.ports.paging import Page
from soulcaster.services.threads import away

VIEWED_AT_ONCE = 25
"""Items that are read and parsed together: more would hold up whoever else is served for tens of milliseconds."""

ITEM: TypeAdapter[FeedbackItem] = TypeAdapter(FeedbackItem)
_ASSIGNMENT: TypeAdapter[Assignment] = TypeAdapter(Assignment)


def assignment_value(assignment: Assignment) -> bytes:
    """Return what is stored of an assignment."""
    return _ASSIGNMENT.dump_json(assignment, exclude_defaults=True)


class RedisFeedback:
    """FeedbackReader over Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def list(
        self,
        project_id: str,
        *,
        source: str | None = None,
        cluster_id: str | None = None,
        repo: str | None = None,
        words: Sequence[str] = (),
        since: datetime | None = None,
        limit: int,
        offset: int,
        after: str | None = None,
    ) -> Page[FeedbackView]:
        """Return one page of items, newest first."""
        part = ListRange(limit, offset, after, float("-inf") if since is None else since.timestamp())
        async with self._connection.commands() as redis:
            lists = []
            if cluster_id is not None:
                lists.append(keys.cluster_items(project_id, await resolve(redis, project_id, cluster_id)))
            if source is not None:
                lists.append(keys.items_of_source(project_id, source))
            if repo is not None:
                lists.append(keys.items_of_repository(project_id, repo))

            async def texts_of(ids: Sequence[str]) -> list[str | None]:
                return await _texts(redis, project_id, ids)

            found = await narrowed(redis, lists or [keys.items_by_time(project_id)], part, words, texts_of)
            if found.ids:
                found = found.first(await fitting(redis, [keys.item(project_id, i) for i in found.ids]))
            views: dict[str, FeedbackView] = {}
            for first in range(0, len(found.ids), VIEWED_AT_ONCE):
                part_of_page = await _views(redis, project_id, found.ids[first : first + VIEWED_AT_ONCE])
                views |= {view.item.id: view for view in part_of_page}
            return found.page(views)

    async def get(self, project_id: str, item_id: str) -> FeedbackView | None:
        """Return one item, or None."""
        async with self._connection.commands() as redis:
            found = await _views(redis, project_id, [item_id])
        return found[0] if found else None

    async def versions(self, project_id: str, item_ids: Sequence[str]) -> Versions:
        """Return which versions of these items are stored, in one round trip."""
        if not item_ids:
            return Versions({}, frozenset())
        async with self._connection.commands() as redis:
            pipe = redis.pipeline()
            texts = pipe.mget([keys.item(project_id, i) for i in item_ids])
            are_deleted = pipe.smismember(keys.deleted_items(project_id), item_ids)
            await pipe.execute()
        deleted = frozenset(i for i, is_deleted in zip(item_ids, are_deleted.value, strict=True) if is_deleted)
        items = [ITEM.validate_json(text) for text in texts.value if text is not None]
        return Versions({item.id: item.updated_at for item in items if item.id not in deleted}, deleted)


async def _texts(redis: Commands, project_id: str, ids: Sequence[str]) -> list[str | None]:
    """Return the text in which words are searched, of the first items; None where it is missing."""
    places = [keys.item(project_id, i) for i in ids]
    found = await redis.mget(places[: await fitting(redis, places)])
    return await away(sum(len(text) for text in found if text is not None), lambda: [*map(_searched, found)])


def _searched(text: str | None) -> str | None:
    if text is None:
        return None
    item = json.loads(text)
    return f"{item['title']}\n{item['body']}"


async def _views(redis: Commands, project_id: str, ids: Sequence[str]) -> tuple[FeedbackView, ...]:
    """Return the items that there are, in the order of their ids."""
    if not ids:
        return ()
    pipe = redis.pipeline()
    texts = pipe.mget([keys.item(project_id, i) for i in ids])
    clusters = pipe.hmget(keys.assigned_clusters(project_id), ids)
    reasons = pipe.hmget(keys.assignments(project_id), ids)
    await pipe.execute()
    chain_of = await chains(redis, project_id, {c for c in clusters.value if c is not None})
    items = {i: ITEM.validate_json(text) for i, text in zip(ids, texts.value, strict=True) if text is not None}
    pipe = redis.pipeline()
    counts = {
        i: pipe.pfcount(keys.occurrences(project_id, i)) for i, item in items.items() if item.occurrence_id is not None
    }
    await pipe.execute()
    return tuple(
        FeedbackView(
            items[i],
            None if cluster is None else chain_of[cluster][-1],
            None if reason is None else _ASSIGNMENT.validate_json(reason),
            counts[i].value if i in counts else 1,
        )
        for i, cluster, reason in zip(ids, clusters.value, reasons.value, strict=True)
        if i in items
    )
