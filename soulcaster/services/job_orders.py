"""The order of a job, as its program gets it: from the job, its documents, its cluster, and settings."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from soulcaster.domain.fixes.document import Document
from soulcaster.domain.fixes.fix import Fix
from soulcaster.domain.fixes.order import AgentOrder, Author, JobOrder, Report
from soulcaster.domain.lifecycle import Job
from soulcaster.errors import NotFound, NotShownYet
from soulcaster.ports.clusters import ClusterReader
from soulcaster.ports.feedback import FeedbackReader, FeedbackView
from soulcaster.ports.project_config import ProjectConfigReader
from soulcaster.services.briefs import Briefs
from soulcaster.services.plans import Plans

MAX_REPORTS = 20
"""Items of the brief that an order lists."""

DEFAULT_AUTHOR = Author("Soulcaster", "soulcaster@localhost")

_WEB_ADDRESS = re.compile(r"https?://[!-~]{1,2000}")


@dataclass(frozen=True, slots=True)
class OrderDefaults:
    """What every order says: `public_url` is the address of our pages, None where nobody knows it."""

    author: Author = DEFAULT_AUTHOR
    git_url: str = "https://github.com"
    api_url: str = "https://api.github.com"
    public_url: str | None = None


DEFAULT_ORDERS = OrderDefaults()


class JobOrders:
    """Composes orders."""

    def __init__(
        self,
        clusters: ClusterReader,
        feedback: FeedbackReader,
        configs: ProjectConfigReader,
        briefs: Briefs,
        plans: Plans,
        agent: AgentOrder | None,
        defaults: OrderDefaults,
    ) -> None:
        """`agent` is None where no coding agent is set up."""
        self._clusters = clusters
        self._feedback = feedback
        self._configs = configs
        self._briefs = briefs
        self._plans = plans
        self._agent = agent
        self._defaults = defaults

    async def of(self, job: Job) -> JobOrder:
        """Return the order of a job.

        Raises:
            NotFound: nobody ordered anything with this job: it was only recorded.
            Unavailable: Redis does not answer, or does not show a document of the job yet.
        """
        if job.fix is None:
            raise NotFound("This job has no order")
        options = job.fix.options
        brief = None if options.brief_id is None else await self._briefs.stored(job.project_id, options.brief_id)
        items = () if brief is None else await self._items(job.project_id, brief)
        cluster = await self._clusters.get(job.project_id, job.cluster_id)
        return JobOrder(
            job_id=job.id,
            cluster_id=job.cluster_id,
            title=job.fix.cluster_title,
            attempt=job.fix.attempt,
            branch=job.fix.branch,
            stop_at=options.stop_at,
            seconds=options.seconds,
            budget_usd=options.budget_usd,
            spent_usd=job.earlier_usd,
            brief="" if brief is None else brief.text,
            plan=await self._plan(job.project_id, job.fix),
            target=options.target,
            agent=self._agent,
            rules=(await self._configs.get(job.project_id)).config.fix.rules(),
            author=self._defaults.author,
            git_url=self._defaults.git_url,
            api_url=self._defaults.api_url,
            cluster_url=self._cluster_url(job),
            items=len(items) if cluster is None else cluster.size,
            reports=tuple(_report(view) for view in items),
            follow_up=options.follow_up,
            pushed_to=None if job.outcome is None else job.outcome.repository,
        )

    async def _items(self, project_id: str, brief: Document) -> Sequence[FeedbackView]:
        """Return the items that the brief quotes, without those that were deleted since."""
        ids = brief.item_ids[:MAX_REPORTS]
        found = await asyncio.gather(*(self._feedback.get(project_id, item_id) for item_id in ids))
        return [view for view in found if view is not None]

    async def _plan(self, project_id: str, fix: Fix) -> str | None:
        if fix.options.plan_id is None:
            return None
        try:
            plan = await self._plans.of_job(project_id, fix.options.plan_id)
        except NotFound as error:  # a job that names a plan has one
            raise NotShownYet from error
        return f"{plan.title}\n\n{plan.description}"

    def _cluster_url(self, job: Job) -> str | None:
        where = self._defaults.public_url
        return where and f"{where.rstrip('/')}/app/projects/{job.project_id}/clusters/{job.cluster_id}"


def _report(view: FeedbackView) -> Report:
    url = view.item.url
    return Report(view.item.source, url if url is not None and _WEB_ADDRESS.fullmatch(url) else None)
