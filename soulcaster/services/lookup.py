"""Reads of one thing that raise `NotFound` where a project does not have it."""

from soulcaster.domain.lifecycle import Job
from soulcaster.errors import NotFound
from soulcaster.ports.clusters import ClusterView
from soulcaster.ports.feedback import FeedbackView
from soulcaster.ports.read_model import ReadModel


async def known_cluster(read_model: ReadModel, project_id: str, cluster_id: str) -> ClusterView:
    """Return a cluster; the id of a merged one resolves to the cluster it was merged into.

    Raises:
        NotFound: the project has no such cluster.
        Unavailable: Redis does not answer.
    """
    view = await read_model.clusters.get(project_id, cluster_id)
    if view is None:
        raise NotFound("Cluster not found")
    return view


async def known_item(read_model: ReadModel, project_id: str, item_id: str) -> FeedbackView:
    """Return an item.

    Raises:
        NotFound: the project has no such item.
        Unavailable: Redis does not answer.
    """
    view = await read_model.feedback.get(project_id, item_id)
    if view is None:
        raise NotFound("Feedback item not found")
    return view


async def known_job(read_model: ReadModel, project_id: str, job_id: str) -> Job:
    """Return a job.

    Raises:
        NotFound: the project has no such job.
        Unavailable: Redis does not answer.
    """
    job = await read_model.jobs.get(job_id)
    if job is None or job.project_id != project_id:
        raise NotFound("Job not found for project")
    return job
