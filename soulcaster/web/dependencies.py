"""What the handlers work with, and under which key the application holds it."""

from dataclasses import dataclass

from aiohttp import web

from soulcaster.ports.clock import Clock
from soulcaster.ports.dead_letters import DeadLetters
from soulcaster.ports.messaging import KeyedPublisher
from soulcaster.ports.rate_limits import RateLimits
from soulcaster.ports.read_model import ReadModel
from soulcaster.ports.readiness import Answering
from soulcaster.ports.sign_in import Entrance, SignIn
from soulcaster.services.cluster_commands import ClusterCommands
from soulcaster.services.dead_letters import DeadLetterReplay
from soulcaster.services.github_sync import GitHubSync
from soulcaster.services.jobs import Jobs
from soulcaster.services.live_updates import LiveUpdates
from soulcaster.services.project_config import ProjectConfigs
from soulcaster.services.webhook_secrets import WebhookSecrets
from soulcaster.wire.project_config import RedditPolling


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Everything a handler may call; `keyless` lets calls without a key pass as the local owner's.

    `entrance` is None where nobody signs in by GitHub; `reddit` is what is polled where a project has set nothing.
    """

    read_model: ReadModel
    publisher: KeyedPublisher
    dead_letters: DeadLetters
    kafka: Answering
    sign_in: SignIn
    rate_limits: RateLimits
    clock: Clock
    keyless: bool
    entrance: Entrance | None
    webhooks: WebhookSecrets
    reddit: RedditPolling
    github: GitHubSync
    commands: ClusterCommands
    jobs: Jobs
    configs: ProjectConfigs
    live_updates: LiveUpdates
    replay: DeadLetterReplay


DEPENDENCIES = web.AppKey("dependencies", Dependencies)


def dependencies(request: web.Request) -> Dependencies:
    """Return what the request's handler works with."""
    return request.config_dict[DEPENDENCIES]
