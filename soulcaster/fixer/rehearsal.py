"""A program that does everything a job needs of the API and changes no code: it rehearses the way of a job.

It shows that a launch backend, its sandbox, the API and the log work together.
"""

import asyncio
import platform
from pathlib import Path

from soulcaster.errors import Fenced
from soulcaster.fixer.job_client import JobAddress, JobClient, job_client

STEPS = (
    "it would clone the repository",
    "it would run the tests",
    "it would let a coding agent change the code",
    "it would run the tests again",
)

STEP_SECONDS = 2.0
"""How long each step takes, so that people can watch."""


async def rehearse(address: JobAddress, *, step_seconds: float = STEP_SECONDS) -> bool:
    """Go the way of a job, and return whether it came to its end; False when the job ended meanwhile.

    Raises:
        ApiRefuses: the server refuses the token.
    """
    async with job_client(address) as client:
        try:
            async with client.reporting():
                await _go(client, step_seconds)
        except Fenced:
            return False
    return True


async def _go(client: JobClient, step_seconds: float) -> None:
    await client.report("running")
    client.log(f"rehearsal: Python {platform.python_version()} in {Path.cwd()}")
    order = await client.order()
    has = f"a brief of {len(order.brief):,} characters" if order.brief else "no brief"
    client.log(f"rehearsal: this job has {has}")
    for step in STEPS:
        client.log(f"rehearsal: {step}")
        await asyncio.sleep(step_seconds)
    await client.report("publishing")
    client.log("rehearsal: it would open a draft pull request; nothing was changed")
    await client.report("succeeded")
