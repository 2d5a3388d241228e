"""Every id Soulcaster makes: UUIDv5 (RFC 9562) of what it stands for, so that work done twice gives the same answer."""

import json
from uuid import UUID, uuid5

NAMESPACE = UUID("6f1d6a1e-3a52-5d0c-9d2e-0f6f3f2a7c11")


def _id(*of: str) -> str:
    return str(uuid5(NAMESPACE, json.dumps(of)))


def item_id(project_id: str, source: str, external_id: str) -> str:
    """Return the id of an item: the same thing of the same source sent twice is one item."""
    return _id("item", project_id, source, external_id)


def project_id_for(name: str) -> str:
    """Return the id of the project that is made for a name not known yet."""
    return _id("project", name)


def cluster_id_for(project_id: str, first_item_id: str) -> str:
    """Return the id of the cluster that an item opens."""
    return _id("cluster", project_id, first_item_id)


def fix_command_id(cluster_id: str, attempt: int) -> str:
    """Return the id of the command for a cluster's fix number `attempt`: who asks twice at once asks the same thing."""
    return _id("start_fix", cluster_id, str(attempt))


def job_id_for(command_id: str) -> str:
    """Return the id of the job that a command asks for."""
    return _id("job", command_id)
