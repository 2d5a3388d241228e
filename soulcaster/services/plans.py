"""Plans of clusters: written by a model or a person, stored as documents, and chosen for fixes."""

import asyncio

from soulcaster.domain.fixes.brief import FixBrief
from soulcaster.domain.fixes.fix import StopPoint
from soulcaster.domain.fixes.plan import InvalidPlan, Plan, PlannedFix, by_model, by_person, new_plan
from soulcaster.errors import Conflict, NotFound, PlannerRefuses
from soulcaster.ports.clock import Clock
from soulcaster.ports.clusters import ClusterReader
from soulcaster.ports.documents import DocumentReader
from soulcaster.ports.messaging import Publisher
from soulcaster.ports.planner import Planner
from soulcaster.services.briefs import Briefs
from soulcaster.services.documents import publish_document
from soulcaster.services.lookup import known_cluster


class NoPlanner(Conflict):
    """No model writes plans here: set GEMINI_API_KEY, or send a title and a description."""


class Plans:
    """Reads, generates and edits plans."""

    def __init__(
        self,
        publisher: Publisher,
        clusters: ClusterReader,
        documents: DocumentReader,
        briefs: Briefs,
        planner: Planner | None,
        clock: Clock,
    ) -> None:
        """`planner` is None where no model is set up; people can write plans all the same."""
        self._publisher = publisher
        self._clusters = clusters
        self._documents = documents
        self._briefs = briefs
        self._planner = planner
        self._clock = clock

    @property
    def has_planner(self) -> bool:
        """Whether a model is set up that writes plans."""
        return self._planner is not None

    async def get(self, project_id: str, cluster_id: str) -> Plan:
        """Return the newest plan of a cluster; an alias resolves to the cluster it was merged into.

        Raises:
            NotFound: it has none, or not yet.
            Unavailable: Redis does not answer.
        """
        plan = await self._newest(project_id, cluster_id)
        if plan is None:
            raise NotFound("No plan found for this cluster")
        return plan

    async def of_job(self, project_id: str, plan_id: str | None) -> Plan:
        """Return the plan that a job was given.

        Raises:
            NotFound: it was given none.
            Unavailable: Redis does not answer.
        """
        plan = None if plan_id is None else await self._stored(project_id, plan_id)
        if plan is None:
            raise NotFound("This job has no plan")
        return plan

    async def generate(self, project_id: str, cluster_id: str) -> Plan:
        """Let the model write a plan from the cluster's present brief, store it and return it.

        Raises:
            NotFound: the project has no such cluster.
            NoPlanner: no model is set up.
            PlannerUnavailable: the model does not answer.
            PlannerRefuses: the model writes no plan about this brief.
            Unavailable: Kafka or Redis does not answer.
        """
        cluster = await known_cluster(self._clusters, project_id, cluster_id)
        if self._planner is None:
            raise NoPlanner
        brief = await self._briefs.compose(project_id, cluster.id)
        return await self._generated(self._planner, project_id, cluster.id, brief)

    async def edit(self, project_id: str, cluster_id: str, title: str, description: str, *, by: str) -> Plan:
        """Store what a person wrote as the plan of a cluster, and return it.

        Raises:
            NotFound: the project has no such cluster.
            InvalidPlan: it is too long, or nothing of it can be seen.
            Unavailable: Kafka or Redis does not answer.
        """
        cluster = await known_cluster(self._clusters, project_id, cluster_id)
        return await self._store(project_id, cluster.id, by_person(title, description), by=by)

    async def for_fix(
        self, project_id: str, cluster_id: str, brief: FixBrief, *, named: str | None, stop_at: StopPoint
    ) -> str | None:
        """Return the id of the plan that a fix of a cluster is given; None: it is given the brief alone.

        That is the plan that is `named`, else the newest one. A fix that stops at the plan gets a new one where there
        is none, if a model is set up. `cluster_id` is the cluster's present id, `brief` the fix's brief.

        Raises:
            NotFound: the cluster has no plan with that id.
            PlannerUnavailable: the model does not answer.
            PlannerRefuses: the model writes no plan about this brief.
            Unavailable: Kafka or Redis does not answer.
        """
        if named is not None:
            return await self._checked(project_id, cluster_id, named)
        newest = await self._newest(project_id, cluster_id)
        if newest is not None:
            return newest.id
        if stop_at != "plan" or self._planner is None:
            return None
        return (await self._generated(self._planner, project_id, cluster_id, brief)).id

    async def _checked(self, project_id: str, cluster_id: str, plan_id: str) -> str:
        """Return the id of a plan that is of this cluster, or of one that was merged into it."""
        plan = await self._stored(project_id, plan_id)
        of = None if plan is None else await self._clusters.get(project_id, plan.cluster_id)
        if of is None or of.id != cluster_id:
            raise NotFound("This cluster has no plan with that id")
        return plan_id

    async def _generated(self, planner: Planner, project_id: str, cluster_id: str, brief: FixBrief) -> Plan:
        written = await planner.plan(brief.text)
        try:
            checked = await asyncio.to_thread(by_model, written, brief.text)
        except InvalidPlan as error:
            raise PlannerRefuses(f"{planner.name} wrote an empty plan. Try again, or write it yourself.") from error
        return await self._store(project_id, cluster_id, checked, by=planner.name, item_ids=brief.item_ids)

    async def _store(
        self, project_id: str, cluster_id: str, planned: PlannedFix, *, by: str, item_ids: tuple[str, ...] = ()
    ) -> Plan:
        """Publish a plan, unless the newest one says the same; return it."""
        newest = await self._newest(project_id, cluster_id)
        if newest is not None and (newest.title, newest.description) == (planned.title, planned.description):
            return newest
        plan = new_plan(project_id, cluster_id, planned, by=by, at=self._clock(), item_ids=item_ids)
        await publish_document(self._publisher, plan.document())
        return await self._stored(project_id, plan.id) or plan  # one that is back after others has its first time

    async def _newest(self, project_id: str, cluster_id: str) -> Plan | None:
        document = await self._documents.newest_plan(project_id, cluster_id)
        return None if document is None else Plan.of(document)

    async def _stored(self, project_id: str, plan_id: str) -> Plan | None:
        document = await self._documents.get(project_id, plan_id)
        return None if document is None or document.kind != "plan" else Plan.of(document)
