"""The JSON API: its operations. Shapes are in models.py; errors are problem details, see soulcaster/web/problems.py."""

from aiohttp import web

from soulcaster.web.api import api_keys as keys
from soulcaster.web.api import (
    clusters,
    commands,
    config,
    dead_letters,
    events,
    feedback,
    github_sync,
    health,
    ingest,
    jobs,
    sources,
    webhook_secrets,
    webhooks,
)
from soulcaster.web.api import members as people
from soulcaster.web.api.operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    health.root,
    health.health,
    health.ready,
    ingest.manual,
    ingest.generic,
    ingest.reddit,
    webhooks.sentry,
    webhooks.github,
    github_sync.one,
    github_sync.every,
    feedback.search,
    feedback.one,
    feedback.edit,
    feedback.delete,
    feedback.stats,
    clusters.search,
    clusters.one,
    clusters.start_fix,
    clusters.run_agent,
    commands.merge,
    commands.split,
    commands.move,
    commands.rename,
    commands.pin,
    commands.mute,
    commands.resolve,
    commands.reopen,
    commands.undo,
    commands.rebalance,
    commands.cleanup,
    commands.reset,
    commands.configure,
    commands.status,
    commands.one,
    jobs.search,
    jobs.one,
    jobs.logs,
    jobs.of_cluster,
    jobs.record,
    jobs.patch,
    jobs.cancel,
    dead_letters.search,
    dead_letters.replay,
    keys.search,
    keys.make,
    keys.revoke,
    people.make,
    people.projects,
    people.make_one,
    people.members,
    people.put_member,
    people.remove,
    config.project,
    config.set_project,
    config.subreddits,
    config.set_subreddits,
    webhook_secrets.search,
    webhook_secrets.make,
    webhook_secrets.remove,
    sources.search,
    sources.cursor,
    sources.report,
    sources.poll,
    sources.trigger_poll,
    events.follow,
)
"""All that can be asked, in the order in which it is documented."""


def routes() -> list[web.RouteDef]:
    """Return every route of the API."""
    return [
        *(operation.route() for operation in OPERATIONS),
        web.post("/ingest/github/sync/{repository}", github_sync.in_one_segment),
    ]
