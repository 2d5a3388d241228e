"""The whole chain as its users meet it: HTTP in, clusters and jobs out, by the program's own processes."""

import asyncio
from typing import Any

import aiohttp
import pytest
from cryptography.fernet import Fernet
from redis.asyncio import Redis

from soulcaster.processes.settings import Settings
from tests.integration.conftest import Program, ready, settled

pytestmark = pytest.mark.integration


async def test_from_a_post_to_a_job_that_has_succeeded(on_stack: Program, fresh_settings: Settings) -> None:
    for command in ("worker", "web", "launcher"):
        key = Fernet.generate_key().decode()
        on_stack.start(command, SOULCASTER_SESSION_KEY=key, SOULCASTER_SECRETS_KEY=key)
    here = {"project_id": f"chain-{fresh_settings.app_id}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{fresh_settings.port}") as http:

        async def get(path: str) -> Any:
            async with http.get(path, params=here) as answer:
                assert answer.status == 200, await answer.text()
                return await answer.json()

        await ready(http)
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

        secret = on_stack(
            "keys", "create", "--project", here["project_id"], "--name", "CI", "--scope", "read"
        ).stdout.strip()

        async def with_key(status: int) -> Any:
            async with asyncio.timeout(30):
                while True:
                    async with http.get("/stats", headers={"X-API-Key": secret}) as answer:
                        if answer.status == status:
                            return await answer.json()
                    await asyncio.sleep(0.1)

        assert (await with_key(200))["total_feedback"] == 3

        async def everything() -> list[Any]:
            known = [await get(path) for path in ("/feedback", "/clusters", "/jobs", "/stats", "/clustering/status")]
            of_clusters = [await get(f"/clusters/{cluster['id']}") for cluster in known[1]]
            return [*known, *of_clusters, await get(f"/jobs/{job_id}"), await with_key(200), await get("/keys")]

        async with asyncio.timeout(90):  # the round of a quiet project: once it has ended, nothing changes by itself
            while (status := (await get("/clustering/status"))["status"]) is None or status["state"] != "idle":
                await asyncio.sleep(0.5)
        before = await everything()
        async with Redis.from_url(fresh_settings.redis_url) as redis:
            await redis.set("vector:x", "kept")
        assert "Rebuilt from" in on_stack("rebuild").stdout
        assert await everything() == before
        async with Redis.from_url(fresh_settings.redis_url) as redis:
            assert await redis.get("vector:x") == b"kept"
            await redis.flushall()
        await with_key(401)
        on_stack("rebuild")
        after = await everything()
        after[-1][0]["last_used_at"] = before[-1][0]["last_used_at"]  # of no topic
        assert after == before
        [key] = await get("/keys")
        assert "Revoked 'CI'" in on_stack("keys", "revoke", key["id"], "--project", here["project_id"]).stdout
        await with_key(401)
        assert "revoked" in on_stack("keys", "list", "--project", here["project_id"]).stdout
