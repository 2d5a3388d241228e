"""Posting feedback: items go to feedback.raw, and the response comes once Kafka has them.

A batch is accepted as a whole or refused as a whole: after correcting the named items, the client sends the same batch
again and does not have to find out which items were accepted.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from uuid import uuid4

from aiohttp import web

from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.ids import posted_id
from soulcaster.services.posting import PostableItem, read_items
from soulcaster.web.api.ingest.models import (
    FeedbackBatchIn,
    FeedbackIn,
    FeedbackOrBatchIn,
    IngestBatchOut,
    IngestedItemOut,
    IngestOrBatchOut,
    IngestOut,
    IngestQuery,
    ManualIn,
    RedditBatchIn,
    RedditOrBatchIn,
)
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_response
from soulcaster.web.bodies import body_bytes
from soulcaster.web.caller import CALLER, Caller, count_items
from soulcaster.web.dependencies import dependencies
from soulcaster.web.headers import idempotency_key
from soulcaster.web.parameters import PROJECT, ProjectQuery
from soulcaster.web.problems import FieldProblem, Problem, invalid_fields
from soulcaster.web.turns import away_in_turn

_FieldName = Callable[[int, str], str]
"""Returns what a field of the item at an index is called in the body; "" means the whole item."""


@operation("POST", "/ingest/manual", {202: IngestOut}, scope="ingest", problems=(409,), idempotent=True)
async def ingest_manual(request: web.Request, query: ProjectQuery, body: ManualIn) -> web.StreamResponse:
    """Ingest what somebody typed; without a title, normalization makes its first line the title."""
    item = FeedbackIn(source="manual", title=body.title, body=body.text, github_repo_url=body.github_repo_url)
    [posted] = await _post(request, query.project_id, [item], lambda _, field: "text" if field == "body" else field)
    return json_response(IngestOut(id=posted.id, project_id=posted.project_id), status=202)


@operation("POST", "/ingest/feedback", {202: IngestOrBatchOut}, scope="ingest", problems=(409,), idempotent=True)
async def ingest_feedback(request: web.Request, query: IngestQuery, body: FeedbackOrBatchIn) -> web.StreamResponse:
    """Ingest one item of any source, or a batch; the project is in the query, else in each item."""
    return await _ingest(request, query, body.root)


@operation("POST", "/ingest/reddit", {202: IngestOrBatchOut}, scope="ingest", problems=(409,), idempotent=True)
async def ingest_reddit(request: web.Request, query: IngestQuery, body: RedditOrBatchIn) -> web.StreamResponse:
    """Ingest one item or a batch, as ingest_feedback does; an item without a source is from Reddit."""
    return await _ingest(request, query, body.root)


async def _ingest(
    request: web.Request, query: IngestQuery, body: FeedbackIn | FeedbackBatchIn | RedditBatchIn
) -> web.StreamResponse:
    if isinstance(body, FeedbackIn):
        [posted] = await _post(request, query.project_id, [body], lambda _, field: field or "body")
        return json_response(IngestOut(id=posted.id, project_id=posted.project_id), status=202)
    items = await _post(request, query.project_id, body.items, _in_batch)
    return json_response(
        IngestBatchOut(items=[IngestedItemOut(id=item.id, project_id=item.project_id) for item in items]), status=202
    )


def _in_batch(index: int, field: str) -> str:
    return f"items.{index}.{field}" if field else f"items.{index}"


async def _post(
    request: web.Request, project_id: str | None, items: Sequence[FeedbackIn], field_name: _FieldName
) -> Sequence[FeedbackItem]:
    """Publish all items, and return them once Kafka has them.

    Raises:
        Conflict: a project does not exist and may not be made, or would have too many sources.
        NotFound: an item names a project other than the key's.
        Problem: 400 when an item has no project, 422 when one is invalid, 429 when the project was sent too many;
            nothing is published.
        QuotaExceeded: the project stores as much as it may.
        Unavailable: Kafka does not answer.
    """
    given = dependencies(request)
    prepare = partial(_prepare, items, project_id, request[CALLER], idempotency_key(request), given.clock(), field_name)
    ready = await away_in_turn(request, body_bytes(request), prepare)
    await count_items(request, len(ready))
    named: dict[str, set[str]] = defaultdict(set)
    for one in ready:
        named[one.item.project_id].add(one.item.source)
    await given.project_limit.check(named)
    for project, sources in named.items():
        await given.source_limit.check(project, sources)
        await given.storage_limit.check(project)
    await given.feedback.post(ready)
    return [one.item for one in ready]


def _prepare(
    items: Sequence[FeedbackIn],
    project_id: str | None,
    caller: Caller,
    key: str | None,
    at: datetime,
    field_name: _FieldName,
) -> Sequence[PostableItem]:
    """Return the items ready to be posted; `key` is the Idempotency-Key. Raises what `_post` raises for an item."""
    values = []
    for index, item in enumerate(items):
        caller.project(item.project_id)
        project = project_id or item.project_id
        if project is None:
            fault = FieldProblem(field=field_name(index, PROJECT), message="Field required")
            raise Problem(400, "project_id is required", errors=[fault])
        external_id = item.external_id or item.id or (posted_id(project, key, index) if key else str(uuid4()))
        values.append(item.to_raw(project, external_id).model_dump_json().encode())
    ready, refused = read_items(values, at)
    faults = [
        FieldProblem(field=field_name(one.index or 0, field), message=message)
        for one in refused
        for field, message in one.faults
    ]
    if faults:
        raise invalid_fields(faults, len(faults))
    return ready
