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
from soulcaster.web.caller import count_made
from soulcaster.web.dependencies import dependencies
from soulcaster.web.pages.access import ACCESS
from soulcaster.web.pages.paging import Paging, page_number
from soulcaster.web.pages.session import leave_notice, render
from soulcaster.web.parameters import path_id
from soulcaster.wire.fields import Email, GitHubLogin

T = TypeVar("T")

MEMBERS_PER_PAGE = 100

VISIBLE_SECONDS = 2.0
"""How long a page waits until a change can be read, to show it."""


class AddForm(BaseModel):
    """A new member's e-mail address or GitHub login, and their role."""

    who: Email | GitHubLogin
    role: Role


class RoleForm(BaseModel):
    """A member's new role."""

    role: Role


async def list_members(request: web.Request) -> web.StreamResponse:
    """GET /app/projects/{project_id}/members: the members, and forms to change them."""
    given, access = dependencies(request), request[ACCESS]
    members = await given.read_model.members.list(access.project.id)
    paging = Paging(page_number(request), MEMBERS_PER_PAGE, len(members))
    context = {
        "project": access.project,
        "members": members[paging.first - 1 : paging.last],
        "paging": paging,
        "me": access.user,
        "roles": ROLES,
        "now": given.clock(),
    }
    return await render(request, "members.html", context)


async def add(request: web.Request) -> web.StreamResponse:
    """POST .../members: add a member."""
    form = await read_form(request, AddForm)
    kind: Literal["email", "login"] = "email" if "@" in form.who else "login"  # GitHub logins have no @
    members, project_id = dependencies(request).members, request[ACCESS].project.id
    await count_made(dependencies(request), "members", project_id)
    change = await _or_notice(request, members.invite(project_id, kind, form.who, form.role))
    await _show(request, change, f"{form.who} is a {form.role} of this project as soon as they sign in with GitHub.")
    raise web.HTTPSeeOther(_members_path(request))


async def change_role(request: web.Request) -> web.StreamResponse:
    """POST .../members/{user_id}/role: give a member another role."""
    form = await read_form(request, RoleForm)
    members, user_id = dependencies(request).members, await _member_id(request)
    change = await _or_notice(request, members.set_role(request[ACCESS].project.id, user_id, form.role))
    await _show(request, change, "Role changed.")
    raise web.HTTPSeeOther(_next_path(request, user_id))


async def remove(request: web.Request) -> web.StreamResponse:
    """POST .../members/{user_id}/remove: remove a member."""
    members, user_id = dependencies(request).members, await _member_id(request)
    change = await _or_notice(request, members.remove(request[ACCESS].project.id, user_id))
    await _show(request, change, "Member removed.")
    raise web.HTTPSeeOther(_next_path(request, user_id))


async def _member_id(request: web.Request) -> str:
    """Return the id of the member in the path.

    Raises:
        HTTPSeeOther: there is no such member; the page says so.
    """
    user_id = path_id(request, "user_id")
    if await dependencies(request).read_model.members.get(request[ACCESS].project.id, user_id) is None:
        await leave_notice(request, "This person is no longer a member of this project.")
        raise web.HTTPSeeOther(_members_path(request))
    return user_id


async def _or_notice(request: web.Request, work: Awaitable[T]) -> T:
    """Return what `work` returns.

    Raises:
        HTTPSeeOther: it raised a Conflict; the page says why.
    """
    try:
        return await work
    except Conflict as error:
        await leave_notice(request, str(error))
        raise web.HTTPSeeOther(_members_path(request)) from error


async def _show(request: web.Request, change: MemberChange, notice: str) -> None:
    """Leave a notice of a change, after waiting until it can be read."""
    members = dependencies(request).read_model.members
    member = change.membership
    expected = member if member.removed_at is None else None
    found = await until(
        lambda: members.get(member.project_id, member.user_id),
        lambda known: known == expected,
        seconds=VISIBLE_SECONDS,
    )
    await leave_notice(request, notice if found == expected else "Requested. Reload the page in a moment to see it.")


def _members_path(request: web.Request) -> str:
    return f"/app/projects/{request[ACCESS].project.id}/members"


def _next_path(request: web.Request, user_id: str) -> str:
    """Return where to go next: people who changed themselves may not see this page any more."""
    return "/app/projects" if user_id == request[ACCESS].user else _members_path(request)
