"""The GitHub poller: has the repositories of every project synced from time to time, by our HTTP API.

The reading is the API's, and so is where it goes on: what is kept here is only when it is time again.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import aiohttp
import structlog

from soulcaster.errors import ApiUnavailable, BadInput, NotFound
from soulcaster.pollers.addresses import address
from soulcaster.pollers.api_client import ApiClient, until_available
from soulcaster.pollers.running import run_until_told
from soulcaster.processes.settings import Settings

LOOK_SECONDS = 15.0
"""How often the API is asked whether a project has other repositories; those are synced at once."""

log = structlog.get_logger(__name__)


class GitHubPoller:
    """Polls for every project that the API shows; `step` does one round of the work."""

    def __init__(self, api: ApiClient, *, interval: float, clock: Callable[[], float]) -> None:
        """Prepare. `interval` is in seconds between two syncs of a project, and `clock` does not go back."""
        self._api = api
        self._interval = interval
        self._clock = clock
        self._due: dict[str, tuple[frozenset[str], float]] = {}
        """Of each project, its repositories and when it is time to sync them again."""
        self._idle: set[str] = set()
        self._limited_until = 0.0

    async def run(self) -> None:
        """Poll until cancelled.

        Raises:
            BadInput: the API does not take what is asked; it may be no Soulcaster, or one of another version.
        """
        while True:
            wait = await self.step()
            await asyncio.sleep(wait)

    async def step(self) -> float:
        """Sync every project that it is time for, once; return after how many seconds to look again."""
        ids = await until_available(self._api.projects)
        self._idle &= set(ids)
        self._due = {project_id: due for project_id, due in self._due.items() if project_id in ids}
        for project_id in ids:
            with suppress(NotFound):  # the project is gone
                await self._look_at(project_id)
        waits = [at - self._clock() for _, at in self._due.values()]
        return max(0.0, min([LOOK_SECONDS, *waits]))

    async def _look_at(self, project_id: str) -> None:
        github = await until_available(lambda: self._api.github(project_id))
        repositories = frozenset(github.repositories if github.enabled else ())
        if not repositories:
            self._due.pop(project_id, None)
            if project_id not in self._idle:
                self._idle.add(project_id)
                log.info("no repositories are set for this project, or GitHub is off in it", project=project_id)
            return
        self._idle.discard(project_id)
        known, at = self._due.get(project_id, (None, 0.0))
        now = self._clock()
        if repositories != known:
            at = now
        at = max(at, self._limited_until)
        if now >= at:
            at = await self._sync(project_id)
        self._due[project_id] = repositories, at

    async def _sync(self, project_id: str) -> float:
        """Have a project synced; return when to do so again."""
        try:
            synced = await self._api.sync_github(project_id)
        except ApiUnavailable as error:
            log.warning("not synced", project=project_id, reason=str(error), again_in=error.asked or self._interval)
            if error.asked is None:
                return self._clock() + self._interval
            self._limited_until = self._clock() + error.asked  # the server's token is one for all projects
            return self._limited_until
        except BadInput as error:
            log.warning("not synced", project=project_id, reason=str(error), again_in=self._interval)
            return self._clock() + self._interval
        log.info("synced", project=project_id, **synced.model_dump())
        return self._clock() + (self._interval if synced.complete else 0.0)


def run(settings: Settings) -> None:
    """Poll until told to stop (SIGTERM, SIGINT); blocks.

    Raises:
        BadInput: a setting cannot be used, or the API does not take what a poller asks.
    """
    run_until_told(_poll(settings))  # told to stop: a sync under way is the API's, and goes on


async def _poll(settings: Settings) -> None:
    backend = address("BACKEND_URL", settings.backend_url or f"http://127.0.0.1:{settings.port}")
    async with aiohttp.ClientSession() as session:
        log.info("GitHub poller starts", api=str(backend), minutes=settings.github_sync_minutes)
        api = ApiClient(session, backend, settings.api_key)
        await GitHubPoller(api, interval=settings.github_sync_minutes * 60.0, clock=time.monotonic).run()
