"""Many people press the button at once: one job a cluster, the limits hold exactly, and nothing is lost."""

import asyncio
import random
from collections import Counter
from typing import Any

import aiohttp
import pytest
from cryptography.fernet import Fernet

from soulcaster.domain.lifecycle import active
from soulcaster.processes.settings import Settings
from tests.integration.conftest import Program, ready, settled
from tests.support.job_log import job_history

pytestmark = pytest.mark.integration

CLUSTERS, CALLERS, CLICKS = 50, 20, 1_000
AT_ONCE = 7
LATER = 5
"""Clusters whose first click was refused that are clicked again."""


def unlike_texts(count: int) -> list[str]:
    """Texts without a word in common."""
    chance = random.Random(7)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [" ".join("".join(chance.choices(letters, k=9)) for _ in range(12)) for _ in range(count)]


class Clickers:
    """Callers that press the button, and what they were answered."""

    def __init__(self, http: aiohttp.ClientSession, project_id: str) -> None:
        self._http = http
        self._here = {"project_id": project_id}
        self.answers: Counter[int] = Counter()
        self.accepted: dict[str, str] = {}
        """The job that each accepted command leads to."""
        self.clusters: dict[str, str] = {}
        """The cluster of each such job."""

    async def get(self, path: str, **query: str) -> Any:
        async with self._http.get(path, params={**self._here, **query}) as answer:
            return await answer.json() if answer.status == 200 else None

    async def click(self, cluster_id: str) -> bool:
        """Press the button of a cluster; return whether that was accepted."""
        async with self._http.post(f"/clusters/{cluster_id}/start_fix", params=self._here) as answer:
            self.answers[answer.status] += 1
            assert answer.status in {202, 409, 429}, await answer.text()
            if answer.status != 202:
                return False
            said = await answer.json()
        self.accepted[said["command_id"]] = said["job_id"]
        self.clusters[said["job_id"]] = cluster_id
        return True

    async def outcome(self, command_id: str) -> str:
        """Return whether a command was applied or refused, as soon as that can be read."""
        async with asyncio.timeout(60):
            while (found := await self.get(f"/commands/{command_id}")) is None or found["outcome"] == "waiting":
                await asyncio.sleep(0.1)
        return str(found["outcome"])

    async def until_all_ended(self, count: int) -> None:
        """Return once the project has that many jobs and all have ended."""
        async with asyncio.timeout(90):
            while True:
                jobs = await self.get("/jobs", limit="1000")
                if len(jobs) >= count and all(job["status"] in {"success", "failed"} for job in jobs):
                    return
                await asyncio.sleep(0.2)


async def _stay_apart(http: aiohttp.ClientSession, here: dict[str, str]) -> None:
    """Make every text a cluster of its own."""
    async with http.put("/clustering/config", params=here, json={"threshold": 1.0}) as answer:
        assert answer.status == 202, await answer.text()
        command = (await answer.json())["command_id"]
    async with asyncio.timeout(60):
        while True:
            async with http.get(f"/commands/{command}", params=here) as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.1)


async def test_a_thousand_clicks_of_twenty_callers_on_fifty_clusters(
    program: Program, fresh_settings: Settings
) -> None:
    limits = {"project_jobs": CLUSTERS, "project_jobs_per_day": CLICKS, "launcher_jobs": AT_ONCE}
    program.beside(fresh_settings.model_copy(update=limits))
    secret = Fernet.generate_key().decode()
    project_id = f"clicks-{fresh_settings.app_id}"
    for command in ("worker", "web", "launcher"):
        program.start(command, SOULCASTER_SESSION_KEY=secret, SOULCASTER_SECRETS_KEY=secret)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{fresh_settings.port}") as http:
        await ready(http)
        here = {"project_id": project_id}
        await _stay_apart(http, here)
        for text in unlike_texts(CLUSTERS):
            async with http.post("/ingest/manual", params=here, json={"text": text}) as answer:
                assert answer.status == 202
        await settled(fresh_settings, project_id, CLUSTERS)
        policy = {"concurrent_jobs": AT_ONCE, "job_usd": 0}
        async with http.put(
            "/config/project",
            params={**here, "wait": "20"},
            json={"version": 0, "policy": policy, "threshold": 1.0},
        ) as answer:
            assert answer.status == 200, await answer.text()
        clickers = Clickers(http, project_id)
        cluster_ids = [cluster["id"] for cluster in await clickers.get("/clusters", limit="200")]
        assert len(cluster_ids) == CLUSTERS
        await _storm(clickers, cluster_ids)
        refused = [c for c in list(clickers.accepted) if await clickers.outcome(c) == "refused"]
        without_job = {clickers.clusters[clickers.accepted[command]] for command in refused}
        later = sorted(without_job)[:LATER]
        await _until_each_has_a_job(clickers, later)
        refused = [c for c in list(clickers.accepted) if await clickers.outcome(c) == "refused"]
        jobs = {job for command, job in clickers.accepted.items() if command not in refused}
        await clickers.until_all_ended(len(jobs))
    assert clickers.answers.total() >= CLICKS
    assert later, "the clusterer refused nothing: the clicks did not race for the last places"
    history = await job_history(fresh_settings, project_id)
    assert set(history.jobs) == jobs, "a 202 names a job that exists, or a command that was refused"
    assert history.ordered == dict.fromkeys(jobs, 1)
    assert history.most_of_a_cluster == 1
    assert history.most_at_once == AT_ONCE
    assert {(job.state, job.launch) for job in history.jobs.values()} == {("succeeded", 1)}
    assert not any(active(job) for job in history.jobs.values())


async def _storm(clickers: Clickers, cluster_ids: list[str]) -> None:
    chance = random.Random(3)
    clicks = iter([chance.choice(cluster_ids) for _ in range(CLICKS)])

    async def caller() -> None:
        for cluster_id in clicks:
            await clickers.click(cluster_id)

    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(caller())


async def _until_each_has_a_job(clickers: Clickers, cluster_ids: list[str]) -> None:
    """Click on clusters that were refused, until each has had a job: a refusal is not for ever."""
    async with asyncio.timeout(60):
        for cluster_id in cluster_ids:
            while not await clickers.get(f"/clusters/{cluster_id}/jobs"):
                await clickers.click(cluster_id)
                await asyncio.sleep(0.2)
