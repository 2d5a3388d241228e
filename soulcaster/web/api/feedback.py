"""Reading items and a project's figures."""

from aiohttp import web

from soulcaster.domain.feedback import github_repo
from soulcaster.errors import NotFound
from soulcaster.messages import Source, Time
from soulcaster.web.api.answers import answer
from soulcaster.web.api.models import FeedbackListOut, FeedbackOut, StatsOut
from soulcaster.web.api.operation import operation
from soulcaster.web.parameters import Id, Repo, Scope, Window, Words, words
from soulcaster.web.problems import field_problem
from soulcaster.web.services import services


class FeedbackQuery(Window):
    """Query of GET /feedback."""

    source: Source | None = None
    repo: Repo | None = None
    cluster_id: Id | None = None
    q: Words | None = None
    since: Time | None = None


@operation("GET", "/feedback", {200: FeedbackListOut}, scope="read")
async def search(request: web.Request, query: FeedbackQuery) -> web.StreamResponse:
    """List items, newest first: of a source, repository or cluster, with words, not older than a time where asked."""
    page = await services(request).read_model.feedback(
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
    view = await services(request).read_model.feedback_item(query.project_id, item_id)
    if view is None:
        raise NotFound("Feedback item not found")
    return answer(FeedbackOut.of(view))


@operation("GET", "/stats", {200: StatsOut}, scope="read")
async def stats(request: web.Request, query: Scope) -> web.StreamResponse:
    """Show a project in figures; zeros for a project nothing is known of."""
    return answer(StatsOut.of(query.project_id, await services(request).read_model.stats(query.project_id)))
