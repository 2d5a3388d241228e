"""Reading items and a project's figures; changing and deleting an item."""

from dataclasses import replace

from aiohttp import web
from pydantic import ValidationError

from soulcaster.domain.feedback.items import Deleted, github_repo
from soulcaster.domain.text.normalize import title_and_body
from soulcaster.errors import NotFound
from soulcaster.ports.feedback import FeedbackView
from soulcaster.ports.messaging import Outgoing
from soulcaster.services.posting import make_ready, post
from soulcaster.web.api.answers import answer
from soulcaster.web.api.commands import CommandQuery, answered, own_id
from soulcaster.web.api.models import AskedOut, EditedOut, EditIn, FeedbackListOut, FeedbackOut, StatsOut
from soulcaster.web.api.operation import operation
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import Id, PageQuery, Repo, Scope, Words, words
from soulcaster.web.problems import Problem, field_problem
from soulcaster.wire.feedback import ItemsEnvelope, RawFeedback
from soulcaster.wire.fields import Source, Time
from soulcaster.wire.topics import FEEDBACK_ITEMS


class FeedbackQuery(PageQuery):
    """Query of GET /feedback."""

    source: Source | None = None
    repo: Repo | None = None
    cluster_id: Id | None = None
    q: Words | None = None
    since: Time | None = None


@operation("GET", "/feedback", {200: FeedbackListOut}, scope="read")
async def search(request: web.Request, query: FeedbackQuery) -> web.StreamResponse:
    """List items, newest first: of a source, repository or cluster, with words, not older than a time where asked."""
    page = await dependencies(request).read_model.feedback.list(
        query.project_id,
        source=query.source,
        cluster_id=query.cluster_id,
        repo=_repo(query.repo),
        words=words(query.q),
        since=query.since,
        limit=query.limit,
        offset=query.offset,
        after=query.cursor,
    )
    return answer(
        FeedbackListOut(
            items=[FeedbackOut.of(view) for view in page.items],
            total=page.total if page.counted else None,
            limit=query.limit,
            offset=query.offset,
            next_cursor=page.next,
            project_id=query.project_id,
        )
    )


def _repo(given: str | None) -> str | None:
    """Return "owner/name".

    Raises:
        Problem: 422 when it is no repository.
    """
    repo = github_repo(given)
    if given is not None and repo is None:
        raise field_problem("repo", "Give owner/name, or its address at GitHub.")
    return repo


@operation("GET", "/feedback/{item_id}", {200: FeedbackOut}, scope="read")
async def one(request: web.Request, query: Scope, item_id: str) -> web.StreamResponse:
    """Show one item; 404 when this project has none of that id."""
    return answer(FeedbackOut.of(await _known(request, query.project_id, item_id)))


@operation("PUT", "/feedback/{item_id}", {202: EditedOut, 200: EditedOut}, scope="write")
async def edit(request: web.Request, query: Scope, body: EditIn, item_id: str) -> web.StreamResponse:
    """Change an item: what is sent is its newest version, as if its source had sent it; 200 where nothing changes."""
    view = await _known(request, query.project_id, item_id)
    changed = body.changed(view.item)
    if changed is None:
        return answer(EditedOut(id=item_id, project_id=query.project_id, item=FeedbackOut.of(view)))
    given = dependencies(request)
    if view.item.updated_at is not None:  # what its source said before now is late
        changed["updated_at"] = given.clock()
    if not title_and_body(changed["title"], changed["body"])[1]:
        raise field_problem("body", "there is nothing to read in it")
    try:
        raw = RawFeedback(**changed)
    except ValidationError as error:
        raise field_problem("metadata", error.errors(include_url=False, include_input=False)[0]["msg"]) from error
    ready, refused = make_ready([raw.model_dump_json().encode()], given.clock())
    if refused:
        raise Problem(422, refused[0].reason)
    await post(given.publisher, ready)
    item = ready[0].item
    newest = FeedbackOut.of(replace(view, item=item))
    return answer(EditedOut(id=item.id, project_id=query.project_id, item=newest), status=202)


@operation("DELETE", "/feedback/{item_id}", {202: AskedOut, 200: AskedOut}, scope="write", problems=(409,), keyed=True)
async def delete(request: web.Request, query: CommandQuery, item_id: str) -> web.StreamResponse:
    """Delete an item for good: whatever its source sends of it later, it does not come back."""
    given = dependencies(request)
    command_id = own_id(request, query.project_id)
    view = await given.read_model.feedback.get(query.project_id, item_id)
    if view is None and await given.read_model.commands.get(query.project_id, command_id) is None:
        raise NotFound("Feedback item not found")
    if view is not None:  # or else it is gone already, and the same request has come again
        gone = ItemsEnvelope(
            project_id=query.project_id, items=(), deleted=(Deleted(item_id, given.clock(), command_id),)
        )
        await given.publisher.publish([Outgoing(FEEDBACK_ITEMS.name, query.project_id.encode(), gone.to_bytes())])
    cluster_id = None if view is None else view.cluster_id
    return await answered(request, query, command_id, "Deletion asked for", cluster_id=cluster_id)


@operation("GET", "/stats", {200: StatsOut}, scope="read")
async def stats(request: web.Request, query: Scope) -> web.StreamResponse:
    """Show a project in figures; zeros for a project nothing is known of."""
    return answer(
        StatsOut.of(query.project_id, await dependencies(request).read_model.projects.stats(query.project_id))
    )


async def _known(request: web.Request, project_id: str, item_id: str) -> FeedbackView:
    """Return an item.

    Raises:
        NotFound: this project has none of that id.
        Unavailable: Redis does not answer.
    """
    view = await dependencies(request).read_model.feedback.get(project_id, item_id)
    if view is None:
        raise NotFound("Feedback item not found")
    return view
