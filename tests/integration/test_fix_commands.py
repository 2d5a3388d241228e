"""`soulcaster fix` on a running stack: a job from its start to its log, and one that is cancelled."""

import asyncio
import json
from subprocess import CompletedProcess

import aiohttp
import pytest
from cryptography.fernet import Fernet

from soulcaster.processes.settings import Settings
from tests.integration.conftest import Program, ready, settled

pytestmark = pytest.mark.integration


async def test_a_fix_is_started_followed_shown_and_cancelled(on_stack: Program, fresh_settings: Settings) -> None:
    project = f"fix-{fresh_settings.app_id}"

    async def fix(*arguments: str, code: int = 0) -> CompletedProcess[str]:
        return await asyncio.to_thread(on_stack, "fix", *arguments, "--project", project, code=code)

    for command in ("worker", "web"):
        key = Fernet.generate_key().decode()
        on_stack.start(command, SOULCASTER_SESSION_KEY=key, SOULCASTER_SECRETS_KEY=key)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{fresh_settings.port}") as http:
        await ready(http)
        for text in ("the export is broken", "I love the new colours"):
            async with http.post("/ingest/manual", params={"project_id": project}, json={"text": text}) as answer:
                assert answer.status == 202
        await settled(fresh_settings, project, 2)
        async with http.get("/clusters", params={"project_id": project}) as answer:
            first, second = [cluster["id"] for cluster in await answer.json()]

    waiting = await fix("start", first)
    job_id = waiting.stdout.strip()
    assert f"Done: job {job_id}." in waiting.stderr
    again = await fix("start", first, code=1)
    assert "under way already" in again.stderr
    cancelled = await fix("cancel", job_id)
    assert cancelled.stdout == f"Job {job_id} is cancelled.\n"

    on_stack.start("launcher", SOULCASTER_SECRETS_KEY=Fernet.generate_key().decode())
    other = (await fix("start", second)).stdout.strip()
    followed = await fix("logs", other, "--follow")
    assert "dry run: done, nothing was changed" in followed.stdout
    shown = json.loads((await fix("show", other)).stdout)
    assert (shown["state"], shown["runner"], shown["attempt"], shown["launches"]) == ("succeeded", "dry-run", 1, 1)
    listed = json.loads((await fix("list", "--json")).stdout)
    assert [(job["id"], job["state"], job["launches"]) for job in listed] == [
        (other, "succeeded", 1),
        (job_id, "cancelled", 0),
    ]
    table = (await fix("list")).stdout
    assert "succeeded" in table
    assert "cancelled" in table
    unknown = await fix("approve", other, code=1)
    assert "does not wait for approval" in unknown.stderr
