"""The launch backend `local`, composed from the settings."""

import os
import sys
from pathlib import Path

from soulcaster.launcher.backends.local.backend import Local
from soulcaster.launcher.backends.local.order import Limits
from soulcaster.processes.data_dir import DEFAULT_DATA_DIR
from soulcaster.processes.settings import STACK_FILE, LauncherSettings

COMMAND: tuple[str, ...] = (sys.executable, "-m", "soulcaster", "fix", "run")
"""The program of a job."""


def local_backend(settings: LauncherSettings) -> Local:
    """Return the backend; no program may see a data dir, which holds keys and Kafka's data."""
    jobs = settings.local_jobs_folder
    hidden = [DEFAULT_DATA_DIR]
    if (jobs.absolute().parent / STACK_FILE).exists():
        hidden.append(jobs.parent)
    return Local(
        jobs,
        COMMAND,
        limits=Limits(
            memory_mb=settings.local_memory_mb, output_mb=settings.local_output_mb, disk_mb=settings.local_disk_mb
        ),
        without_isolation=settings.local_without_isolation,
        hidden=hidden,
        tools=[Path(folder) for folder in settings.local_tools.split(os.pathsep) if folder],
    )
