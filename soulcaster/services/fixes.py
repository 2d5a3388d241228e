"""Ordering fixes: what a request settles, and the command that asks the project's single writer for a job."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from soulcaster.domain.api_keys import KeyScope
from soulcaster.domain.commands import ApproveFix, StartFix
from soulcaster.domain.fixes.brief import FixBrief
from soulcaster.domain.fixes.fix import FixOptions, FollowUp, StopPoint, Target, nearer
from soulcaster.domain.fixes.limits import FixLimits, check_limits
from soulcaster.domain.fixes.order import AgentOrder
from soulcaster.domain.fixes.repository import AskForRepository, Choice, RepositoryRule, choose, possible
from soulcaster.domain.ids import approval_id, fix_command_id, job_id_for
from soulcaster.domain.lifecycle import Job, active
from soulcaster.errors import BadInput, Conflict, QuotaExceeded
from soulcaster.ports.clock import Clock
from soulcaster.ports.clusters import ClusterReader
from soulcaster.ports.feedback import FeedbackView
from soulcaster.ports.jobs import JobReader
from soulcaster.ports.project_config import ProjectConfigReader
from soulcaster.ports.repositories import Repositories
from soulcaster.services.briefs import Briefs
from soulcaster.services.cluster_commands import ClusterCommands
from soulcaster.services.lookup import known_cluster
from soulcaster.services.paging import first_of
from soulcaster.services.person_tokens import PersonTokens
from soulcaster.services.plans import Plans
from soulcaster.wire.project_config import PolicyConfig, ProjectConfig

DRY_RUN = "dry-run"
"""The backend that changes nothing, so it needs no repository."""

N = TypeVar("N", int, float)

NEWEST_JOBS = 100
"""Jobs of a cluster that are searched for one that is under way, and how many of a project are counted."""


class FixUnderWay(Conflict):
    """A fix of this cluster is under way already."""


class ClusterMuted(Conflict):
    """This cluster is muted; reopen it first."""


class UnknownBackend(BadInput):
    """This backend is not set up."""


class PriceUnknown(Conflict):
    """Nobody knows what the model costs, so no budget can be kept."""


class NothingToPushWith(Conflict):
    """Nobody may push here: set up a GitHub App (GITHUB_APP_ID) or GITHUB_TOKEN, or send X-GitHub-Token."""


class RepositoryNotNamed(Conflict):
    """The project's settings do not have this repository; only an admin lets the server's credential change it."""


class NotWaiting(Conflict):
    """This job does not wait for approval."""


@dataclass(frozen=True, slots=True)
class FixDefaults:
    """What holds where neither the request nor the project says otherwise; a project may only lower the limits.

    `backends` are those that jobs can run on, the default first. `seconds` and `usd` limit one job, `jobs_in_all` the
    jobs of all projects that are under way. `github_token` reads repositories where a request brings none.
    `agent` is the coding agent, None where none is set up: then jobs only rehearse. `price_known` says whether the
    prices of its model are. `keeps_tokens` says whether jobs need the GitHub token of the person who requests them.
    """

    backends: tuple[str, ...]
    seconds: int
    usd: float
    limits: FixLimits
    jobs_in_all: int = 100
    github_token: str = field(default="", repr=False)
    agent: AgentOrder | None = None
    price_known: bool = False
    keeps_tokens: bool = False


@dataclass(frozen=True, slots=True)
class Continuation:
    """That a fix goes on with an open pull request.

    `target` has the newest commit of the pull request, `command_id` follows from the words that ask for it. `backend`
    is that of the job that opened it.
    """

    follow_up: FollowUp
    target: Target
    command_id: str
    backend: str | None = None


@dataclass(frozen=True, slots=True)
class FixRequest:
    """What a caller asks for. `may_approve` says whether the caller is an admin, `automatic` that a policy asks.

    `repository` is the one to change, None to find out. `github_token` reads it; where nothing else can, the job clones
    and pushes with it, and it is kept, sealed, until then.
    """

    by: str
    may_approve: bool = False
    automatic: bool = False
    backend: str | None = None
    stop_at: StopPoint | None = None
    plan_id: str | None = None
    repository: str | None = None
    github_token: str | None = field(default=None, repr=False)
    continues: Continuation | None = None


@dataclass(frozen=True, slots=True)
class FixTerms:
    """What a fix of a project gets where its request says nothing.

    `backend` may be one that is not set up: `Fixes.backends` does not have it. `seconds` limits each launch of its
    program, `usd` what the job may spend. `approvers` is the scope that lets a caller start a job, or approve one that
    waits.
    """

    backend: str
    seconds: int
    usd: float
    stop_at: StopPoint
    approvers: KeyScope


@dataclass(frozen=True, slots=True)
class RequestedFix:
    """A fix that was requested: its command, the job it leads to, the cluster by its present id, and the backend.

    `rehearses` says that the job changes nothing on a backend that could, because no coding agent is set up.
    """

    command_id: str
    job_id: str
    cluster_id: str
    backend: str
    approved: bool
    rehearses: bool

    @property
    def notice(self) -> str:
        """Return what was requested, for people."""
        said = "Fix asked for"
        if self.rehearses:
            said += "; the job only rehearses, because no coding agent is set up"
        return said if self.approved else f"{said}; it waits for approval"


@dataclass(frozen=True, slots=True)
class RepositoryChoice:
    """The repository that a fix would change, None if somebody must say it, and all that it could be."""

    repository: str | None
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FixPreview:
    """What a fix of a cluster would be given and what it would change; `cluster_id` is the cluster's present id."""

    cluster_id: str
    brief: FixBrief
    repository: RepositoryChoice


class Fixes:
    """Requests and approves fixes."""

    def __init__(
        self,
        commands: ClusterCommands,
        clusters: ClusterReader,
        jobs: JobReader,
        configs: ProjectConfigReader,
        briefs: Briefs,
        plans: Plans,
        repositories: Repositories,
        person_tokens: PersonTokens | None,
        defaults: FixDefaults,
        clock: Clock,
    ) -> None:
        self._commands = commands
        self._clusters = clusters
        self._jobs = jobs
        self._configs = configs
        self._briefs = briefs
        self._plans = plans
        self._repositories = repositories
        self._person_tokens = person_tokens
        self._defaults = defaults
        self._clock = clock

    async def start(self, project_id: str, cluster_id: str, request: FixRequest) -> RequestedFix:
        """Publish the command that starts a fix of a cluster.

        What the read model shows is checked here, so that a caller hears at once what is impossible; the project's
        single writer decides. The job shows in the read model a moment later, so of two simultaneous requests both may
        succeed. They then name the same job, because the command's id follows from the newest job that the cluster has
        had.

        Raises:
            NotFound: the project has no such cluster, or the cluster no such plan.
            FixUnderWay: one of the cluster's jobs has not ended.
            ClusterMuted: the cluster is muted.
            QuotaExceeded: the jobs of the project, or of all projects, are at one of their limits.
            UnknownBackend: the request, or the project, names a backend that is not set up.
            PriceUnknown: a coding agent would work with a model whose price nobody knows.
            NothingToPushWith: a coding agent would work, and nobody could push what it makes.
            AskForRepository: it is not clear which repository the fix changes, or the request names another.
            RepositoryNotNamed: the settings do not have it, and the caller is no admin.
            SourceRefuses: GitHub knows no such repository or branch, or the token may not read it.
            PlannerRefuses: the fix stops at the plan, and the model writes none.
            Unavailable: Kafka, Redis, GitHub or the model does not answer.
        """
        cluster = await known_cluster(self._clusters, project_id, cluster_id)
        jobs = await self._jobs.list(project_id, cluster_id=cluster.id, limit=NEWEST_JOBS, offset=0)
        if any(active(job) for job in jobs.items):
            raise FixUnderWay
        if cluster.triage == "muted":
            raise ClusterMuted
        config = (await self._configs.get(project_id)).config
        policy = config.policy
        now = self._clock()
        limits, budget = self._limits(policy), self._budget(policy)
        newest = first_of(
            lambda limit, after: self._jobs.list(project_id, limit=limit, offset=0, after=after), NEWEST_JOBS
        )
        check_limits(limits, [job async for job in newest], budget_usd=budget, now=now)
        await self._check_all()
        continues = request.continues
        backend = self._backend((request.backend if continues is None else continues.backend) or policy.backend)
        self._check_agent(backend, request)
        items = await self._briefs.newest_items(project_id, cluster.id)
        target = None if backend == DRY_RUN else await self._target(config, items, request)
        brief = await self._briefs.of(cluster, items)
        stop_at = _stop_point(request, policy)
        plan_id = await self._plans.for_fix(project_id, cluster.id, brief, named=request.plan_id, stop_at=stop_at)
        options = FixOptions(
            backend=backend,
            target=target,
            brief_id=brief.id,
            plan_id=plan_id,
            stop_at=stop_at,
            seconds=self._defaults.seconds,
            budget_usd=budget,
            follow_up=None if continues is None else continues.follow_up,
        )
        approved = self._is_approved(request, policy, options)
        command_id = fix_command_id(cluster.id, jobs.items[0].id if jobs.items else "")
        if continues is not None:
            command_id = continues.command_id
        command = StartFix(command_id, request.by, now, cluster.id, options, limits, approved)
        await self._briefs.store(project_id, cluster.id, brief)  # before the command: a job never lacks its brief
        await self._keep_token(job_id_for(command_id), options, request)
        await self._commands.send(project_id, command)
        return RequestedFix(
            command_id,
            job_id_for(command_id),
            cluster.id,
            options.backend,
            approved,
            rehearses=self._defaults.agent is None and backend != DRY_RUN,
        )

    async def preview(self, project_id: str, cluster_id: str) -> FixPreview:
        """Return what a fix of a cluster would be given now, and which repository it would change.

        Raises:
            NotFound: the project has no such cluster.
            Unavailable: Redis does not answer.
        """
        cluster = await known_cluster(self._clusters, project_id, cluster_id)
        config = (await self._configs.get(project_id)).config
        items = await self._briefs.newest_items(project_id, cluster.id)
        return FixPreview(cluster.id, await self._briefs.of(cluster, items), _choice_of(config, items))

    async def approve(self, job: Job, *, by: str) -> str:
        """Publish the command that lets a job start that waits for approval, and return the command's id.

        Raises:
            NotWaiting: the job does not wait for approval.
            Unavailable: Kafka does not answer.
        """
        if job.state != "queued" or job.fix is None:
            raise NotWaiting
        stop_at = job.fix.options.stop_at
        command_id = approval_id(job.id)
        approved_to: StopPoint = "pr" if stop_at in {"brief", "plan"} else stop_at
        await self._commands.send(job.project_id, ApproveFix(command_id, by, self._clock(), job.id, approved_to))
        return command_id

    async def terms(self, project_id: str) -> FixTerms:
        """Return what a fix of a project gets where its request says nothing.

        Raises:
            Unavailable: Redis does not answer.
        """
        policy = (await self._configs.get(project_id)).config.policy
        backend = policy.backend or self._defaults.backends[0]
        return FixTerms(backend, self._defaults.seconds, self._budget(policy), policy.stop_at, policy.approvers)

    async def approvers(self, project_id: str) -> KeyScope:
        """Return the scope that approving a job of a project needs.

        Raises:
            Unavailable: Redis does not answer.
        """
        return (await self._configs.get(project_id)).config.policy.approvers

    @property
    def has_agent(self) -> bool:
        """Whether a coding agent is set up."""
        return self._defaults.agent is not None

    @property
    def backends(self) -> tuple[str, ...]:
        """Return the backends that jobs can run on, the default first."""
        return self._defaults.backends

    def _backend(self, name: str | None) -> str:
        """Return the backend of a job.

        Raises:
            UnknownBackend: it is not set up.
        """
        if name is None:
            return self._defaults.backends[0]
        if name not in self._defaults.backends:
            raise UnknownBackend(f"{name} is not set up; there is: {', '.join(self._defaults.backends)}.")
        return name

    async def _target(self, config: ProjectConfig, items: Sequence[FeedbackView], request: FixRequest) -> Target | None:
        """Return the repository and its newest commit; None where there is none, and no agent that would change it."""
        if request.continues is not None:
            return request.continues.target
        try:
            choice = _chosen(config, items, request.repository)
        except AskForRepository as error:
            if error.choices or request.repository is not None or self._defaults.agent is not None:
                raise
            return None
        may_any = request.may_approve or self._defaults.keeps_tokens
        if not may_any and choice.repository.lower() not in config.named_repositories():
            raise RepositoryNotNamed(
                f"{choice.repository} is not in this project's settings, so only an admin may have it changed here; "
                "an item names it, and whoever may post feedback could have written that."
            )
        base = await self._repositories.base(
            choice.repository, branch=choice.branch, token=request.github_token or self._defaults.github_token or None
        )
        return Target(choice.repository, base.branch, base.commit)

    async def _keep_token(self, job_id: str, options: FixOptions, request: FixRequest) -> None:
        """Keep the GitHub token of a request for its job, if the job needs it."""
        needed = self._defaults.keeps_tokens and options.target is not None
        if self._person_tokens is not None and request.github_token and needed:
            await self._person_tokens.keep(job_id, request.github_token, launch_seconds=options.seconds)

    def _check_agent(self, backend: str, request: FixRequest) -> None:
        """Return if the coding agent may work, where one is set up.

        Raises:
            PriceUnknown: the budget of its job could not be kept.
            NothingToPushWith: its work would be lost.
        """
        agent = self._defaults.agent
        if agent is None or backend == DRY_RUN:
            return
        if self._defaults.keeps_tokens and not request.github_token:
            raise NothingToPushWith
        if not self._defaults.price_known:
            raise PriceUnknown(
                f"Nobody knows what the model {agent.model} costs, so no budget can be kept. Set "
                f'SOULCASTER_MODEL_PRICES, such as {{"{agent.model}": [0.5, 2]}}: US dollars for a million tokens in '
                "and out, 0 where they cost nothing."
            )

    def _is_approved(self, request: FixRequest, policy: PolicyConfig, options: FixOptions) -> bool:
        if options.follow_up is not None:
            return True  # whoever asks may write to the repository, and the pull request was approved before
        if options.stop_at in {"brief", "plan"}:
            return False
        if request.automatic:
            return not policy.automatic.approval
        return request.may_approve or policy.approvers == "launch"

    def _limits(self, policy: PolicyConfig) -> FixLimits:
        most = self._defaults.limits
        return FixLimits(
            _lower(most.concurrent, policy.concurrent_jobs),
            _lower(most.per_day, policy.jobs_per_day),
            _lower(most.usd_per_day, policy.usd_per_day),
        )

    def _budget(self, policy: PolicyConfig) -> float:
        return _lower(self._defaults.usd, policy.job_usd)

    async def _check_all(self) -> None:
        """Return if all projects together may have one more job.

        No writer sees all projects, so of simultaneous requests a few more may pass; launchers limit what runs.

        Raises:
            QuotaExceeded: they may not.
        """
        under_way, limit = await self._jobs.active(), self._defaults.jobs_in_all
        if under_way >= limit:
            raise QuotaExceeded(f"{under_way} jobs of all projects are under way", under_way, limit)


def _chosen(config: ProjectConfig, items: Sequence[FeedbackView], named: str | None) -> Choice:
    return choose([view.item for view in items], rules=_rules(config), repositories=config.repositories, named=named)


def _choice_of(config: ProjectConfig, items: Sequence[FeedbackView]) -> RepositoryChoice:
    try:
        chosen = _chosen(config, items, None).repository
    except AskForRepository as error:
        return RepositoryChoice(None, error.choices)
    return RepositoryChoice(chosen, possible([view.item for view in items], _rules(config), config.repositories))


def _rules(config: ProjectConfig) -> list[RepositoryRule]:
    return [
        RepositoryRule(rule.source, rule.repository, rule.source_project, rule.branch)
        for rule in config.repository_rules
    ]


def _stop_point(request: FixRequest, policy: PolicyConfig) -> StopPoint:
    """Return how far a job goes; only an admin may let it go farther than the policy does."""
    if request.continues is not None:
        return "pr"  # the pull request is there
    if request.stop_at is None:
        return policy.stop_at
    return request.stop_at if request.may_approve else nearer(request.stop_at, policy.stop_at)


def _lower(most: N, own: N | None) -> N:
    return most if own is None else min(most, own)
