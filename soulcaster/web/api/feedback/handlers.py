"""Reading, editing and deleting items."""

from dataclasses import replace
from functools import partial

from aiohttp import web

from soulcaster.domain.feedback.items import FeedbackItem, github_repo
from soulcaster.services.feedback_changes import FeedbackChanges, InvalidEdit
from soulcaster.services.lookup import known_item
from soulcaster.services.posting import PostableItem
from soulcaster.web.api.commands.sending import command_operation, command_response, own_command_id
from soulcaster.web.api.feedback.models import (
    FeedbackEditIn,
    FeedbackEditOut,
    FeedbackListOut,
    FeedbackOut,
    FeedbackQuery,
    NearItemsOut,
)
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_response, shown
from soulcaster.web.bodies import body_bytes
from soulcaster.web.caller import count_items
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import ProjectQuery, WaitQuery, words
from soulcaster.web.problems import Problem, field_problem
from soulcaster.web.turns import away_in_turn, elsewhere


@operation("GET", "/feedback", {200: FeedbackListOut}, scope="read")
async def list_feedback(request: web.Request, query: FeedbackQuery) -> web.StreamResponse:
    """List items, newest first; optionally of one source, repository or cluster, with words, or since a time."""
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
    page, items = await shown(page, FeedbackOut.in_list)
    return json_response(
        FeedbackListOut(
            items=items,
            total=page.total if page.counted else None,
            limit=query.limit,
            offset=query.offset,
            next_cursor=page.next,
            project_id=query.project_id,
        )
    )


def _repo(given: str | None) -> str | None:
    """Return a repository as "owner/name".

    Raises:
        Problem: 422 when it is not a repository.
    """
    repo = github_repo(given)
    if given is not None and repo is None:
        raise field_problem("repo", "Give owner/name, or its address at GitHub.")
    return repo


@operation("GET", "/feedback/{item_id}", {200: FeedbackOut}, scope="read")
async def get_feedback(request: web.Request, query: ProjectQuery, item_id: str) -> web.StreamResponse:
    """Get an item; 404 when the project has no such item."""
    feedback = dependencies(request).read_model.feedback
    return json_response(FeedbackOut.of(await known_item(feedback, query.project_id, item_id)))


@operation("PUT", "/feedback/{item_id}", {202: FeedbackEditOut, 200: FeedbackEditOut}, scope="write")
async def edit_feedback(
    request: web.Request, query: ProjectQuery, body: FeedbackEditIn, item_id: str
) -> web.StreamResponse:
    """Edit an item: the edit is its newest version, as if its source had sent it; 200 when nothing changes."""
    given = dependencies(request)
    view = await known_item(given.read_model.feedback, query.project_id, item_id)
    size = body_bytes(request) + len(view.item.body) + len(str(view.item.metadata))
    edited = await away_in_turn(request, size, partial(_edited, given.feedback_changes, view.item, body))
    if edited is None:
        return json_response(FeedbackEditOut(id=item_id, project_id=query.project_id, item=FeedbackOut.of(view)))
    await count_items(request, 1)
    await given.storage_limit.check(query.project_id)
    await given.feedback_changes.post(edited)
    newest = FeedbackOut.of(replace(view, item=edited.item))
    return json_response(FeedbackEditOut(id=item_id, project_id=query.project_id, item=newest), status=202)


@operation("GET", "/feedback/{item_id}/near", {200: NearItemsOut}, scope="read")
async def get_near_items(request: web.Request, query: ProjectQuery, item_id: str) -> web.StreamResponse:
    """Get the items that are near an item, with how near by meaning and by words; 503 when no worker answers."""
    found = await dependencies(request).near.item(query.project_id, item_id, elsewhere(request))
    return json_response(NearItemsOut.of(found))


def _edited(changes: FeedbackChanges, item: FeedbackItem, body: FeedbackEditIn) -> PostableItem | None:
    """Return the edited item, None when nothing changes.

    Raises:
        Problem: 422 when the edit is not an item.
    """
    changed = body.changed(item)
    try:
        return None if changed is None else changes.edited(item, changed)
    except InvalidEdit as error:
        problem = Problem(422, error.reason) if error.field is None else field_problem(error.field, error.reason)
        raise problem from error


@command_operation("DELETE", "/feedback/{item_id}")
async def delete_feedback(request: web.Request, query: WaitQuery, item_id: str) -> web.StreamResponse:
    """Delete an item permanently: it does not come back when its source sends it again."""
    command_id = own_command_id(request, query.project_id)
    view = await dependencies(request).feedback_changes.delete(query.project_id, item_id, command_id=command_id)
    cluster_id = None if view is None else view.cluster_id
    return await command_response(request, query, command_id, "Deletion asked for", cluster_id=cluster_id)
