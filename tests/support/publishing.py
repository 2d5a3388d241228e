"""What a job made, and its way to a GitHub on loopback."""

import asyncio
import dataclasses
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from soulcaster.adapters.github.code_host import GitHubCodeHost
from soulcaster.domain.fixes.fix import Target
from soulcaster.domain.fixes.order import JobOrder
from soulcaster.domain.fixes.outcome import FixOutcome, TestSummary
from soulcaster.domain.fixes.patch import FileChange, Patch
from soulcaster.fixer.publishing import Made, Published, Publishing, Pushed
from tests.support.github_server import GitHubServer
from tests.support.make import job_order

TOKEN = "token-of-mona"  # noqa: S105
NOW = datetime(2026, 11, 1, tzinfo=UTC)
FILES = {"cart.py": "total = 0\n", "README.md": "A shop.\n"}
BRANCH = "soulcaster/fix-abc-1"


def change(old: str = "total = 0", new: str = "total = 1") -> Made:
    """Return a change of one line of cart.py."""
    text = f"diff --git a/cart.py b/cart.py\n--- a/cart.py\n+++ b/cart.py\n@@ -1 +1 @@\n-{old}\n+{new}\n"
    only = FileChange("cart.py", "modified", "100644", "100644", 1, 1, "cart.py")
    run = TestSummary("passed", passed=3)
    outcome = FixOutcome(files=("cart.py",), added=1, deleted=1, before=run, after=run)
    return Made(Patch(text.encode(), (only,)), outcome, "I changed the total.")


def order(server: GitHubServer, repository: str, base: str, **fields: object) -> JobOrder:
    """Return an order for a repository."""
    plain = job_order(
        job_id="job-1",
        title="The cart is empty",
        branch=BRANCH,
        target=Target(repository, "main", base),
        git_url=server.git_url,
        api_url=server.api_url,
        items=17,
    )
    return dataclasses.replace(plain, **fields)  # type: ignore[arg-type]


async def publish(
    of: JobOrder,
    made: Made | None = None,
    *,
    token: str = TOKEN,
    at_point: Callable[[str], None] = lambda name: None,
    branches: list[Pushed | None] | None = None,
) -> Published:
    """Publish a change without ever waiting; `branches` gets what is said of the branch."""
    said: list[Pushed | None] = [] if branches is None else branches

    async def on_branch(pushed: Pushed | None) -> None:
        said.append(pushed)

    async def no_wait(seconds: float) -> None:
        await asyncio.sleep(0)

    with tempfile.TemporaryDirectory() as folder:
        async with GitHubCodeHost(of.api_url, token, lambda: NOW, sleep=no_wait) as host:
            way = Publishing(
                host,
                of,
                token,
                Path(folder),
                now=datetime.now(UTC),
                at_point=at_point,
                on_branch=on_branch,
                sleep=no_wait,
            )
            return await way.publish(made or change())


async def publish_killed(of: JobOrder, point: str, made: Made | None = None) -> None:
    """Publish in a process of its own, which kills itself with SIGKILL at a point."""

    def run() -> None:
        def reached(name: str) -> None:
            if name == point:
                os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(publish(of, made, at_point=reached))

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    await asyncio.to_thread(process.join, 60)
    assert process.exitcode == -signal.SIGKILL, (point, process.exitcode)
