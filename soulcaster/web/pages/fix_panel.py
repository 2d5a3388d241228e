"""What the pages of a cluster and of a job show of fixes: the job under way, those before it, and what may be done."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from soulcaster.domain.fixes.brief import FixBrief
from soulcaster.domain.fixes.log_position import MemoryPosition
from soulcaster.domain.fixes.plan import Plan
from soulcaster.domain.lifecycle import Job, active
from soulcaster.errors import NotFound
from soulcaster.services.fixes import DRY_RUN, FixTerms, RepositoryChoice
from soulcaster.services.job_log_reading import LogPart
from soulcaster.web.dependencies import dependencies
from soulcaster.web.pages.access import ACCESS

MAX_JOBS = 5
"""Jobs of a cluster that its page shows: the newest."""

STEP_CHARS = 8_000
"""Characters of the log lines of an ended job's steps that the page of its cluster has; the job's page has all."""

LOG_BYTES = 64 * 1024
"""How much of a log a page has; the script of the page adds what follows."""


@dataclass(frozen=True, slots=True)
class FixPanel:
    """The fixes of a cluster.

    `current` is the job under way, `log` the first part of its log. `ended` are jobs that have ended, newest first,
    with the log lines of their steps; `total` counts all jobs. `may_approve` says whether the person who is signed in
    may approve a job. While no job is under way, `brief` is what the next one would be given, with `plan`
    where there is one, and `repository` what it would change. `has_planner` says whether a model can write plans,
    `has_agent` whether a coding agent is set up.
    """

    current: Job | None
    log: LogPart | None
    ended: Sequence[tuple[Job, Sequence[str]]]
    total: int
    terms: FixTerms
    backends: Sequence[str]
    may_approve: bool
    brief: FixBrief | None = None
    repository: RepositoryChoice | None = None
    plan: Plan | None = None
    has_planner: bool = False
    has_agent: bool = False

    @property
    def newest(self) -> Job | None:
        """The newest job, if there is one: it has the pull request that the cluster shows."""
        return self.current or (self.ended[0][0] if self.ended else None)

    @property
    def dry_run(self) -> bool:
        """Whether one of the backends changes nothing and needs no repository."""
        return DRY_RUN in self.backends

    @property
    def waits_for_an_owner(self) -> bool:
        """Whether a job that this person starts waits for somebody else's approval."""
        return self.terms.stop_at in {"branch", "pr"} and not self.may_approve


async def fix_panel(request: web.Request, cluster_id: str) -> FixPanel:
    """Return the fixes of a cluster.

    Raises:
        Unavailable: Redis does not answer.
    """
    given, access = dependencies(request), request[ACCESS]
    jobs = await given.read_model.jobs.list(access.project.id, cluster_id=cluster_id, limit=MAX_JOBS, offset=0)
    current = next((job for job in jobs.items if active(job)), None)
    ended = [job for job in jobs.items if job is not current]
    logs = await given.read_model.jobs.logs_of([job.id for job in ended])
    log = None if current is None else await first_part(request, current)
    terms = await given.fixes.terms(access.project.id)
    preview = None if current is not None else await given.fixes.preview(access.project.id, cluster_id)
    return FixPanel(
        current=current,
        log=log,
        ended=[(job, _newest(lines)) for job, lines in zip(ended, logs, strict=True)],
        total=jobs.total,
        terms=terms,
        backends=given.fixes.backends,
        may_approve=access.may(terms.approvers),
        brief=None if preview is None else preview.brief,
        repository=None if preview is None else preview.repository,
        plan=await _plan(request, cluster_id),
        has_planner=given.plans.has_planner,
        has_agent=given.fixes.has_agent,
    )


def _newest(lines: Sequence[str]) -> Sequence[str]:
    """Return the last lines of a job's steps, as many as its box has room for."""
    room, shown = STEP_CHARS, list[str]()
    for line in reversed(lines):
        if len(line) > room:
            break
        room -= len(line)
        shown.append(line)
    return shown[::-1]


async def _plan(request: web.Request, cluster_id: str) -> Plan | None:
    """Return the newest plan of a cluster, None where it has none."""
    try:
        return await dependencies(request).plans.get(request[ACCESS].project.id, cluster_id)
    except NotFound:
        return None


async def first_part(request: web.Request, job: Job) -> LogPart:
    """Return the beginning of a job's log.

    Raises:
        Unavailable: Redis or the archive does not answer; the archive is read for jobs that have ended only.
    """
    return await dependencies(request).job_log_reading.read(job, MemoryPosition(), limit_bytes=LOG_BYTES)
