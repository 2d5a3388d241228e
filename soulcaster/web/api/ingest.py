"""The intake: what is posted here goes to feedback.raw, and is answered once Kafka has it.

A batch is taken whole or not at all: whoever is refused mends what is named and sends the same again, and has not to
find out which items are in already.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from uuid import uuid4

from aiohttp import web

from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.ids import posted_id
from soulcaster.services.posting import Ready, make_ready, post
from soulcaster.web.api.answers import answer
from soulcaster.web.api.models import (
    FeedbackIn,
    FeedbackOrBatchIn,
    IngestBatchOut,
    IngestedOut,
    IngestOut,
    ManualIn,
    PlaceOut,
    RedditOrBatchIn,
)
from soulcaster.web.api.operation import operation
from soulcaster.web.caller import CALLER, Caller
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import PROJECT, Query, Scope, idempotency_key, of_fields
from soulcaster.web.problems import FieldProblem, Problem
from soulcaster.wire.fields import ProjectId

_MANY = 20
"""So many items take long enough to judge (a millisecond) to do it in a thread."""

_Named = Callable[[int, str], str]
"""What a field of the item at a place is called where it was sent; "" stands for all of the item."""


class IngestQuery(Query):
    """Query of /ingest/feedback and /ingest/reddit: the project, where the items do not name it."""

    project_id: ProjectId | None = None


@operation("POST", "/ingest/manual", {202: IngestOut}, scope="ingest", keyed=True)
async def manual(request: web.Request, query: Scope, body: ManualIn) -> web.StreamResponse:
    """Take what somebody typed; without a title, its first line becomes one as it is normalized."""
    item = FeedbackIn(source="manual", title=body.title, body=body.text, github_repo_url=body.github_repo_url)
    [taken] = await _take(request, query.project_id, [item], lambda _, field: "text" if field == "body" else field)
    return answer(IngestOut(id=taken.id, project_id=taken.project_id), status=202)


@operation("POST", "/ingest/feedback", {202: IngestedOut}, scope="ingest", keyed=True)
async def generic(request: web.Request, query: IngestQuery, body: FeedbackOrBatchIn) -> web.StreamResponse:
    """Take one item of any source, or a batch; the project is in the query, or else in each item."""
    return await _one_or_batch(request, query, body)


@operation("POST", "/ingest/reddit", {202: IngestedOut}, scope="ingest", keyed=True)
async def reddit(request: web.Request, query: IngestQuery, body: RedditOrBatchIn) -> web.StreamResponse:
    """Take one item, or a batch, as /ingest/feedback does; what names no source is from Reddit."""
    return await _one_or_batch(request, query, body)


async def _one_or_batch(
    request: web.Request, query: IngestQuery, body: FeedbackOrBatchIn | RedditOrBatchIn
) -> web.StreamResponse:
    sent = body.root
    if isinstance(sent, FeedbackIn):
        [taken] = await _take(request, query.project_id, [sent], lambda _, field: field or "body")
        return answer(IngestOut(id=taken.id, project_id=taken.project_id), status=202)
    items = await _take(request, query.project_id, sent.items, _in_batch)
    return answer(
        IngestBatchOut(items=[PlaceOut(id=item.id, project_id=item.project_id) for item in items]), status=202
    )


def _in_batch(index: int, field: str) -> str:
    return f"items.{index}.{field}" if field else f"items.{index}"


async def _take(
    request: web.Request, project_id: str | None, items: Sequence[FeedbackIn], named: _Named
) -> Sequence[FeedbackItem]:
    """Publish all items, and return them once Kafka has them.

    Raises:
        NotFound: an item names another project than the key's.
        Problem: 400 when one names none, 422 when one cannot be an item; none is published.
        Unavailable: Kafka does not answer.
    """
    given = dependencies(request)
    judge = partial(_judge, items, project_id, request[CALLER], idempotency_key(request), given.clock(), named)
    ready = await asyncio.to_thread(judge) if len(items) >= _MANY else judge()
    await post(given.publisher, ready)
    return [one.item for one in ready]


def _judge(
    items: Sequence[FeedbackIn], project_id: str | None, caller: Caller, key: str | None, at: datetime, named: _Named
) -> Sequence[Ready]:
    values = []
    for index, item in enumerate(items):
        caller.project(item.project_id)
        project = project_id or item.project_id
        if project is None:
            fault = FieldProblem(field=named(index, PROJECT), message="Field required")
            raise Problem(400, "project_id is required", errors=[fault])
        external_id = item.external_id or item.id or (posted_id(project, key, index) if key else str(uuid4()))
        values.append(item.to_raw(project, external_id).model_dump_json().encode())
    ready, refused = make_ready(values, at)
    faults = [
        FieldProblem(field=named(one.index or 0, field), message=message)
        for one in refused
        for field, message in one.faults
    ]
    if faults:
        raise of_fields(faults)
    return ready
