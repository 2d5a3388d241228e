"""The members of a project; soulcaster/domain/members.py says what they are."""

from aiohttp import web

from soulcaster.errors import NotFound
from soulcaster.ports.members import MemberView
from soulcaster.services.lookup import known_project
from soulcaster.web.api.members.models import MemberIn, MemberOut
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_list, json_response
from soulcaster.web.caller import CALLER, count_made
from soulcaster.web.dependencies import dependencies
from soulcaster.web.listing import EntriesQuery, entries_page, time_place


@operation("GET", "/projects/{project_id}/members", {200: (MemberOut,)}, scope="admin")
async def list_members(request: web.Request, query: EntriesQuery, project_id: str) -> web.StreamResponse:
    """List a project's members, the earliest first."""
    read_model = dependencies(request).read_model
    await known_project(read_model.projects, project_id)
    views = await read_model.members.list(project_id)
    page = entries_page(views, lambda view: time_place(view.membership.at, view.membership.user_id), query)
    return await json_list(page, MemberOut.of)


@operation("POST", "/projects/{project_id}/members", {200: MemberOut, 201: MemberOut}, scope="admin", problems=(409,))
async def set_member(request: web.Request, project_id: str, body: MemberIn) -> web.StreamResponse:
    """Invite somebody by e-mail address or GitHub login, or change the role of a member."""
    given = dependencies(request)
    await known_project(given.read_model.projects, project_id)
    await count_made(given, "members", project_id)
    if body.user_id is not None:
        if request[CALLER].project_id and await given.read_model.members.get(project_id, body.user_id) is None:
            raise NotFound("There is no member of that id in this project")
        change = await given.members.set_role(project_id, body.user_id, body.role)
    elif body.email is not None:
        change = await given.members.invite(project_id, "email", body.email, body.role)
    else:
        change = await given.members.invite(project_id, "login", body.github_login or "", body.role)
    out = MemberOut.of(MemberView(change.membership, change.user))
    return json_response(out, status=201 if change.is_new else 200)


@operation("DELETE", "/projects/{project_id}/members/{user_id}", {202: MemberOut}, scope="admin", problems=(409,))
async def remove_member(request: web.Request, project_id: str, user_id: str) -> web.StreamResponse:
    """Remove a member: 202 once Kafka has it; they lose access to the project a moment later."""
    given = dependencies(request)
    await known_project(given.read_model.projects, project_id)
    change = await given.members.remove(project_id, user_id)
    return json_response(MemberOut.of(MemberView(change.membership, change.user)), status=202)
