"""The members of a project, for its owners."""

from collections.abc import Awaitable
from typing import Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel

from soulcaster.domain.members import ROLES, Role
from soulcaster.errors import Conflict
from soulcaster.services.members import MemberChange
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
    change = await _or_say(request, given.members.invite(project_id, kind, form.who, form.role))
    await _show(request, change, f"{form.who} is a {form.role} of this project as soon as they sign in by GitHub.")
    raise web.HTTPSeeOther(_path(request))


async def change(request: web.Request) -> web.StreamResponse:
    """POST .../members/{user_id}/role: give a member another role."""
    form = await read_form(request, RoleForm)
    given, user_id = dependencies(request), await _member(request)
    change = await _or_say(request, given.members.set_role(request[ACCESS].project.id, user_id, form.role))
    await _show(request, change, "Changed.")
    raise web.HTTPSeeOther(_next(request, user_id))


async def remove(request: web.Request) -> web.StreamResponse:
    """POST .../members/{user_id}/remove: remove a member."""
    given, user_id = dependencies(request), await _member(request)
    change = await _or_say(request, given.members.remove(request[ACCESS].project.id, user_id))
    await _show(request, change, "Removed.")
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


async def _show(request: web.Request, change: MemberChange, notice: str) -> None:
    """Leave a notice of a change, after it can be read."""
    read_model = dependencies(request).read_model
    member = change.membership
    expected = member if member.removed_at is None else None
    found = await until(
        lambda: read_model.members.get(member.project_id, member.user_id),
        lambda known: known == expected,
        seconds=SHOWN_SECONDS,
    )
    await leave_notice(request, notice if found == expected else "Requested. Reload the page in a moment to see it.")


def _path(request: web.Request) -> str:
    return f"/app/projects/{request[ACCESS].project.id}/members"


def _next(request: web.Request, user_id: str) -> str:
    """Return where to go: who changed themselves may be no owner any more."""
    return "/app/projects" if user_id == request[ACCESS].user else _path(request)
