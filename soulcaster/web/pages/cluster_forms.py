"""The forms on the pages of clusters: each sends a command, waits a moment for its outcome, and shows the page."""

from typing import Annotated, Any
from uuid import uuid4

from aiohttp import web
from pydantic import BaseModel

from soulcaster.domain.commands import (
    MAX_IDS,
    Cleanup,
    Command,
    Merge,
    Move,
    Mute,
    Pin,
    Rebalance,
    Rename,
    Reopen,
    Resolve,
    Split,
    Title,
    Undo,
)
from soulcaster.domain.entries import Entries
from soulcaster.web.bodies import read_form
from soulcaster.web.caller import count_made
from soulcaster.web.dependencies import dependencies
from soulcaster.web.pages.access import ACCESS
from soulcaster.web.pages.addresses import cluster_path
from soulcaster.web.pages.outcomes import outcome_of, refusal
from soulcaster.web.pages.session import leave_notice
from soulcaster.web.parameters import Id, ItemId, path_id


class MergeForm(BaseModel):
    """The other cluster to merge into this one."""

    other: Id


class SelectedItemsForm(BaseModel):
    """The selected items, the title of their new cluster, or the cluster to move them to."""

    item_ids: Annotated[tuple[ItemId, ...], Entries(MAX_IDS)]
    title: Title | None
    into: Id | None


class TitleForm(BaseModel):
    """A title; left empty, the cluster gets an automatic one."""

    title: Title | None


class PinForm(BaseModel):
    """Whether the cluster becomes pinned or unpinned."""

    pinned: bool


class UndoForm(BaseModel):
    """The command to undo."""

    command_id: Id


class ProposalForm(BaseModel):
    """The proposal to apply."""

    proposal_id: Id


async def rename(request: web.Request) -> web.StreamResponse:
    """POST .../rename: give the cluster a title, or its automatic one again."""
    form = await read_form(request, TitleForm)
    return await _change_cluster(request, Rename, title=form.title)


async def pin(request: web.Request) -> web.StreamResponse:
    """POST .../pin: pin or unpin the cluster."""
    form = await read_form(request, PinForm)
    return await _change_cluster(request, Pin, pinned=form.pinned)


async def mute(request: web.Request) -> web.StreamResponse:
    """POST .../mute: mute the cluster."""
    return await _change_cluster(request, Mute)


async def resolve(request: web.Request) -> web.StreamResponse:
    """POST .../resolve: mark the cluster as done."""
    return await _change_cluster(request, Resolve)


async def reopen(request: web.Request) -> web.StreamResponse:
    """POST .../reopen: reopen a muted or resolved cluster."""
    return await _change_cluster(request, Reopen)


async def merge(request: web.Request) -> web.StreamResponse:
    """POST .../merge: merge another cluster into this one."""
    form = await read_form(request, MergeForm)
    return await _change_cluster(request, Merge, cluster_ids=(form.other,))


async def split(request: web.Request) -> web.StreamResponse:
    """POST .../split: make a new cluster of the selected items."""
    form = await read_form(request, SelectedItemsForm)
    if not form.item_ids:
        return await _ask_for_selection(request)
    return await _change_cluster(request, Split, item_ids=form.item_ids, title=form.title)


async def move(request: web.Request) -> web.StreamResponse:
    """POST .../move: move the selected items to another cluster."""
    form = await read_form(request, SelectedItemsForm)
    if not form.item_ids or form.into is None:
        return await _ask_for_selection(request)
    shown = cluster_path(request[ACCESS].project.id, path_id(request, "cluster_id"))
    return await _send(request, Move, shown, cluster_id=form.into, item_ids=form.item_ids)


async def undo(request: web.Request) -> web.StreamResponse:
    """POST .../undo: undo a command."""
    form = await read_form(request, UndoForm)
    return await _change_cluster(request, Undo, command_id=form.command_id)


async def rebalance(request: web.Request) -> web.StreamResponse:
    """POST /app/projects/{project_id}/rebalance: consolidate now."""
    return await _send(request, Rebalance, f"/app/projects/{request[ACCESS].project.id}")


async def cleanup(request: web.Request) -> web.StreamResponse:
    """POST /app/projects/{project_id}/cleanup: apply a proposal."""
    form = await read_form(request, ProposalForm)
    shown = f"/app/projects/{request[ACCESS].project.id}"
    return await _send(request, Cleanup, shown, proposal_ids=(form.proposal_id,))


async def _change_cluster(request: web.Request, kind: type[Command], **fields: Any) -> web.StreamResponse:
    """Send a command on the cluster in the path, and show it again."""
    cluster_id = path_id(request, "cluster_id")
    shown = cluster_path(request[ACCESS].project.id, cluster_id)
    return await _send(request, kind, shown, cluster_id=cluster_id, **fields)


async def _send(request: web.Request, kind: type[Command], shown: str, **fields: Any) -> web.StreamResponse:
    """Send a command, and redirect to the page `shown` with a notice of the outcome."""
    given, access = dependencies(request), request[ACCESS]
    await count_made(given, "commands", access.project.id)
    command_id = str(uuid4())
    command = kind(id=command_id, requested_by=access.user, requested_at=given.clock(), **fields)
    await given.commands.send(access.project.id, command)
    view = await outcome_of(request, command_id)
    if view is None or view.outcome == "waiting":
        await leave_notice(request, "Requested. Reload the page in a moment to see the outcome.")
    else:
        await leave_notice(request, refusal(view) or view.reason or "Done.")
    raise web.HTTPSeeOther(shown)


async def _ask_for_selection(request: web.Request) -> web.StreamResponse:
    await leave_notice(request, "Select the items first, and where to move them.")
    raise web.HTTPSeeOther(cluster_path(request[ACCESS].project.id, path_id(request, "cluster_id")))
