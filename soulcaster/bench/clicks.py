"""What the benches of jobs do as a person does: post feedback, wait for its cluster, and press "Start fix"."""

from collections.abc import Mapping
from pathlib import Path

import aiohttp
from cryptography.fernet import Fernet

from soulcaster.bench.programs import wait_until, wait_until_answered
from soulcaster.errors import SoulcasterError


def settings_of_jobs(port: int, jobs: Path) -> dict[str, str]:
    """Return the settings of all processes: jobs run here, in a folder, and no limit of a day stops them."""
    key = Fernet.generate_key().decode()
    return {
        "PORT": str(port),
        "SOULCASTER_KEYLESS": "true",
        "SOULCASTER_SESSION_KEY": key,
        "SOULCASTER_SECRETS_KEY": key,
        "SOULCASTER_BACKENDS": "local",
        "SOULCASTER_LOCAL_JOBS_FOLDER": str(jobs),
        "SOULCASTER_PROJECT_JOBS_PER_DAY": "100000",
    }


class Clicks:
    """A person in one project."""

    def __init__(self, http: aiohttp.ClientSession, here: Mapping[str, str]) -> None:
        """`http` has the address of the web server; `here` are the parameters of a call that name the project."""
        self._http = http
        self._here = here

    async def make_cluster(self, text: str) -> str:
        """Post one item until it is accepted, and return its cluster."""

        async def clustered() -> bool:
            async with self._http.get("/clusters", params=self._here) as got:
                return got.status == 200 and bool(await got.json())

        await wait_until_answered(self._http, "POST", "/ingest/manual", 202, params=self._here, json={"text": text})
        await wait_until(clustered)
        async with self._http.get("/clusters", params=self._here) as got:
            return str((await got.json())[0]["id"])

    async def start_fix(self, cluster_id: str) -> str:
        """Ask for a fix, and return the id of its job.

        Raises:
            SoulcasterError: the web server does not take it.
        """
        async with self._http.post(f"/clusters/{cluster_id}/start_fix", params=self._here) as got:
            if got.status != 202:
                raise SoulcasterError(f"a click was answered {got.status}: {await got.text()}")
            return str((await got.json())["job_id"])

    async def cancel(self, job_id: str) -> None:
        """Cancel a job."""
        async with self._http.post(f"/jobs/{job_id}/cancel", params=self._here) as got:
            await got.read()
