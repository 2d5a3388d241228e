"""The launch backends that an installation has set up."""

from collections.abc import Mapping

from soulcaster.errors import BadInput
from soulcaster.launcher.backends.dry_run import DryRun
from soulcaster.ports.launch_backend import LaunchBackend
from soulcaster.processes.settings import LauncherSettings
from soulcaster.services.program_reports import ProgramReports

NAMES = ("dry-run", "local", "ecs", "e2b")


def launch_backends(settings: LauncherSettings, reports: ProgramReports) -> Mapping[str, LaunchBackend]:
    """Return the backends that are set up, by name, the default first.

    Raises:
        BadInput: there is no backend of such a name, or it lacks settings.
    """
    return {name: _backend(name, settings, reports) for name in settings.backend_names()}


def _backend(name: str, settings: LauncherSettings, reports: ProgramReports) -> LaunchBackend:
    """Return one of them. The vendors' libraries take seconds to import, so each is imported only when needed."""
    match name:
        case "dry-run":
            return DryRun(reports.report)
        case "local":
            from soulcaster.processes.local import local_backend

            return local_backend(settings)
        case "ecs":
            from soulcaster.processes.ecs import ecs_backend

            return ecs_backend(settings)
        case "e2b":
            from soulcaster.processes.e2b import e2b_backend

            return e2b_backend(settings)
    raise BadInput(f"SOULCASTER_BACKENDS names {name!r}, which is no backend; there are: {', '.join(NAMES)}.")
