"""The JSON API: its operations. Shapes are in models.py; errors are problem details, see soulcaster/web/problems.py."""

from aiohttp import web

from soulcaster.web.api import clusters, commands, dead_letters, feedback, health, ingest, jobs, keys
from soulcaster.web.api.operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    health.root,
    health.health,
    health.ready,
    ingest.manual,
    ingest.generic,
    feedback.search,
    feedback.one,
    feedback.edit,
    feedback.delete,
    feedback.stats,
    clusters.search,
    clusters.one,
    clusters.start_fix,
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
    dead_letters.search,
    dead_letters.replay,
    keys.search,
    keys.make,
    keys.revoke,
)
"""All that can be asked, in the order in which it is documented."""


def routes() -> list[web.RouteDef]:
    """Return every route of the API."""
    return [operation.route() for operation in OPERATIONS]
