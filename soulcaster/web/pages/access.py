"""What the person who is signed in may do in a project; looked up for each request, so a removal acts at once."""

from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp_session import get_session

from soulcaster.domain.api_keys import KeyScope
from soulcaster.domain.members import LOCAL_OWNER, Role, may
from soulcaster.domain.sessions import Session
from soulcaster.errors import NotFound
from soulcaster.ports.projects import Project
from soulcaster.services.stream_rights import Right
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import path_id
from soulcaster.web.problems import Problem
from soulcaster.web.rights import RIGHT
from soulcaster.web.turns import turn_of

SESSION = web.RequestKey("session", Session)
"""The session of the person who is signed in; behind `require_session` every request has one."""

USER = "user"
"""The session's field with the id of the user who is signed in, or `LOCAL_OWNER`."""


@dataclass(frozen=True, slots=True)
class Access:
    """A project, and the role that the person who is signed in has in it."""

    project: Project
    user: str
    role: Role

    def may(self, scope: KeyScope) -> bool:
        """Return whether their role includes this scope."""
        return may(self.role, scope)


ACCESS = web.RequestKey("access", Access)


def requires(scope: KeyScope, handler: Handler) -> Handler:
    """Return the handler for people whose role in the project of its path includes this scope.

    It finds their access in `request[ACCESS]`. For people who are not members the project does not exist (404); members
    without the scope get 403.
    """

    async def checked(request: web.Request) -> web.StreamResponse:
        request[ACCESS] = access = await _access(request)
        if not access.may(scope):
            raise Problem(403, f"Your role in this project is {access.role}, which does not allow this. Ask an owner.")
        request[RIGHT] = _right(request, access, scope)
        async with turn_of(request, access.project.id):
            return await handler(request)

    return checked


def of_person(handler: Handler) -> Handler:
    """Return the handler of a page of all projects of a person, which takes a place of the person and of no project."""

    async def in_turn(request: web.Request) -> web.StreamResponse:
        async with turn_of(request, f"person {(await get_session(request))[USER]}"):
            return await handler(request)

    return in_turn


def _right(request: web.Request, access: Access, scope: KeyScope) -> Right:
    """Return the right of a person that `requires` has checked."""
    given, mine = dependencies(request), request[SESSION]

    async def stands() -> bool:
        if await given.sessions.find(mine.user_id, mine.id) is None:
            return False
        if mine.user_id == LOCAL_OWNER:
            return True
        member = await given.read_model.members.get(access.project.id, mine.user_id)
        return member is not None and may(member.role, scope)

    return Right((mine.id, access.project.id, scope), stands)


async def _access(request: web.Request) -> Access:
    project_id = path_id(request, "project_id")
    user = str((await get_session(request))[USER])
    read_model = dependencies(request).read_model
    project = await read_model.projects.get(project_id)
    member = None if user == LOCAL_OWNER else await read_model.members.get(project_id, user)
    if project is None or (member is None and user != LOCAL_OWNER):
        raise NotFound("There is no such project here.")
    return Access(project, user, "owner" if member is None else member.role)
