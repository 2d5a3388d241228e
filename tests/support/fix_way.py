"""One launch of a fix on this machine: the real way, sandbox, git and tests, with a GitHub of the tests' own.

The coding agent is a shell script, and the HTTP API a desk that takes the reports.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from soulcaster.domain.fixes.fix import Target
from soulcaster.domain.fixes.order import (
    AgentOrder,
    Credential,
    CredentialUse,
    JobOrder,
    Report,
)
from soulcaster.fixer.agents.runner import CliRunner
from soulcaster.fixer.job_client import JobAddress, job_client
from soulcaster.fixer.progress import Progress
from soulcaster.fixer.run import FixRun, Tools
from soulcaster.fixer.sandbox.bubblewrap import BubblewrapSandbox
from soulcaster.processes.fixer import open_host
from tests.support.github_server import GitHubServer
from tests.support.make import job_order

REPOSITORY = "acme/shop"
BRANCH = "soulcaster/fix-c0ffee00-1"
GITHUB_TOKEN = "ghp_Canary0fTheGitHubT0ken0123456789abcd"  # noqa: S105  of the GitHub of the tests
MODEL_KEY = "sk-canary-of-the-model-key-0123456789"
JOB_TOKEN = "scj_canary.of.the-job-token"  # noqa: S105

SHOP = {
    "shop.py": 'def total(prices):\n    """Return the sum of the prices."""\n    return sum(prices[1:])\n',
    "Makefile": "test:\n\tpython3 -m unittest -v tests/total.py\n",
    "tests/total.py": (
        "import unittest\n\nimport shop\n\n\nclass Total(unittest.TestCase):\n"
        "    def test_of_nothing(self):\n        self.assertEqual(shop.total([]), 0)\n"
    ),
    ".gitignore": "build/\n",
}
"""A repository with a bug, and a test that does not show it."""

HONEST = r"""
sed -i 's/prices\[1:\]/prices/' shop.py
cat >> tests/total.py <<'END'

    def test_of_all_prices(self):
        self.assertEqual(shop.total([2, 3]), 5)
END
echo "The first price was left out of the sum."
"""
"""What an agent does that mends it."""


@dataclass
class Desk:
    """The routes of a job that its program calls; `ended` makes the job end for others."""

    reports: list[dict[str, Any]] = field(default_factory=list)
    log: str = ""
    ended: bool = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else {}
        if self.ended:
            return web.json_response({}, status=409)
        if request.path.endswith("/logs"):
            self.log += body["text"]
        else:
            self.reports.append(body)
        return web.json_response({"job_status": "running"}, status=202)

    @property
    def states(self) -> list[str]:
        """The states that were reported, each once."""
        return list(dict.fromkeys(report["state"] for report in self.reports))

    @property
    def last(self) -> dict[str, Any]:
        """The last report."""
        return self.reports[-1]

    @property
    def everything(self) -> str:
        """All that was said about the job."""
        return self.log + repr(self.reports)


@dataclass
class Way:
    """A GitHub with a repository, and what a launch of a fix of it needs."""

    github: GitHubServer
    place: Path
    base: str
    desk: Desk = field(default_factory=Desk)
    sandbox: BubblewrapSandbox = field(default_factory=BubblewrapSandbox)
    credentials: list[CredentialUse] = field(default_factory=list)

    def order(self, agent: str, **fields: Any) -> JobOrder:
        """Return the order of a job whose coding agent is a script; it gets the prompt's file as its first word."""
        order = job_order(
            job_id="0f3c2b1a-0000-4000-8000-000000000001",
            cluster_id="c0ffee00-0000-4000-8000-000000000001",
            title="The total leaves out the first price",
            branch=BRANCH,
            seconds=120,
            brief="# Brief\n\nThe total of my order leaves out the first price.\n",
            target=Target(REPOSITORY, "main", self.base),
            agent=AgentOrder(
                "command", "scripted", "openai", ("sh", "-c", agent, "agent", "{prompt_file}"), (1.0, 2.0)
            ),
            git_url=self.github.git_url,
            api_url=self.github.api_url,
            cluster_url="http://127.0.0.1:8080/app/projects/p/clusters/c",
            items=3,
            reports=(Report("manual", None), Report("github", "https://github.com/acme/shop/issues/7")),
        )
        return replace(order, **fields)

    async def run(self, agent: str = HONEST, **fields: Any) -> Desk:
        """Run one launch to its end, and return what it reported."""
        order = self.order(agent, **fields)
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{tail:.*}", self.desk.handle)
        async with TestServer(app) as server:
            address = JobAddress(order.job_id, str(server.make_url("/")), JOB_TOKEN)
            async with job_client(address) as client, client.reporting():
                await client.report("running")
                await self.launch(order, Progress(client)).run()
        return self.desk

    def launch(self, order: JobOrder, progress: Progress) -> FixRun:
        """Return a launch; each has a folder of its own, as each has a sandbox of its own."""
        place = self.place / f"launch-{len(list(self.place.iterdir()))}"
        place.mkdir()
        assert order.agent is not None
        return FixRun(
            order,
            progress,
            Tools(
                self.sandbox,
                partial(CliRunner, self.sandbox, order.agent),
                self.credential,
                partial(open_host, order),
                place,
            ),
        )

    async def credential(self, use: CredentialUse) -> Credential:
        """Give a credential, as the API does."""
        self.credentials.append(use)
        return Credential(use, MODEL_KEY if use == "model" else GITHUB_TOKEN)


@asynccontextmanager
async def fix_way(folder: Path, files: Mapping[str, str | bytes] = SHOP) -> AsyncIterator[Way]:
    """Open a GitHub with the repository, and give the way."""
    place = folder / "place"
    place.mkdir()
    server = GitHubServer(folder / "github")
    base = server.add(REPOSITORY, files, people={"soulcaster": "write"})
    server.token(GITHUB_TOKEN, "soulcaster")
    async with server:
        yield Way(server, place, base)
