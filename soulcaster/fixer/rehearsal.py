"""A program that does everything a job needs of the API and changes no code: it rehearses the way of a job.

It shows that a launch backend, its sandbox, the API and the log work together.
"""

import asyncio
import platform
from pathlib import Path

from soulcaster.domain.fixes.order import JobOrder
from soulcaster.fixer.job_client import JobClient

STEPS = (
    "it would clone the repository",
    "it would run the tests",
    "it would let a coding agent change the code",
    "it would run the tests again",
)

STEP_SECONDS = 2.0
"""How long each step takes, so that people can watch."""


async def rehearse(client: JobClient, order: JobOrder) -> None:
    """Go the way of a job that runs, to its end.

    Raises:
        Fenced: the job has ended, or another launch of it has begun.
        ApiRefuses: the server refuses the token.
    """
    client.log(f"rehearsal: Python {platform.python_version()} in {Path.cwd()}")
    has = f"a brief of {len(order.brief):,} characters" if order.brief else "no brief"
    client.log(f"rehearsal: this job has {has}")
    for step in STEPS:
        client.log(f"rehearsal: {step}")
        await asyncio.sleep(STEP_SECONDS)
    await client.report("publishing")
    client.log("rehearsal: it would open a draft pull request; nothing was changed")
    await client.report("succeeded")
