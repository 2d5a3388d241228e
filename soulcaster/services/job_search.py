"""The jobs of a project that are in certain states, newest first."""

from collections.abc import Collection

from soulcaster.domain.lifecycle import Job, JobState
from soulcaster.ports.jobs import JobReader
from soulcaster.ports.paging import Page

MOST_READS = 20
"""Parts of a project's list that a search reads at most."""


async def search_jobs(
    jobs: JobReader,
    project_id: str,
    states: Collection[JobState],
    *,
    limit: int,
    after: str | None = None,
    reads: int = MOST_READS,
) -> Page[Job]:
    """Return jobs in one of these states, about `limit` of them, from the newest or from a cursor on.

    States have no index, because jobs change them often and few lists are long: the list is read in parts of `limit`
    jobs until as many were found. There may be up to twice as many, or fewer with a cursor behind them. The number of
    all is not counted.

    Raises:
        Unavailable: Redis does not answer.
    """
    found: list[Job] = []
    for _ in range(reads):
        part = await jobs.list(project_id, limit=limit, offset=0, after=after)
        found += [job for job in part.items if job.state in states]
        after = part.next
        if after is None or len(found) >= limit:
            break
    return Page(tuple(found), len(found), after, counted=False)
