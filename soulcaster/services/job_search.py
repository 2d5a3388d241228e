"""The jobs of a project that are in certain states, newest first."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

from soulcaster.domain.lifecycle import Job, JobState
from soulcaster.ports.jobs import JobReader
from soulcaster.ports.paging import Page, place_of

MOST_READS = 20
"""Parts of a project's list that a search reads at most."""

AT_ONCE = 8
"""Projects that one page searches at the same time."""


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

    What they made is left out.

    States have no index, because jobs change them often and few lists are long: the list is read in parts of `limit`
    jobs until as many were found. There may be up to twice as many, or fewer with a cursor behind them. The number of
    all is not counted.

    Raises:
        Unavailable: Redis does not answer.
    """
    found: list[tuple[Job, str]] = []
    for _ in range(reads):
        part = await jobs.list(project_id, limit=limit, offset=0, after=after)
        listed = zip(part.items, part.cursors, strict=True)
        found += [(replace(job, outcome=None), cursor) for job, cursor in listed if job.state in states]
        after = part.next
        if after is None or len(found) >= limit:
            break
    shown, cursors = tuple(job for job, _ in found), tuple(cursor for _, cursor in found)
    return Page(shown, len(found), after, counted=False, cursors=cursors)


async def search_all(
    jobs: JobReader,
    project_ids: Sequence[str],
    states: Collection[JobState],
    *,
    limit: int,
    after: str | None = None,
    reads: int = MOST_READS,
) -> Page[Job]:
    """Return jobs of all these projects in one of these states, newest first, at most `limit`.

    Where the search in one project has not reached its end, nothing that is older than where it got to is on this page:
    the next one goes on there.

    Raises:
        Unavailable: Redis does not answer.
    """
    turns = asyncio.Semaphore(AT_ONCE)

    async def search(project_id: str) -> Page[Job]:
        async with turns:
            return await search_jobs(jobs, project_id, states, limit=limit, after=after, reads=reads)

    pages = await asyncio.gather(*map(search, project_ids))
    ends = [page.next for page in pages if page.next is not None]
    end = max(ends, key=place_of, default=None)
    found = [
        (job, cursor)
        for page in pages
        for job, cursor in zip(page.items, page.cursors, strict=True)
        if (after is None or place_of(cursor) < place_of(after)) and (end is None or place_of(cursor) >= place_of(end))
    ]
    found.sort(key=lambda pair: place_of(pair[1]), reverse=True)
    shown = found[:limit]
    following = shown[-1][1] if len(found) > limit else end
    cursors = tuple(cursor for _, cursor in shown)
    return Page(tuple(job for job, _ in shown), len(shown), following, counted=False, cursors=cursors)
