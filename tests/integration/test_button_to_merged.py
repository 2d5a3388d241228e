"""From the button to a merged pull request and back: the whole way of a fix, on the running stack.

Kafka, Redis, the worker, the web server, the launcher and its backend `local` are real, and so are the program of the
job, its sandbox, git over HTTP and the tests of the repository. GitHub is the server of the tests' own; the coding
agent is a script.
"""

import asyncio
import hashlib
import hmac
import json
import shlex
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from cryptography.fernet import Fernet

from soulcaster.processes.settings import Settings
from tests.integration.conftest import Program, ready, settled
from tests.support.github_server import GitHubServer
from tests.support.github_state import Pull

pytestmark = pytest.mark.integration

REPOSITORY = "acme/shop"
TOKEN = "ghp_of_the_server"  # noqa: S105  of the GitHub of these tests
MODEL_KEY = "sk-of-nobody"
WEBHOOK_SECRET = "the secret of the webhook"  # noqa: S105

SHOP = {
    "shop.py": 'def total(prices):\n    """Return the sum of the prices."""\n    return sum(prices[1:])\n',
    "Makefile": "test:\n\tpython3 -m unittest -v tests/total.py\n",
    "tests/total.py": (
        "import unittest\n\nimport shop\n\n\nclass Total(unittest.TestCase):\n"
        "    def test_of_nothing(self):\n        self.assertEqual(shop.total([]), 0)\n"
    ),
}
AGENT = r"""
test -r "$1" || exit 3
grep -q 'total of my order' "$1" || exit 4
sed -i 's/prices\[1:\]/prices/' shop.py
cat >> tests/total.py <<'END'

    def test_of_all_prices(self):
        self.assertEqual(shop.total([2, 3]), 5)
END
echo "The first price was left out of the sum."
"""


@pytest_asyncio.fixture
async def github(tmp_path: Path) -> AsyncIterator[GitHubServer]:
    server = GitHubServer(tmp_path / "github", described=True)
    server.add(REPOSITORY, SHOP, people={"soulcaster": "write", "kim": "write"})
    server.token(TOKEN, "soulcaster")
    async with server:
        yield server


class Site:
    """The API as a person and as GitHub call it, for one project."""

    def __init__(self, http: aiohttp.ClientSession, project_id: str) -> None:
        self._http = http
        self._here = {"project_id": project_id}

    async def get(self, path: str) -> Any:
        async with self._http.get(path, params=self._here) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def send(self, method: str, path: str, body: Any = None, *, status: int) -> Any:
        async with self._http.request(method, path, params=self._here, json=body) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def webhook(self, event: str, payload: Mapping[str, Any]) -> None:
        """Send a webhook as GitHub does."""
        raw = json.dumps(payload).encode()
        signature = hmac.new(WEBHOOK_SECRET.encode(), raw, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": str(uuid4()),
            "X-Hub-Signature-256": f"sha256={signature}",
        }
        async with self._http.post("/ingest/github", params=self._here, data=raw, headers=headers) as answer:
            assert answer.status == 202, await answer.text()

    async def ended(self, job_id: str) -> Any:
        """Return a job that has succeeded."""
        async with asyncio.timeout(120):
            while (job := await self.until(f"/jobs/{job_id}"))["status"] not in {"success", "failed"}:
                await asyncio.sleep(0.1)
        assert job["status"] == "success", job
        return job

    async def until(self, path: str, seconds: float = 60, **wanted: Any) -> Any:
        """Return what is at a path as soon as its fields are as wanted."""
        shown: Any = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    async with self._http.get(path, params=self._here) as answer:  # 404: it does not show yet
                        shown = await answer.json() if answer.status == 200 else {}
                    if shown and all(shown[name] == value for name, value in wanted.items()):
                        return shown
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{path} is not {wanted} after {seconds} s: {json.dumps(shown, indent=1)}") from None


def pull_payload(github: GitHubServer, pull: Pull, *, merged_at: datetime) -> dict[str, Any]:
    """Return what GitHub sends when a pull request was merged."""
    at = merged_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "action": "closed",
        "number": pull.number,
        "pull_request": {
            "number": pull.number,
            "html_url": f"{github.git_url}/{REPOSITORY}/pull/{pull.number}",
            "state": "closed",
            "merged": True,
            "merged_at": at,
            "updated_at": at,
            "closed_at": at,
            "head": {"ref": pull.head_branch, "sha": pull.head_commit, "repo": {"full_name": REPOSITORY}},
            "base": {"ref": pull.base, "repo": {"full_name": REPOSITORY}},
        },
        "repository": {"full_name": REPOSITORY},
        "sender": {"login": "kim", "type": "User"},
    }


def checks_payload(pull: Pull) -> dict[str, Any]:
    """Return what GitHub sends when the checks of a commit have ended."""
    suite = {
        "head_branch": pull.head_branch,
        "head_sha": pull.head_commit,
        "conclusion": "success",
        "pull_requests": [],
    }
    return {"action": "completed", "check_suite": suite, "repository": {"full_name": REPOSITORY}}


async def test_from_the_button_to_a_merged_pull_request_and_back(
    program: Program, fresh_settings: Settings, github: GitHubServer
) -> None:
    project = f"button-{fresh_settings.app_id}"
    key = Fernet.generate_key().decode()
    settings = fresh_settings.model_copy(
        update={
            "backends": "local",
            "local_jobs_folder": program.data_dir / "jobs",
            "agent": "command",
            "agent_command": f"sh -c {shlex.quote(AGENT)} agent {{prompt_file}}",
            "model": "scripted",
            "model_prices": '{"scripted": [1, 2]}',
            "github_url": github.git_url,
            "github_api_url": github.api_url,
        }
    )
    program.beside(settings)
    secrets = {
        "SOULCASTER_SESSION_KEY": key,
        "SOULCASTER_SECRETS_KEY": key,
        "SOULCASTER_MODEL_KEY": MODEL_KEY,
        "GITHUB_TOKEN": TOKEN,
    }
    for command in ("worker", "web", "launcher"):
        program.start(command, **secrets)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{fresh_settings.port}") as http:
        await ready(http)
        site = Site(http, project)
        await site.send(
            "POST", "/ingest/manual", {"text": "The total of my order leaves out the first price"}, status=202
        )
        await settled(fresh_settings, project, 1)
        await site.send(
            "PUT",
            "/config/project",
            {"version": 0, "repositories": [REPOSITORY]},
            status=202,
        )
        await site.send("POST", "/webhook-secrets", {"source": "github", "secret": WEBHOOK_SECRET}, status=201)
        [cluster] = await site.get("/clusters")
        at = f"/clusters/{cluster['id']}"

        await site.until("/config/project", version=1)

        # the button: a job, a branch, tests before and after, and a draft pull request
        job_id = (await site.send("POST", f"{at}/start_fix", {}, status=202))["job_id"]
        job = await site.ended(job_id)
        log = "".join((await site.get(f"/jobs/{job_id}/logs"))["chunks"])
        assert job["pr_url"], log
        [pull] = github.repositories[REPOSITORY].pulls.values()
        assert job["pr_url"].endswith(f"/{REPOSITORY}/pull/{pull.number}")
        assert (pull.draft, pull.base, pull.head_branch) == (True, "main", job["branch"])
        changed = github.git.read(REPOSITORY, job["branch"], "shop.py")
        assert "sum(prices)" in changed
        outcome = job["outcome"]
        assert (outcome["files"], outcome["before"]["status"], outcome["after"]["status"]) == (
            ["shop.py", "tests/total.py"],
            "passed",
            "passed",
        )
        await site.until(at, status="pr_opened")
        for secret in (TOKEN, MODEL_KEY, key):
            assert secret not in log

        # GitHub: checks, then the merge
        github.add_check(REPOSITORY, github.head_commit(pull), "ci", "success")
        await site.webhook("check_suite", checks_payload(pull))
        await site.until(f"/jobs/{job_id}", pr_checks="passed", pr_state="open")
        github.merge(REPOSITORY, pull.number)
        await asyncio.sleep(1.1)  # GitHub tells times to the second: the merge comes after the reports
        await site.webhook("pull_request", pull_payload(github, pull, merged_at=datetime.now(UTC)))
        await site.until(at, status="resolved")
        assert (await site.until(f"/jobs/{job_id}", pr_state="merged"))["status"] == "success"

        # the problem is reported again: it is back
        await site.send(
            "POST", "/ingest/manual", {"text": "The total of my order leaves out the first price again"}, status=202
        )
        await site.until(at, status="regressed")
