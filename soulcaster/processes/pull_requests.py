"""What follows pull requests, composed from the settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from soulcaster.adapters.github.code_hosts import GitHubCodeHosts
from soulcaster.adapters.redis.rate_limits import RedisRateLimits
from soulcaster.ports.code_host import CodeHosts
from soulcaster.ports.installation_tokens import InstallationTokens
from soulcaster.ports.messaging import Publisher
from soulcaster.ports.read_model import ReadModel
from soulcaster.processes.clock import utc_now
from soulcaster.processes.github_app import github_app
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import JobsSettings, LauncherSettings
from soulcaster.services.cluster_commands import ClusterCommands
from soulcaster.services.pull_request_poll import PullRequestPoll
from soulcaster.services.pull_requests import PullRequests
from soulcaster.services.shipping import Shipping


def code_hosts(settings: JobsSettings, app: InstallationTokens | None) -> CodeHosts:
    """Return GitHub with the server's own credential; `app` is None where there is no GitHub App."""
    return GitHubCodeHosts(settings.github_api_url, utc_now, token=settings.github_token, app=app)


@asynccontextmanager
async def open_poll(
    settings: LauncherSettings, publisher: Publisher, read_model: ReadModel
) -> AsyncIterator[PullRequestPoll]:
    """Give the poll of pull requests."""
    hosts = code_hosts(settings, github_app(settings))
    configs, commands = read_model.project_config, ClusterCommands(publisher, read_model.commands)
    limits = RedisRateLimits(
        redis_access(settings), per_key=0, per_project=0, megabytes=0, items=0, clock=utc_now
    )  # it takes no requests
    try:
        yield PullRequestPoll(
            read_model.jobs,
            PullRequests(publisher, read_model.jobs, configs, commands, hosts, utc_now),
            Shipping(read_model.feedback, configs, hosts),
            limits,
            seconds=settings.pull_request_poll_seconds,
        )
    finally:
        await limits.close()
