"""The program of a job, composed: `soulcaster fix run`, which a launch backend starts."""

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from soulcaster.domain.fixes.order import AgentOrder, Credential, JobOrder
from soulcaster.errors import Fenced
from soulcaster.fixer.job_client import JobAddress, JobClient, job_client
from soulcaster.fixer.rehearsal import rehearse
from soulcaster.isolation.descendants import forbid_tracing
from soulcaster.isolation.files import remove
from soulcaster.processes.clock import utc_now
from soulcaster.processes.signals import cancelled_by

if TYPE_CHECKING:
    from soulcaster.adapters.github.code_host import GitHubCodeHost
    from soulcaster.ports.code_host import CodeHost


async def run_fix(address: JobAddress) -> bool:
    """Do the work of one launch of a job, and return whether it came to its end; False when the job ended meanwhile.

    Raises:
        ApiRefuses: the server refuses the token.
        CancelledError: SIGTERM came.
        Unavailable: GitHub does not answer; the launcher launches the job again.
    """
    forbid_tracing()  # the job token is in our environment, which other processes of this user could read
    with cancelled_by(signal.SIGTERM):  # which a backend sends before it kills, so that the fix cleans up
        async with job_client(address) as client:
            try:
                async with client.reporting():
                    await client.report("running")
                    order = await client.order()
                    if order.target is None or order.agent is None:
                        await rehearse(client, order)
                    else:
                        await _fix(client, order, order.agent)
            except Fenced:
                return False
    return True


async def _fix(client: JobClient, order: JobOrder, agent: AgentOrder) -> None:
    # Imported here, because a rehearsal does without, and the first report of a job must come soon.
    from soulcaster.fixer.agents.runner import CliRunner
    from soulcaster.fixer.model_proxy.proxy import ModelProxy
    from soulcaster.fixer.progress import Progress
    from soulcaster.fixer.run import FixRun, Tools
    from soulcaster.fixer.sandbox.bubblewrap import BubblewrapSandbox
    from soulcaster.fixer.sandbox.egress import LateEgress
    from soulcaster.fixer.sandbox.registries import registry_hosts

    async def hosts() -> frozenset[str]:
        return await registry_hosts() | {*order.rules.hosts}

    progress = Progress(client)
    asking = asyncio.create_task(hosts())  # it takes a second or two: meanwhile the repository is cloned
    model = ModelProxy(
        partial(client.credential, "model"),
        agent,
        budget_usd=order.budget_usd,
        spent_usd=order.spent_usd,
        on_spent=progress.spent,
    )
    folder = Path(tempfile.mkdtemp(prefix="fix-"))
    try:
        place, scratch = (Path(tempfile.mkdtemp(dir=folder)) for _ in range(2))
        sandbox = BubblewrapSandbox({"registries": (LateEgress(asking),), "model": (model,)}, place=scratch)
        tools = Tools(sandbox, partial(CliRunner, sandbox, agent), client.credential, partial(open_host, order), place)
        await FixRun(order, progress, tools).run()
    finally:
        asking.cancel()
        await asyncio.to_thread(remove, folder)


@asynccontextmanager
async def open_host(order: JobOrder, credential: Credential) -> "AsyncIterator[CodeHost]":
    """Give GitHub as a credential reaches it."""
    adapter = await asyncio.to_thread(_adapter)
    async with adapter(order.api_url, credential.secret, utc_now) as host:
        yield host


def _adapter() -> "type[GitHubCodeHost]":
    """Import GitHub's library, which takes two seconds."""
    from soulcaster.adapters.github.code_host import GitHubCodeHost

    return GitHubCodeHost
