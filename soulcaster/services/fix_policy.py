"""Starting fixes by a project's policy, without a click.

It looks at the read model now and then: what a policy asks for (size, growth, age) also comes true as time passes.
Looking twice starts nothing twice, because a cluster that has had a job is left to people.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import structlog

from soulcaster.domain.fixes.limits import WINDOW
from soulcaster.errors import PlannerUnavailable, QuotaExceeded, SoulcasterError, SourceUnavailable, Unavailable
from soulcaster.ports.clock import Clock
from soulcaster.ports.clusters import ClusterView
from soulcaster.ports.read_model import ReadModel
from soulcaster.services.fixes import Fixes, FixRequest
from soulcaster.services.paging import first_of
from soulcaster.telemetry.liveness import LOOPS
from soulcaster.wire.project_config import AutomaticFixes

BY = "policy"
"""Who asks for these fixes."""

LOOK_SECONDS = 30.0
"""Pause between two looks."""

PASS_SECONDS = 1_800.0
"""A look takes less, however many projects there are."""

CLUSTERS_AT_ONCE = 100
CLUSTERS_A_LOOK = 500
"""Clusters of a project that one look searches; the next look goes on behind them."""

STARTS_A_LOOK = 5
"""Fixes of a project that one look starts: each may take a plan first, and the other projects wait meanwhile."""

JOBS_COUNTED = 1000
"""The newest jobs of a project that are searched for those of the policy."""

log = structlog.get_logger(__name__)


class FixPolicy:
    """Starts fixes of clusters that fulfil their project's policy."""

    def __init__(self, read_model: ReadModel, fixes: Fixes, clock: Clock) -> None:
        self._read_model = read_model
        self._fixes = fixes
        self._clock = clock
        self._positions: dict[str, str] = {}
        """Where the next look at a project goes on, if not at its largest cluster."""

    async def run(self) -> None:
        """Look again and again, until the caller cancels; a look that fails is logged, and the next one follows."""
        while True:
            LOOPS.begin_pass("policies", within=PASS_SECONDS)
            try:
                await self.look()
            except Unavailable as error:
                log.warning("the policies of projects wait", cause=str(error))
            except Exception:
                log.exception("the policies of projects could not be applied")
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> int:
        """Start what the policies of all projects ask for, a part of it where that is much; return how many fixes.

        Raises:
            Unavailable: Kafka or Redis does not answer.
        """
        started = 0
        for project in await self._read_model.projects.list():
            policy = (await self._read_model.project_config.get(project.id)).config.policy.automatic
            if policy.enabled:
                started += await self._start(project.id, policy)
        return started

    async def _start(self, project_id: str, policy: AutomaticFixes) -> int:
        now = self._clock()
        left = min(STARTS_A_LOOK, policy.jobs_per_day - await self._started_today(project_id, now))
        started = 0
        async for cluster in self._candidates(project_id, policy, now):
            if started >= left:
                break
            try:
                await self._fixes.start(project_id, cluster.id, FixRequest(BY, automatic=True))
            except (QuotaExceeded, SourceUnavailable, PlannerUnavailable) as error:  # the next project may need neither
                log.info("a policy waits", project=project_id, cause=str(error))
                break
            except Unavailable:
                raise
            except SoulcasterError as error:
                log.info("a policy cannot start a fix", project=project_id, cluster=cluster.id, cause=str(error))
            else:
                log.info("a policy starts a fix", project=project_id, cluster=cluster.id)
                started += 1
        return started

    async def _started_today(self, project_id: str, now: datetime) -> int:
        jobs = first_of(
            lambda limit, after: self._read_model.jobs.list(project_id, limit=limit, offset=0, after=after),
            JOBS_COUNTED,
        )
        ours = [job.created_at async for job in jobs if job.fix is not None and job.fix.requested_by == BY]
        return sum(at > now - WINDOW for at in ours)

    async def _candidates(self, project_id: str, policy: AutomaticFixes, now: datetime) -> AsyncIterator[ClusterView]:
        """Yield clusters that fulfil the policy, largest first, among the next `CLUSTERS_A_LOOK`."""
        after = self._positions.pop(project_id, None)
        for _ in range(CLUSTERS_A_LOOK // CLUSTERS_AT_ONCE):
            page = await self._read_model.clusters.list(
                project_id, status="new", limit=CLUSTERS_AT_ONCE, offset=0, after=after
            )
            for cluster in page.items:
                if cluster.size < policy.min_items:
                    return
                if await self._fulfils(project_id, cluster, policy, now):
                    yield cluster
            if page.next is None:
                return
            after = page.next
        if after is not None:
            self._positions[project_id] = after

    async def _fulfils(self, project_id: str, cluster: ClusterView, policy: AutomaticFixes, now: datetime) -> bool:
        if cluster.created_at < now - timedelta(days=policy.max_age_days):
            return False
        if policy.sources is not None and set(policy.sources).isdisjoint(cluster.sources):
            return False
        if policy.min_items_per_day:
            since = now - timedelta(days=1)
            new = await self._read_model.feedback.list(
                project_id, cluster_id=cluster.id, since=since, limit=1, offset=0
            )
            if new.total < policy.min_items_per_day:
                return False
        jobs = await self._read_model.jobs.list(project_id, cluster_id=cluster.id, limit=1, offset=0)
        return not jobs.items
