"""The members of a project, for its owners."""

from collections.abc import Awaitable
from typing import Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel

from soulcaster.domain.members import ROLES, Membership, Role
from soulcaster.errors import Conflict
from soulcaster.services.members import invite, remove_member, set_member
from soulcaster.services.waiting import until
from soulcaster.web.bodies import read_form
from soulcaster.web.dependencies import dependencies
from soulcaster.web.pages.rights import ACCESS
from soulcaster.web.pages.session import leave_notice, render
from soulcaster.web.parameters import path_id
from soulcaster.wire.fields import Email, GitHubLogin

T = TypeVar("T")

SHOWN_SECONDS = 2.0
"""How long a page waits for what was changed, so that it can show it."""


class AddForm(BaseModel):
    """Somebody's e-mail address or GitHub login, and what they are to be."""

    who: Email | GitHubLogin
    role: Role


class RoleForm(BaseModel):
    """What a member is to be."""

    role: Role


async def listed(request: web.Request) -> web.StreamResponse:
    """GET /app/projects/{project_id}/members: who they are, and forms to change that."""
    given, access = dependencies(request), request[ACCESS]
    context = {
        "project": access.project,
        "members": await given.read_model.members.list(access.project.id),
        "me": access.user,
        "roles": ROLES,
        "now": given.clock(),
    }
    return await render(request, "members.html", context)


async def add(request: web.Request) -> web.StreamResponse:
    """POST .../members: make somebody a member."""
    form = await read_form(request, AddForm)
    given, project_id = dependencies(request), request[ACCESS].project.id
    kind: Literal["email", "login"] = "email" if "@" in form.who else "login"  # no login has one
    to = (given.publisher, given.read_model, project_id)
    member, _, _ = await _or_say(request, invite(*to, kind, form.who, form.role, given.clock()))
    await _show(request, member, f"{form.who} is a {form.role} of this project as soon as they sign in by GitHub.")
    raise web.HTTPSeeOther(_path(request))


async def change(request: web.Request) -> web.StreamResponse:
    """POST .../members/{user_id}/role: give a member another role."""
    form = await read_form(request, RoleForm)
    given, user_id = dependencies(request), await _member(request)
    to = (given.publisher, given.read_model, request[ACCESS].project.id)
    member, _ = await _or_say(request, set_member(*to, user_id, form.role, given.clock()))
    await _show(request, member, "Changed.")
    raise web.HTTPSeeOther(_next(request, user_id))


async def remove(request: web.Request) -> web.StreamResponse:
    """POST .../members/{user_id}/remove: remove a member."""
    given, user_id = dependencies(request), await _member(request)
    to = (given.publisher, given.read_model, request[ACCESS].project.id)
    await _show(request, await _or_say(request, remove_member(*to, user_id, given.clock())), "Removed.")
    raise web.HTTPSeeOther(_next(request, user_id))


async def _member(request: web.Request) -> str:
    """Return the id of the member in the path.

    Raises:
        HTTPSeeOther: they are none, or not any more; the page says so.
    """
    user_id = path_id(request, "user_id")
    if await dependencies(request).read_model.members.get(request[ACCESS].project.id, user_id) is None:
        await leave_notice(request, "They are no member of this project any more.")
        raise web.HTTPSeeOther(_path(request))
    return user_id


async def _or_say(request: web.Request, work: Awaitable[T]) -> T:
    """Return what the work returns.

    Raises:
        HTTPSeeOther: it does not go with what there is; the page says why.
    """
    try:
        return await work
    except Conflict as error:
        await leave_notice(request, str(error))
        raise web.HTTPSeeOther(_path(request)) from error


async def _show(request: web.Request, asked: Membership, notice: str) -> None:
    """Wait for a change to be known, and tell of it."""
    read_model = dependencies(request).read_model
    expected = asked if asked.removed_at is None else None
    found = await until(
        lambda: read_model.members.get(asked.project_id, asked.user_id),
        lambda member: member == expected,
        seconds=SHOWN_SECONDS,
    )
    await leave_notice(request, notice if found == expected else "Requested. Reload the page in a moment to see it.")


def _path(request: web.Request) -> str:
    return f"/app/projects/{request[ACCESS].project.id}/members"


def _next(request: web.Request, user_id: str) -> str:
    """Return where to go: who changed themselves may be no owner any more."""
    return "/app/projects" if user_id == request[ACCESS].user else _path(request)
