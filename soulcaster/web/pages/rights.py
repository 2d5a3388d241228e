"""Who may what on the pages of a project: looked up for each request, so that who is removed is out at once."""

from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp_session import get_session

from soulcaster.domain.api_keys import KeyScope
from soulcaster.domain.members import LOCAL_OWNER, Role, may
from soulcaster.errors import NotFound
from soulcaster.ports.projects import Project
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import path_id
from soulcaster.web.problems import Problem

USER = "user"
"""Under which name a session holds who is signed in: a user's id, or `LOCAL_OWNER`."""


@dataclass(frozen=True, slots=True)
class Access:
    """A project, and what who is signed in is in it."""

    project: Project
    user: str
    role: Role

    def may(self, scope: KeyScope) -> bool:
        """Return whether they may do this here."""
        return may(self.role, scope)


ACCESS = web.RequestKey("access", Access)


def to(scope: KeyScope, handler: Handler) -> Handler:
    """Return the handler for those who may do this in the project of its path; it finds them under `ACCESS`.

    For who is no member, the project is not there (404); who may not do this is told so (403).
    """

    async def checked(request: web.Request) -> web.StreamResponse:
        request[ACCESS] = access = await _access(request)
        if not access.may(scope):
            raise Problem(403, f"You are a {access.role} of this project, and may not do that. Ask an owner of it.")
        return await handler(request)

    return checked


async def _access(request: web.Request) -> Access:
    project_id = path_id(request, "project_id")
    user = str((await get_session(request))[USER])
    read_model = dependencies(request).read_model
    project = await read_model.projects.get(project_id)
    member = None if user == LOCAL_OWNER else await read_model.members.get(project_id, user)
    if project is None or (member is None and user != LOCAL_OWNER):
        raise NotFound("There is no such project here.")
    return Access(project, user, "owner" if member is None else member.role)
