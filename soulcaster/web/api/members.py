"""Users, projects and members; soulcaster/domain/people.py says what they are."""

from aiohttp import web

from soulcaster.errors import Conflict, NotFound
from soulcaster.ports.members import MemberView
from soulcaster.services.members import invite, make_project, make_user, remove_member, set_member
from soulcaster.web.api.answers import answer, answer_list
from soulcaster.web.api.models import (
    MadeProjectOut,
    MadeUserOut,
    MemberIn,
    MemberOut,
    ProjectIn,
    ProjectOut,
    ProjectsOut,
    UserIn,
    UserOut,
)
from soulcaster.web.api.operation import operation
from soulcaster.web.caller import CALLER
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import Id, Query
from soulcaster.web.problems import Problem


class ProjectsQuery(Query):
    """Query of GET /projects."""

    user_id: Id | None = None


@operation("POST", "/users", {200: MadeUserOut, 201: MadeUserOut}, scope="local")
async def make(request: web.Request, body: UserIn) -> web.StreamResponse:
    """Make a user and a project of their own; the same address or GitHub account again is the same user."""
    given = dependencies(request)
    user, project, made = await make_user(
        given.publisher,
        given.read_model,
        email=body.email,
        github_id=body.github_id,
        name=body.name,
        at=given.clock(),
    )
    shown = MadeUserOut(user=UserOut.of(user), default_project=ProjectOut.of(project))
    return answer(shown, status=201 if made else 200)


@operation("GET", "/projects", {200: ProjectsOut}, scope="read")
async def projects(request: web.Request, query: ProjectsQuery) -> web.StreamResponse:
    """List projects by name, those of one user where asked; a key sees its own alone."""
    read_model = dependencies(request).read_model
    user_id, own = query.user_id, request[CALLER].project_id
    found = await (read_model.projects.list() if user_id is None else read_model.projects.of_user(user_id))
    return answer(ProjectsOut(projects=[ProjectOut.of(one) for one in found if own in (None, one.id)]))


@operation("POST", "/projects", {200: MadeProjectOut, 201: MadeProjectOut}, scope="local", problems=(409,))
async def make_one(request: web.Request, body: ProjectIn) -> web.StreamResponse:
    """Make a project for a user, who becomes its owner; 200 with the one there is when it is theirs already."""
    given = dependencies(request)
    try:
        project, made = await make_project(
            given.publisher,
            given.read_model,
            name=body.name,
            user_id=body.user_id,
            project_id=body.project_id,
            at=given.clock(),
        )
    except Conflict as error:
        raise Problem(409, str(error)) from error
    return answer(MadeProjectOut(project=ProjectOut.of(project)), status=201 if made else 200)


@operation("GET", "/projects/{project_id}/members", {200: (MemberOut,)}, scope="admin")
async def members(request: web.Request, project_id: str) -> web.StreamResponse:
    """List a project's members, those of longest standing first."""
    await _known(request, project_id)
    views = await dependencies(request).read_model.members.list(project_id)
    return answer_list([MemberOut.of(view) for view in views], total=len(views))


@operation("POST", "/projects/{project_id}/members", {200: MemberOut, 201: MemberOut}, scope="admin", problems=(409,))
async def put_member(request: web.Request, project_id: str, body: MemberIn) -> web.StreamResponse:
    """Invite somebody by e-mail address or GitHub login, or give a member another role."""
    given = dependencies(request)
    await _known(request, project_id)
    to = (given.publisher, given.read_model, project_id)
    try:
        if body.user_id is not None:
            if request[CALLER].project_id and await given.read_model.members.get(project_id, body.user_id) is None:
                raise NotFound("There is no member of that id in this project")
            member, made = await set_member(*to, body.user_id, body.role, given.clock())
            user = await given.read_model.members.user(body.user_id)
        elif body.email is not None:
            member, user, made = await invite(*to, "email", body.email, body.role, given.clock())
        else:
            member, user, made = await invite(*to, "login", body.github_login or "", body.role, given.clock())
    except Conflict as error:
        raise Problem(409, str(error)) from error
    return answer(MemberOut.of(MemberView(member, user)), status=201 if made else 200)


@operation("DELETE", "/projects/{project_id}/members/{user_id}", {202: MemberOut}, scope="admin", problems=(409,))
async def remove(request: web.Request, project_id: str, user_id: str) -> web.StreamResponse:
    """Remove a member: 202 once Kafka has it; a moment later they see nothing of the project any more."""
    given = dependencies(request)
    await _known(request, project_id)
    try:
        member = await remove_member(given.publisher, given.read_model, project_id, user_id, given.clock())
    except Conflict as error:
        raise Problem(409, str(error)) from error
    return answer(MemberOut.of(MemberView(member, await given.read_model.members.user(user_id))), status=202)


async def _known(request: web.Request, project_id: str) -> None:
    """Raise unless there is a project of that id.

    Raises:
        NotFound: there is none.
        Unavailable: Redis does not answer.
    """
    if await dependencies(request).read_model.projects.get(project_id) is None:
        raise NotFound("There is no such project here")
