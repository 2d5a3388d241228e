"""The GitHub poller: has the API sync the repositories of every project at an interval.

The API reads GitHub and keeps how far it has read. The poller keeps only when each project is due again.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from soulcaster.errors import ApiUnavailable, BadInput, NotFound
from soulcaster.pollers.api_client import SYNC_SECONDS, ApiClient, until_available
from soulcaster.telemetry.liveness import LOOPS
from soulcaster.telemetry.metrics import POLLS

LOOK_SECONDS = 15.0
"""How often the API is asked for a project's repositories; new ones are synced at once."""

SOURCE = "github"
PASS_SECONDS = 2 * SYNC_SECONDS
"""A project takes less: one sync and a few requests."""

log = structlog.get_logger(__name__)


class GitHubPoller:
    """Polls for every project that the API lists; `step` does one round of the work."""

    def __init__(self, api: ApiClient, *, interval: float, clock: Callable[[], float]) -> None:
        """`interval` is the seconds between two syncs of a project; `clock` is monotonic, in seconds."""
        self._api = api
        self._interval = interval
        self._clock = clock
        self._due: dict[str, tuple[frozenset[str], float]] = {}
        """The repositories of each project, and when to sync them next."""
        self._idle: set[str] = set()
        """Projects without repositories; the log says so once."""
        self._limited_until = 0.0

    async def run(self) -> None:
        """Poll until cancelled.

        Raises:
            BadInput: the API refuses a request; it may be another program, or another version of Soulcaster.
        """
        while True:
            wait = await self.step()
            await asyncio.sleep(wait)

    async def step(self) -> float:
        """Sync every project that is due, once; return the seconds until the next step."""
        LOOPS.begin_pass(SOURCE, within=PASS_SECONDS)
        ids = await until_available(self._api.projects)
        self._idle &= set(ids)
        self._due = {project_id: due for project_id, due in self._due.items() if project_id in ids}
        for project_id in ids:
            with suppress(NotFound):  # the project is gone
                await self._look_at(project_id)
        waits = [at - self._clock() for _, at in self._due.values()]
        return max(0.0, min([LOOK_SECONDS, *waits]))

    async def _look_at(self, project_id: str) -> None:
        LOOPS.begin_pass(SOURCE, within=PASS_SECONDS)
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
        """Sync a project; return when to sync it next."""
        try:
            synced = await self._api.sync_github(project_id)
        except ApiUnavailable as error:
            POLLS.labels(SOURCE, "unavailable").inc()
            again_in = error.retry_after or self._interval
            log.warning("not synced", project=project_id, reason=str(error), again_in=again_in)
            if error.retry_after is None:
                return self._clock() + self._interval
            # GitHub limits the server's token, which all projects share.
            self._limited_until = self._clock() + error.retry_after
            return self._limited_until
        except BadInput as error:
            POLLS.labels(SOURCE, "refused").inc()
            log.warning("not synced", project=project_id, reason=str(error), again_in=self._interval)
            return self._clock() + self._interval
        POLLS.labels(SOURCE, "ok").inc()
        log.info("synced", project=project_id, **synced.model_dump())
        return self._clock() + (self._interval if synced.complete else 0.0)
