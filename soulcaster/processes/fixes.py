"""Ordering fixes, composed from the settings for the processes that do it."""

from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.fixes.limits import FixLimits
from soulcaster.ports.messaging import Publisher
from soulcaster.processes.clock import utc_now
from soulcaster.processes.settings import FixSettings
from soulcaster.services.cluster_commands import ClusterCommands
from soulcaster.services.fixes import FixDefaults, Fixes


def fix_defaults(settings: FixSettings) -> FixDefaults:
    """Return what holds where neither a request nor a project says otherwise."""
    limits = FixLimits(settings.project_jobs, settings.project_jobs_per_day, settings.project_usd_per_day)
    return FixDefaults(settings.backend_names(), settings.job_seconds, settings.job_usd, limits)


def open_fixes(settings: FixSettings, publisher: Publisher, read_model: RedisReadModel) -> Fixes:
    """Return the service that orders fixes, for processes without a web server."""
    commands = ClusterCommands(publisher, read_model.commands)
    return Fixes(
        commands,
        read_model.clusters,
        read_model.jobs,
        read_model.project_config,
        fix_defaults(settings),
        utc_now,
    )
