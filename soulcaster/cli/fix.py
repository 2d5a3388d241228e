"""`soulcaster fix`: the jobs of coding agents, for people who can reach Kafka and Redis anyway."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from soulcaster.cli.options import AsJson, DataDir, ProjectName, complete, settings_of
from soulcaster.cli.output import say, say_json
from soulcaster.processes.clock import utc_now
from soulcaster.processes.data_dir import DEFAULT_DATA_DIR

if TYPE_CHECKING:
    from soulcaster.domain.lifecycle import Job
    from soulcaster.ports.messaging import Publisher
    from soulcaster.ports.read_model import ReadModel
    from soulcaster.processes.settings import Settings
    from soulcaster.services.job_log_reading import LogPart
    from soulcaster.web.api.jobs.models import JobOut

BY = "command line"

OUTCOME_SECONDS = 10.0
"""How long a command waits until its effect can be read."""

PART_BYTES = 1024 * 1024
"""How much of a log is read at once."""

LISTED = 20
"""Jobs that a table lists by default."""

JobId = Annotated[str, typer.Argument(metavar="JOB", help="A job's id, as `soulcaster fix list` shows it.")]

app = typer.Typer(no_args_is_help=True, help="Start, list, follow, approve and cancel the jobs that fix clusters.")


@app.command()
def start(
    cluster: Annotated[
        str, typer.Argument(metavar="CLUSTER", help="A cluster's id, as `soulcaster clusters` shows it.")
    ],
    project: ProjectName,
    repository: Annotated[
        str | None, typer.Option("--repository", metavar="OWNER/NAME", help="Which repository it changes.")
    ] = None,
    backend: Annotated[str | None, typer.Option("--backend", metavar="NAME", help="Where the job runs.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Start a fix of a cluster, and print the id of its job.

    `soulcaster fix start e83bfa2a-… --project 'My app'`

    `soulcaster fix logs $(soulcaster fix start e83bfa2a-… -p 'My app') -p 'My app' --follow`
    """
    job_id, notice = complete(_start(settings_of(data_dir), project, cluster, repository, backend))
    say(job_id)
    say(notice, err=True)


@app.command()
def approve(job: JobId, project: ProjectName, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Let a job start that waits for approval.

    `soulcaster fix approve 9c1b9e5a-… --project 'My app'`
    """
    say(complete(_approve(settings_of(data_dir), project, job)))


@app.command("list")
def list_jobs(
    project: ProjectName,
    as_json: AsJson = False,
    cluster: Annotated[str | None, typer.Option("--cluster", metavar="CLUSTER", help="Only jobs of this one.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = LISTED,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """List a project's jobs, newest first.

    `soulcaster fix list --project 'My app'`
    """
    from soulcaster.terminal import console, table

    found = complete(_listed(settings_of(data_dir), project, cluster, limit))
    if as_json:
        say_json([_shown(job).model_dump(mode="json") for job in found])
        return
    listed = table("Created", "State", "Backend", "Launches", "Cost", "Job", "Cluster")
    for job in found:
        backend = "" if job.fix is None else job.fix.options.backend
        cost = f"${job.cost_usd:.2f}" if job.cost_usd else ""
        listed.add_row(_when(job.created_at), job.state, backend, str(job.launch), cost, job.id, job.cluster_id)
    console().print(listed)


@app.command()
def show(job: JobId, project: ProjectName, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Print all that is known of a job, as JSON; `soulcaster fix logs` has its log.

    `soulcaster fix show 9c1b9e5a-… --project 'My app'`
    """
    say_json(_shown(complete(_one(settings_of(data_dir), project, job))).model_dump(mode="json", exclude={"logs"}))


@app.command()
def logs(
    job: JobId,
    project: ProjectName,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Print a job's log; secrets in it are replaced.

    `soulcaster fix logs 9c1b9e5a-… --project 'My app' --follow`
    """
    complete(_print_log(settings_of(data_dir), project, job, follow))


@app.command()
def cancel(job: JobId, project: ProjectName, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """End a job; the launcher stops it within seconds.

    `soulcaster fix cancel 9c1b9e5a-… --project 'My app'`
    """
    ended = complete(_cancelled(settings_of(data_dir), project, job))
    say(f"Job {ended.id} is {ended.state}.")


@app.command(hidden=True)
def run() -> None:
    """Do the work of one job; a launch backend starts this, with JOB_ID, BACKEND_URL and JOB_TOKEN."""
    from soulcaster.fixer.job_client import JobAddress
    from soulcaster.processes.fixer import run_fix

    try:
        came_to_its_end = complete(run_fix(JobAddress.from_environment(os.environ)))
    except asyncio.CancelledError:
        say("SIGTERM ended the job; what it had pushed without a pull request is removed.", err=True)
        sys.exit(128 + signal.SIGTERM)
    if not came_to_its_end:
        say("The job has ended, or another launch of it has begun.", err=True)
        sys.exit(3)


@asynccontextmanager
async def _project(settings: "Settings", project: str) -> "AsyncIterator[tuple[ReadModel, str]]":
    """Give the read model, and the id of a project that is given by id or name."""
    from soulcaster.processes.connections import open_read_model
    from soulcaster.services.projects import find_project

    async with open_read_model(settings) as read_model:
        yield read_model, (await find_project(read_model.projects, project)).id


async def _start(
    settings: "Settings", project: str, cluster: str, repository: str | None, backend: str | None
) -> tuple[str, str]:
    """Return the id of the job, and what came of the request, for people."""
    from soulcaster.processes.connections import open_publisher
    from soulcaster.processes.fixes import open_fixes
    from soulcaster.services.fixes import FixRequest

    async with (
        _project(settings, project) as (read_model, project_id),
        open_publisher(settings) as publisher,
        open_fixes(settings, publisher, read_model) as fixes,
    ):
        request = FixRequest(BY, may_approve=True, backend=backend, repository=repository)
        requested = await fixes.start(project_id, cluster, request)
        return requested.job_id, await _outcome(publisher, read_model, project_id, requested.command_id)


async def _approve(settings: "Settings", project: str, job_id: str) -> str:
    from soulcaster.processes.connections import open_publisher
    from soulcaster.processes.fixes import open_fixes
    from soulcaster.services.lookup import known_job

    async with (
        _project(settings, project) as (read_model, project_id),
        open_publisher(settings) as publisher,
        open_fixes(settings, publisher, read_model) as fixes,
    ):
        command_id = await fixes.approve(await known_job(read_model.jobs, project_id, job_id), by=BY)
        return await _outcome(publisher, read_model, project_id, command_id)


async def _outcome(publisher: "Publisher", read_model: "ReadModel", project_id: str, command_id: str) -> str:
    """Return what became of a command, for people.

    Raises:
        Conflict: it was refused.
    """
    from soulcaster.errors import Conflict
    from soulcaster.services.cluster_commands import ClusterCommands

    commands = ClusterCommands(publisher, read_model.commands)
    view = await commands.outcome(project_id, command_id, seconds=OUTCOME_SECONDS)
    if view is None:
        return "Requested; no worker has decided on it yet."
    if view.outcome == "refused":
        raise Conflict(f"This was refused: {view.reason}.")
    return f"Done: {view.reason}."


async def _listed(settings: "Settings", project: str, cluster: str | None, limit: int) -> "Sequence[Job]":
    from soulcaster.services.paging import first_of

    async with _project(settings, project) as (read_model, project_id):
        jobs = first_of(
            lambda most, after: read_model.jobs.list(project_id, cluster_id=cluster, limit=most, offset=0, after=after),
            limit,
        )
        return [job async for job in jobs]


async def _one(settings: "Settings", project: str, job_id: str) -> "Job":
    from soulcaster.services.lookup import known_job

    async with _project(settings, project) as (read_model, project_id):
        return await known_job(read_model.jobs, project_id, job_id)


async def _cancelled(settings: "Settings", project: str, job_id: str) -> "Job":
    from soulcaster.domain.lifecycle import active
    from soulcaster.processes.connections import open_publisher
    from soulcaster.services.jobs import Jobs
    from soulcaster.services.lookup import known_job

    async with _project(settings, project) as (read_model, project_id), open_publisher(settings) as publisher:
        jobs = Jobs(publisher, read_model.jobs, read_model.clusters, utc_now)
        job = await jobs.cancel(await known_job(read_model.jobs, project_id, job_id), by=BY)
        return await jobs.until(job.id, lambda known: not active(known), seconds=OUTCOME_SECONDS) or job


async def _print_log(settings: "Settings", project: str, job_id: str, follow: bool) -> None:
    from soulcaster.domain.fixes.fix import MAX_JOB_SECONDS
    from soulcaster.domain.fixes.log_position import LogPosition, MemoryPosition
    from soulcaster.processes.job_logs import log_archive
    from soulcaster.services.job_log_reading import JobLogReading
    from soulcaster.services.lookup import known_job

    async with _project(settings, project) as (read_model, project_id):
        job = await known_job(read_model.jobs, project_id, job_id)
        reading = JobLogReading(read_model.job_logs, read_model.jobs, log_archive(settings.log_archive))
        if follow:
            with reading.following(BY) as follower:
                async for part in reading.parts(follower, job.id, MemoryPosition(), seconds=MAX_JOB_SECONDS):
                    _print_part(part)
            return
        after: LogPosition = MemoryPosition()
        more = True
        while more:
            part = await reading.read(job, after, limit_bytes=PART_BYTES)
            _print_part(part)
            after, more = part.position, part.more


def _print_part(part: "LogPart") -> None:
    if part.dropped:
        say(f"... {part.dropped:,} bytes of the log are not kept here ...", err=True)
    say("".join(part.texts), end="")
    sys.stdout.flush()


def _shown(job: "Job") -> "JobOut":
    from soulcaster.web.api.jobs.models import JobOut

    return JobOut.of(job)


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
