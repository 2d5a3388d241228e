"""`soulcaster sources`: how a project's sources stand, from the command line."""

from collections.abc import Mapping

from soulcaster.processes.settings import Settings
from soulcaster.services.projects import known_project
from soulcaster.services.sources import Standing, sources_of
from soulcaster.services.transfer import reading


async def sources_command(settings: Settings, project: str) -> tuple[Standing, ...]:
    """Return how the sources of a project, named or by its id, stand.

    Raises:
        NotFound: there is no such project.
        Unavailable: Redis does not answer.
    """
    async with reading(settings) as read_model:
        found = await known_project(read_model, project)
        return (await sources_of(read_model, found.id)).all()


def shown(one: Standing) -> Mapping[str, object]:
    """Return a source as the command line shows it in JSON."""
    report = one.state.report
    return {
        "source": one.state.source,
        "enabled": one.enabled,
        "connected": one.connected,
        "last_received_at": one.state.last_received_at,
        "status": report and report.status,
        "polled_at": report and report.polled_at,
        "last_error": report and report.last_error,
        "last_error_at": report and report.last_error_at,
        "to_do": one.to_do,
    }
