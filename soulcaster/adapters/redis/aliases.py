"""Aliases in Redis: the ids of merged clusters, resolved."""

from collections.abc import Collection

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.typed import Commands


async def resolve(redis: Commands, project_id: str, cluster_id: str) -> str:
    """Return the cluster that an id resolves to: itself, or the cluster that it is part of."""
    return (await chains(redis, project_id, [cluster_id]))[cluster_id][-1]


async def chains(redis: Commands, project_id: str, cluster_ids: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the chain of each cluster: itself, the cluster it was merged into, the next one, and so on.

    One round trip for each link of the longest chain, and one more.
    """
    merged_into: dict[str, str] = {}
    unknown = sorted(cluster_ids)
    while unknown:
        found = await redis.hmget(keys.aliases(project_id), unknown)
        further = {merged: into for merged, into in zip(unknown, found, strict=True) if into is not None}
        merged_into |= further
        unknown = sorted(set(further.values()) - set(merged_into))
    return {cluster_id: _chain(cluster_id, merged_into) for cluster_id in cluster_ids}


def _chain(cluster_id: str, merged_into: dict[str, str]) -> tuple[str, ...]:
    """Follow the aliases from a cluster; where they go round in a circle, stop before it closes."""
    chain = [cluster_id]
    while (into := merged_into.get(chain[-1], cluster_id)) not in chain:
        chain.append(into)
    return tuple(chain)
