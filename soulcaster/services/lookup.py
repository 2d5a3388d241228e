"""Reads of one thing that raise `NotFound` where a project does not have it."""

from soulcaster.domain.events import Theme
from soulcaster.domain.lifecycle import Job
from soulcaster.errors import NotFound, NotShownYet
from soulcaster.ports.clustering import ClusteringReader
from soulcaster.ports.clusters import ClusterReader, ClusterView
from soulcaster.ports.feedback import FeedbackReader, FeedbackView
from soulcaster.ports.jobs import JobReader
from soulcaster.ports.projects import Project, ProjectReader


async def known_project(projects: ProjectReader, project_id: str) -> Project:
    """Return a project by its id; `services.projects.find_project` takes names as well.

    Raises:
        NotFound: there is no such project.
        Unavailable: Redis does not answer.
    """
    project = await projects.get(project_id)
    if project is None:
        raise NotFound("There is no such project here")
    return project


async def known_cluster(clusters: ClusterReader, project_id: str, cluster_id: str) -> ClusterView:
    """Return a cluster; an alias resolves to the cluster it was merged into.

    Raises:
        NotFound: the project has no such cluster.
        Unavailable: Redis does not answer.
    """
    view = await clusters.get(project_id, cluster_id)
    if view is None:
        raise NotFound("Cluster not found")
    return view


async def known_theme(clustering: ClusteringReader, project_id: str, theme_id: str) -> Theme:
    """Return a theme.

    Raises:
        NotFound: the project has no such theme.
        Unavailable: Redis does not answer.
    """
    found = next((theme for theme in await clustering.themes(project_id) if theme.id == theme_id), None)
    if found is None:
        raise NotFound("Theme not found")
    return found


async def known_item(feedback: FeedbackReader, project_id: str, item_id: str) -> FeedbackView:
    """Return an item.

    Raises:
        NotFound: the project has no such item.
        Unavailable: Redis does not answer.
    """
    view = await feedback.get(project_id, item_id)
    if view is None:
        raise NotFound("Feedback item not found")
    return view


async def known_job(jobs: JobReader, project_id: str, job_id: str, *, exists: bool = False) -> Job:
    """Return a job; with `exists` the caller knows that there is one, although the read model may not show it yet.

    Raises:
        NotFound: the project has no such job.
        Unavailable: Redis does not answer, or does not show the job yet.
    """
    job = await jobs.get(job_id)
    if job is None and exists:
        raise NotShownYet
    if job is None or job.project_id != project_id:
        raise NotFound("Job not found for project")
    return job
