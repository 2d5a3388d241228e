"""The intake: what is posted here goes to feedback.raw, and is answered once Kafka has it."""

from uuid import uuid4

from aiohttp import web

from soulcaster.domain.feedback import FeedbackItem
from soulcaster.domain.normalize import title_and_body
from soulcaster.intake import read
from soulcaster.messages import ProjectId, RawFeedback
from soulcaster.ports import Outgoing, Record
from soulcaster.topics import FEEDBACK_RAW
from soulcaster.web.api.answers import answer
from soulcaster.web.api.models import FeedbackIn, IngestOut, ManualIn
from soulcaster.web.api.operation import operation
from soulcaster.web.caller import CALLER
from soulcaster.web.parameters import Query, Scope
from soulcaster.web.problems import FieldProblem, Problem, field_problem
from soulcaster.web.services import services


class FeedbackInQuery(Query):
    """Query of POST /ingest/feedback: the project, where the body does not name it."""

    project_id: ProjectId | None = None


@operation("POST", "/ingest/manual", {202: IngestOut}, scope="ingest")
async def manual(request: web.Request, query: Scope, body: ManualIn) -> web.StreamResponse:
    """Take what somebody typed; without a title, its first line becomes one as it is normalized."""
    _must_say_something("text", None, body.text)
    raw = RawFeedback(
        project_id=query.project_id, source="manual", title=body.title, body=body.text, external_id=str(uuid4())
    )
    return _taken(await accept(request, raw))


@operation("POST", "/ingest/feedback", {202: IngestOut}, scope="ingest")
async def generic(request: web.Request, query: FeedbackInQuery, body: FeedbackIn) -> web.StreamResponse:
    """Take one item of any source; the project is in the query, or else in the body."""
    request[CALLER].project(body.project_id)
    project_id = query.project_id or body.project_id
    if project_id is None:
        raise Problem(
            400, "project_id is required", errors=[FieldProblem(field="project_id", message="Field required")]
        )
    _must_say_something("body", body.title, body.body)
    return _taken(await accept(request, body.to_raw(project_id, body.external_id or body.id or str(uuid4()))))


async def accept(request: web.Request, raw: RawFeedback) -> FeedbackItem:
    """Publish an item that is known to pass the border behind Kafka, and return it as it will be.

    What is answered 202 is never refused later.

    Raises:
        Problem: 422 when it would not pass.
        Unavailable: Kafka does not answer.
    """
    given = services(request)
    value = raw.model_dump_json().encode()
    received = int(given.clock().timestamp() * 1000)
    accepted, refused = read(Record(FEEDBACK_RAW.name, 0, 0, received, None, value))
    if refused:
        raise Problem(422, refused[0].reason)
    item = accepted[0].item
    # Keyed by the item, so that its versions stay in order while a project's items spread over all partitions.
    await given.publisher.publish([Outgoing(FEEDBACK_RAW.name, item.id.encode(), value)])
    return item


def _taken(item: FeedbackItem) -> web.Response:
    return answer(IngestOut(id=item.id, project_id=item.project_id), status=202)


def _must_say_something(field: str, title: str | None, body: str | None) -> None:
    if not title_and_body(title, body)[1]:
        raise field_problem(field, "there is nothing to read in it")
