"""Briefs of clusters: composed from the read model, and stored for the jobs that are given them."""

import asyncio
from collections.abc import Sequence

from soulcaster.domain.fixes.brief import ClusterFacts, FixBrief, Report, compose
from soulcaster.domain.fixes.document import Document
from soulcaster.domain.fixes.pull_request_news import pull_request_of
from soulcaster.errors import NotFound, NotShownYet
from soulcaster.ports.clock import Clock
from soulcaster.ports.clusters import ClusterReader, ClusterView
from soulcaster.ports.documents import DocumentReader
from soulcaster.ports.feedback import FeedbackReader, FeedbackView
from soulcaster.ports.jobs import JobReader
from soulcaster.ports.messaging import Publisher
from soulcaster.services.documents import publish_document
from soulcaster.services.lookup import known_cluster

NEWEST_JOBS = 100
"""Jobs of a cluster that are searched for fixes that have shipped."""

NEWEST_ITEMS = 200
"""Items of a cluster among which a brief chooses."""


class Briefs:
    """Composes, stores and reads briefs."""

    def __init__(
        self,
        publisher: Publisher,
        clusters: ClusterReader,
        feedback: FeedbackReader,
        documents: DocumentReader,
        jobs: JobReader,
        clock: Clock,
    ) -> None:
        self._publisher = publisher
        self._clusters = clusters
        self._feedback = feedback
        self._documents = documents
        self._jobs = jobs
        self._clock = clock

    async def compose(self, project_id: str, cluster_id: str) -> FixBrief:
        """Return the brief that a job of a cluster would be given now.

        Raises:
            NotFound: the project has no such cluster.
            Unavailable: Redis does not answer.
        """
        cluster = await known_cluster(self._clusters, project_id, cluster_id)
        return await self.of(cluster, await self.newest_items(project_id, cluster.id))

    async def of(self, cluster: ClusterView, items: Sequence[FeedbackView]) -> FixBrief:
        """Return the brief of a cluster with these items.

        Raises:
            Unavailable: Redis does not answer.
        """
        did_not_hold = await self._shipped(cluster) if cluster.triage == "regressed" else ()
        return await asyncio.to_thread(_brief_of, cluster, items, did_not_hold)  # texts may be long

    async def _shipped(self, cluster: ClusterView) -> tuple[str, ...]:
        """Return the addresses of the cluster's pull requests that have shipped, oldest first."""
        page = await self._jobs.list(cluster.project_id, cluster_id=cluster.id, limit=NEWEST_JOBS, offset=0)
        shipped = [job for job in page.items if job.pr_sight is not None and job.pr_sight.shipped_at is not None]
        addresses = [job.pr_url for job in reversed(shipped) if job.pr_url and pull_request_of(job) is not None]
        return tuple(dict.fromkeys(addresses))

    async def newest_items(self, project_id: str, cluster_id: str) -> Sequence[FeedbackView]:
        """Return the newest items of a cluster.

        Raises:
            Unavailable: Redis does not answer.
        """
        page = await self._feedback.list(project_id, cluster_id=cluster_id, limit=NEWEST_ITEMS, offset=0)
        return page.items

    async def store(self, project_id: str, cluster_id: str, brief: FixBrief) -> None:
        """Publish a brief, so that it stays what it is; the same brief again changes nothing.

        Raises:
            Unavailable: Kafka does not acknowledge it.
        """
        document = Document(brief.id, project_id, cluster_id, "brief", brief.text, self._clock(), brief.item_ids)
        await publish_document(self._publisher, document)

    async def stored(self, project_id: str, brief_id: str | None) -> Document:
        """Return a stored brief.

        Raises:
            NotFound: the job has none.
            Unavailable: Redis does not answer, or does not show it yet.
        """
        if brief_id is None:
            raise NotFound("This job has no brief")
        found = await self._documents.get(project_id, brief_id)
        if found is None:
            raise NotShownYet
        return found


def _brief_of(cluster: ClusterView, items: Sequence[FeedbackView], did_not_hold: tuple[str, ...]) -> FixBrief:
    facts = ClusterFacts(
        cluster.title,
        cluster.summary,
        cluster.size,
        cluster.sources,
        cluster.created_at,
        cluster.updated_at,
        cluster.terms,
        did_not_hold,
    )
    return compose(facts, [Report(view.item, _nearness(view), view.occurrences) for view in items])


def _nearness(view: FeedbackView) -> float:
    """Return how near an item is to its cluster, -1 to 1; the cluster formed around the item that opened it."""
    if view.assignment is None:
        return 0.0
    return 1.0 if view.assignment.change == "opened" else view.assignment.score
