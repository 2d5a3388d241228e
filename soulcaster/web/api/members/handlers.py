"""The members of a project; soulcaster/domain/members.py says what they are."""

from aiohttp import web

from soulcaster.errors import NotFound
from soulcaster.ports.members import MemberView
from soulcaster.services import members
from soulcaster.web.api.members.models import MemberIn, MemberOut
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_list, json_response
from soulcaster.web.caller import CALLER
from soulcaster.web.dependencies import dependencies


@operation("GET", "/projects/{project_id}/members", {200: (MemberOut,)}, scope="admin")
async def list_members(request: web.Request, project_id: str) -> web.StreamResponse:
    """List a project's members, the earliest first."""
    await _check_project(request, project_id)
    views = await dependencies(request).read_model.members.list(project_id)
    return json_list([MemberOut.of(view) for view in views], total=len(views))


@operation("POST", "/projects/{project_id}/members", {200: MemberOut, 201: MemberOut}, scope="admin", problems=(409,))
async def set_member(request: web.Request, project_id: str, body: MemberIn) -> web.StreamResponse:
    """Invite somebody by e-mail address or GitHub login, or change the role of a member."""
    given = dependencies(request)
    await _check_project(request, project_id)
    to = (given.publisher, given.read_model, project_id)
    if body.user_id is not None:
        if request[CALLER].project_id and await given.read_model.members.get(project_id, body.user_id) is None:
            raise NotFound("There is no member of that id in this project")
        member, created = await members.set_member(*to, body.user_id, body.role, given.clock())
        user = await given.read_model.members.user(body.user_id)
    elif body.email is not None:
        member, user, created = await members.invite(*to, "email", body.email, body.role, given.clock())
    else:
        member, user, created = await members.invite(*to, "login", body.github_login or "", body.role, given.clock())
    return json_response(MemberOut.of(MemberView(member, user)), status=201 if created else 200)


@operation("DELETE", "/projects/{project_id}/members/{user_id}", {202: MemberOut}, scope="admin", problems=(409,))
async def remove_member(request: web.Request, project_id: str, user_id: str) -> web.StreamResponse:
    """Remove a member: 202 once Kafka has it; they lose access to the project a moment later."""
    given = dependencies(request)
    await _check_project(request, project_id)
    member = await members.remove_member(given.publisher, given.read_model, project_id, user_id, given.clock())
    return json_response(MemberOut.of(MemberView(member, await given.read_model.members.user(user_id))), status=202)


async def _check_project(request: web.Request, project_id: str) -> None:
    """Raise unless the project exists.

    Raises:
        NotFound: there is no project with that id.
        Unavailable: Redis does not answer.
    """
    if await dependencies(request).read_model.projects.get(project_id) is None:
        raise NotFound("There is no such project here")
