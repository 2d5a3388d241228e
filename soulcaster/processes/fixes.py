"""What the settings say about fixes, for the processes that order them."""

from soulcaster.domain.fixes.limits import FixLimits
from soulcaster.processes.settings import FixSettings
from soulcaster.services.fixes import FixDefaults


def fix_defaults(settings: FixSettings) -> FixDefaults:
    """Return what holds where neither a request nor a project says otherwise."""
    limits = FixLimits(settings.project_jobs, settings.project_jobs_per_day, settings.project_usd_per_day)
    return FixDefaults(settings.backend_names(), settings.job_seconds, settings.job_usd, limits)
