"""The whole chain as its users meet it: HTTP in, clusters and jobs out, by the program's own processes."""

import asyncio
from typing import Any

import aiohttp
import pytest
from cryptography.fernet import Fernet

from soulcaster.settings import Settings
from tests.integration.conftest import Program, settled

pytestmark = pytest.mark.integration


async def test_from_a_post_to_a_job_that_has_succeeded(on_stack: Program, fresh_settings: Settings) -> None:
    for command in ("worker", "web", "launcher"):
        on_stack.start(command, SOULCASTER_SESSION_KEY=Fernet.generate_key().decode())
    here = {"project_id": f"chain-{fresh_settings.app_id}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{fresh_settings.port}") as http:

        async def get(path: str) -> Any:
            async with http.get(path, params=here) as answer:
                assert answer.status == 200, await answer.text()
                return await answer.json()

        await _ready(http)
        for text in ("the export is broken", "the export is broken", "I love the new colours"):
            async with http.post("/ingest/manual", params=here, json={"text": text}) as answer:
                assert answer.status == 202, await answer.text()
                posted = await answer.json()
        await settled(fresh_settings, here["project_id"], 3)
        clusters = await get("/clusters")
        assert [cluster["count"] for cluster in clusters] == [2, 1]
        item = await get(f"/feedback/{posted['id']}")
        assert (item["body"], item["clustered"]) == ("I love the new colours", True)

        path = f"/clusters/{clusters[0]['id']}/start_fix"
        answers = [http.post(path, params=here) for _ in range(2)]  # a double click
        asked = []
        for click in answers:
            async with click as answer:
                asked.append((answer.status, await answer.json()))
        assert asked[0][0] == 202
        job_id = asked[0][1]["job_id"]
        async with asyncio.timeout(60):
            while True:
                jobs = await get("/jobs")
                if jobs and jobs[0]["status"] == "success":
                    break
                await asyncio.sleep(0.2)
        assert [job["id"] for job in jobs] == [job_id]
        job = await get(f"/jobs/{job_id}")
        assert "dry run" in job["logs"]
        assert (await get("/stats"))["jobs"] == 1


async def _ready(http: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                async with http.get("/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass  # not listening yet
            await asyncio.sleep(0.1)
