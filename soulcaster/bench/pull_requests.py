"""`soulcaster bench pull-requests`: from a click to a draft pull request, without the work of an agent and of tests.

One job after the other, through the program's own processes, on the launch backend `local`, with its sandbox, git and a
small GitHub on loopback. The coding agent is one shell command and the tests take no time, so what is measured is ours.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from soulcaster.bench.clicks import Clicks, settings_of_jobs
from soulcaster.bench.fixes import LOOK_SECONDS, Spread
from soulcaster.bench.programs import LAUNCHER, WEB, WORKER, Program, wait_until
from soulcaster.bench.small_github import NAME, SmallGitHub
from soulcaster.dev.loopback import free_port
from soulcaster.dev.stack import Stack
from soulcaster.errors import SoulcasterError

HERE = {"project_id": "bench-pull-requests"}

FILES = {
    "shop.sh": "total() { echo $(($1 - $2)); }\n",
    "tests/total.sh": '. ./shop.sh\ntest "$(total 2 0)" = 2\n',
    "Makefile": "test:\n\tsh tests/total.sh\n",
}
"""A program with a bug, and a test that does not show it."""

AGENT = "sh -c 'sed -i s/-/+/ shop.sh; echo \"test \\$(total 2 3) = 5\" >> tests/total.sh; echo done' {prompt_file}"


@dataclass(frozen=True, slots=True)
class PullRequestFigures:
    """From a click to when the read model shows a job as succeeded with its pull request, in seconds."""

    jobs: int
    click_to_pull_request: Spread


async def measure(jobs: int, report: Callable[[int], None]) -> PullRequestFigures:
    """Return the figures of that many jobs, after a first one that warms up; `report` gets how many are done.

    Raises:
        SoulcasterError: a job did not end in a pull request; it says why.
    """
    with tempfile.TemporaryDirectory(prefix="soulcaster-bench-") as name:
        folder = Path(name)
        github = SmallGitHub(folder / "github")
        await asyncio.to_thread(github.create, FILES)
        async with Stack(folder) as stack, github.running(free_port()), AsyncExitStack() as programs:
            await stack.provision()
            port = free_port()
            variables = _variables(port, folder / "jobs", github)
            for process in (WORKER, WEB, LAUNCHER):
                await programs.enter_async_context(Program(process, stack.settings, **variables))
            http = await programs.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{port}"))
            person = Clicks(http, HERE)
            bench = _Bench(http, person)
            cluster_id = await person.make_cluster("The total is wrong")
            await bench.connect()
            times = []
            for done in range(jobs + 1):
                times.append(await bench.run_job(cluster_id))
                report(done)
    return PullRequestFigures(jobs, Spread.of(times[1:]))


def _variables(port: int, jobs: Path, github: SmallGitHub) -> dict[str, str]:
    return {
        **settings_of_jobs(port, jobs),
        "SOULCASTER_PROJECT_USD_PER_DAY": "100000",
        "SOULCASTER_AGENT": "command",
        "SOULCASTER_AGENT_COMMAND": AGENT,
        "SOULCASTER_MODEL": "none",
        "SOULCASTER_MODEL_KEY": "none-is-needed",
        "SOULCASTER_MODEL_PRICES": '{"none": [0, 0]}',
        "SOULCASTER_GITHUB_URL": github.url,
        "SOULCASTER_GITHUB_API_URL": github.api_url,
        "GITHUB_TOKEN": "bench",
    }


class _Bench:
    """Clicks and waits."""

    def __init__(self, http: aiohttp.ClientSession, person: Clicks) -> None:
        self._http = http
        self._person = person
        self._job: dict[str, Any] = {}

    async def connect(self) -> None:
        """Give the project its repository."""
        body = {"version": 0, "repositories": [NAME]}
        async with self._http.put("/config/project", params={**HERE, "wait": "20"}, json=body) as got:
            if got.status != 200:
                raise SoulcasterError(f"the settings of the project were answered {got.status}: {await got.text()}")

    async def run_job(self, cluster_id: str) -> float:
        """Start a job by a click, and return after how many seconds its pull request shows."""
        clicked = time.perf_counter()
        job_id = await self._person.start_fix(cluster_id)

        async def ended() -> bool:
            async with self._http.get(f"/jobs/{job_id}", params=HERE) as got:
                self._job = await got.json() if got.status == 200 else {}
            return self._job.get("status") in {"success", "failed"}

        await wait_until(ended, 5 * LOOK_SECONDS)
        took = time.perf_counter() - clicked
        if not self._job["pr_url"]:
            raise SoulcasterError(f"a job ended without a pull request: {self._job['error']}")
        return took
