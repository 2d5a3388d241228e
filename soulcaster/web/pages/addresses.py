"""The addresses of pages."""

from soulcaster.domain.lifecycle import Job


def cluster_path(project_id: str, cluster_id: str) -> str:
    """Return the address of a cluster's page."""
    return f"/app/projects/{project_id}/clusters/{cluster_id}"


def job_path(job: Job) -> str:
    """Return the address of a job's page."""
    return f"/app/projects/{job.project_id}/jobs/{job.id}"
