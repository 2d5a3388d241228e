"""`soulcaster sources`: the state of a project's sources."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from soulcaster.cli.options import AsJson, DataDir, ProjectName, complete, settings_of
from soulcaster.cli.output import say_json
from soulcaster.processes.data_dir import DEFAULT_DATA_DIR

if TYPE_CHECKING:
    from soulcaster.processes.settings import Settings
    from soulcaster.services.sources import SourceView


def sources(project: ProjectName, as_json: AsJson = False, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Show for each source of a project whether it is connected, what came and failed last, and what to do.

    `soulcaster sources --project "My app"`
    """
    from soulcaster.terminal import console, table

    found = complete(_sources(settings_of(data_dir), project))
    if as_json:
        say_json([_as_json(one) for one in found])
        return
    listed = table("Source", "Connected", "Last received", "Last error", "What to do")
    for one in found:
        error = one.state.report.last_error if one.state.report else None
        connected = "off" if not one.enabled else "yes" if one.connected else "no"
        received = one.state.last_received_at
        when = "never" if received is None else received.isoformat(" ", "minutes")
        listed.add_row(one.state.source, connected, when, error or "", one.to_do or "nothing")
    console().print(listed)


async def _sources(settings: "Settings", project: str) -> "tuple[SourceView, ...]":
    from soulcaster.processes.connections import open_read_model
    from soulcaster.services.projects import find_project
    from soulcaster.services.sources import read_sources

    async with open_read_model(settings) as read_model:
        found = await find_project(read_model.projects, project)
        return (await read_sources(read_model, found.id)).list()


def _as_json(one: "SourceView") -> Mapping[str, object]:
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
