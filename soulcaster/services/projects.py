"""Projects: finding them by id or name, and creating them."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from soulcaster.domain.ids import default_project_id_for, project_id_for, users_project_id_for
from soulcaster.domain.members import DEFAULT_PROJECT, Membership
from soulcaster.errors import BadInput, Conflict, NotFound
from soulcaster.ports.clock import Clock
from soulcaster.ports.members import MemberReader
from soulcaster.ports.messaging import Publisher
from soulcaster.ports.projects import Project, ProjectClaim, ProjectReader
from soulcaster.services.control import control_record, member_record, project_record
from soulcaster.wire.control import ProjectDefined
from soulcaster.wire.fields import MAX_PROJECT_NAME, ProjectName

SOMEBODY_ELSES = "The project {} already exists and belongs to somebody else"

_NAME: TypeAdapter[str] = TypeAdapter(ProjectName)

NAMES_SHOWN = 20
"""Names of projects that an error message lists."""


async def find_project(projects: ProjectReader, id_or_name: str) -> Project:
    """Return the project of this id or name.

    Raises:
        NotFound: there is no such project; the message names those that exist.
        Unavailable: Redis does not answer.
    """
    project = await projects.find(id_or_name)
    if project is None:
        names = ", ".join(repr(one.name) for one in (await projects.list())[:NAMES_SHOWN]) or "none yet"
        raise NotFound(f"There is no project {id_or_name!r}; there are: {names}.")
    return project


async def find_or_create_project(
    publisher: Publisher, projects: ProjectReader, id_or_name: str, *, at: datetime
) -> Project:
    """Return the project of this id or name, or else publish a new one of this name.

    A UUID becomes the id of the new project; otherwise its id follows from its name.

    Raises:
        BadInput: nothing in the name can be read, or it is too long.
        Unavailable: Kafka or Redis does not answer.
    """
    known = await projects.find(id_or_name)
    if known is not None:
        return known
    try:
        name = _NAME.validate_python(id_or_name)
    except ValidationError as error:
        raise BadInput(
            f"A project's name has 1 to {MAX_PROJECT_NAME} characters that can be read; {id_or_name[:40]!r} does not."
        ) from error
    known = await projects.find(name)
    if known is not None:
        return known
    new = ProjectDefined(id=_uuid(name) or project_id_for(name), name=name, created_at=at)
    await publisher.publish([control_record(new)])
    return Project(new.id, new.name, new.created_at)


def _uuid(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None


class Projects:
    """Creates projects for users, who become their owners."""

    def __init__(self, publisher: Publisher, projects: ProjectReader, members: MemberReader, clock: Clock) -> None:
        self._publisher = publisher
        self._projects = projects
        self._members = members
        self._clock = clock

    async def create(self, *, name: str, user_id: str, project_id: str | None) -> tuple[Project, bool]:
        """Return a project that the user owns, and whether it or the ownership is new.

        Its id is the given one, or follows from user and name, so that creating it twice creates one project: the
        first one, also where the second request comes before the first one's project can be read.

        Raises:
            Conflict: the project belongs to other owners.
            Unavailable: Kafka or Redis does not answer.
        """
        wanted_id = project_id or users_project_id_for(user_id, name)
        known = await self._projects.get(wanted_id)
        members = [view.membership for view in await self._members.list(wanted_id)]
        owners = {member.user_id for member in members if member.role == "owner"}
        if known is not None and user_id in owners:
            return known, False
        if owners:
            raise Conflict(SOMEBODY_ELSES.format(wanted_id))
        now = self._clock()
        if known is not None and known.created_at is not None:
            project = replace(known, created_by=known.created_by or user_id)
        else:
            project = Project(wanted_id, name, now, user_id)
        # The read model does not have a project that was created a moment ago, but its claim.
        holding = await self._projects.claim(ProjectClaim(project, user_id))
        if holding.user_id != user_id:
            raise Conflict(SOMEBODY_ELSES.format(wanted_id))
        ownership = Membership(project.id, user_id, "owner", now)
        await self._publisher.publish([project_record(holding.project), member_record(ownership)])
        return holding.project, holding.project is project


def default_project(user_id: str, at: datetime) -> tuple[Project, Membership]:
    """Return the project that a new user gets, and its ownership."""
    project = Project(default_project_id_for(user_id), DEFAULT_PROJECT, at, user_id)
    return project, Membership(project.id, user_id, "owner", at)
