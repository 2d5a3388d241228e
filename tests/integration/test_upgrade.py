"""Records that the version before wrote: no state, no options, no claims. Worker, web server and launcher read them."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from cryptography.fernet import Fernet

from soulcaster.ports.messaging import Outgoing
from soulcaster.processes.connections import open_publisher
from soulcaster.processes.settings import Settings
from tests.integration.conftest import Program, ready
from tests.support.job_log import job_history

pytestmark = pytest.mark.integration

STATUSES = {"waiting": ["pending"], "running": ["pending", "running"], "ended": ["pending", "running", "success"]}
"""What the version before has said of three jobs; it was to launch each."""


def old_command(project_id: str, job_id: str) -> Outgoing:
    """A command on fix.commands, as docs/messages.md had it."""
    value = {
        "schema_version": 1,
        "job_id": job_id,
        "project_id": project_id,
        "cluster_id": f"cluster of {job_id}",
        "cluster_title": "Login closes the app",
        "requested_by": "api",
        "requested_at": "2026-11-03T09:20:00Z",
    }
    return Outgoing("fix.commands", project_id.encode(), json.dumps(value).encode())


def old_step(project_id: str, job_id: str, seq: int, status: str) -> Outgoing:
    """A step on job.events, as docs/messages.md had it."""
    value = {
        "schema_version": 1,
        "id": None,
        "job_id": job_id,
        "project_id": project_id,
        "cluster_id": f"cluster of {job_id}",
        "seq": seq,
        "status": status,
        "at": f"2026-11-03T09:20:0{seq}Z",
        "log": f"dry run: step {seq}",
        "pr_url": None,
        "error": None,
    }
    return Outgoing("job.events", project_id.encode(), json.dumps(value).encode())


async def test_jobs_of_the_version_before(on_stack: Program, fresh_settings: Settings) -> None:
    project_id = f"upgrade-{fresh_settings.app_id}"
    ids = {name: f"{name}-{project_id}" for name in STATUSES}
    async with open_publisher(fresh_settings) as publisher:
        await publisher.publish([old_command(project_id, job_id) for job_id in ids.values()])
        for name, statuses in STATUSES.items():
            steps = [old_step(project_id, ids[name], seq, status) for seq, status in enumerate(statuses)]
            await publisher.publish(steps)
    secret = Fernet.generate_key().decode()
    for command in ("worker", "web", "launcher"):
        on_stack.start(command, SOULCASTER_SESSION_KEY=secret, SOULCASTER_SECRETS_KEY=secret)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{fresh_settings.port}") as http:
        await ready(http)

        async def job(name: str) -> Any:
            async with http.get(f"/jobs/{ids[name]}", params={"project_id": project_id}) as answer:
                return await answer.json() if answer.status == 200 else {"status": None}

        async with asyncio.timeout(60):
            for name in ids:
                while (await job(name))["status"] != "success":
                    await asyncio.sleep(0.2)
        assert "dry run: step 0" in (await job("ended"))["logs"]
    history = await job_history(fresh_settings, project_id)
    assert {name: history.jobs[ids[name]].launch for name in ids} == {"waiting": 1, "running": 1, "ended": 0}
    assert {job.state for job in history.jobs.values()} == {"succeeded"}
