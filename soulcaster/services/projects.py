"""Projects: finding them by id or name, and creating them."""

from datetime import datetime
from uuid import UUID

from pydantic import ValidationError

from soulcaster.domain.ids import project_id_for
from soulcaster.errors import BadInput, NotFound
from soulcaster.ports.messaging import Publisher
from soulcaster.ports.projects import Project
from soulcaster.ports.read_model import ReadModel
from soulcaster.services.control import control_record
from soulcaster.wire.control import ProjectDefined

NAMES_SHOWN = 20
"""Names of projects that an error message lists."""


async def known_project(read_model: ReadModel, id_or_name: str) -> Project:
    """Return the project of this id or name.

    Raises:
        NotFound: there is no such project; the message names those that exist.
        Unavailable: Redis does not answer.
    """
    project = await read_model.projects.find(id_or_name)
    if project is None:
        names = ", ".join(repr(one.name) for one in (await read_model.projects.list())[:NAMES_SHOWN]) or "none yet"
        raise NotFound(f"There is no project {id_or_name!r}; there are: {names}.")
    return project


async def find_or_create_project(
    publisher: Publisher, read_model: ReadModel, id_or_name: str, *, at: datetime
) -> Project:
    """Return the project of this id or name, or else publish a new one of this name.

    A UUID becomes the id of the new project; otherwise its id follows from its name.

    Raises:
        BadInput: the name is empty or too long.
        Unavailable: Kafka or Redis does not answer.
    """
    known = await read_model.projects.find(id_or_name)
    if known is not None:
        return known
    try:
        new = ProjectDefined(id=_uuid(id_or_name) or project_id_for(id_or_name), name=id_or_name, created_at=at)
    except ValidationError as error:
        raise BadInput(f"A project's name has 1 to 200 characters; {id_or_name[:40]!r} does not.") from error
    await publisher.publish([control_record(new)])
    return Project(new.id, new.name, new.created_at)


def _uuid(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None
