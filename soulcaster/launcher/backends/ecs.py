"""Runs the programs of jobs as tasks of Amazon ECS, on Fargate unless the settings say otherwise.

ECS starts one task for a launch's key, which is the request's clientToken, and finds it by the same key as startedBy.
It forgets both: the clientToken 24 hours after the launch or one hour after the task has stopped, whichever is first,
and the task one hour after it has stopped. A launch that comes later starts a second task, and `observe` says "gone".

ECS does not limit how long a task runs: the launcher stops it after `Launch.seconds`. It does not remember a stop
either: a `launch` after a `stop` that found nothing starts a task.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cachetools import LRUCache, TTLCache

from soulcaster.errors import EcsRefuses, EcsUnavailable
from soulcaster.ports.ecs import EcsTasks
from soulcaster.ports.launch_backend import Launch, LaunchRefused, Task, TaskState

PAUSES = (0.5, 1.0, 1.5)
"""Seconds to wait before looking again for a task that ECS may have started and does not show yet."""

FRESH_SECONDS = 300.0
"""So long a task that ECS has started may be missing in its answers: it asks its clients to wait up to five minutes."""

OBSERVE_SECONDS = 5.0
"""So long an observation is good: ECS takes some 20 requests a second, for all jobs and launchers of a region."""

_REMEMBERED = 10_000

_LIVELIEST: Sequence[TaskState] = ("running", "starting", "ended", "gone")


@dataclass(frozen=True, slots=True)
class _Sent:
    """A launch that this process has sent or found; no `arns` means that it is unknown whether ECS started a task."""

    arns: Sequence[str]
    fresh_until: float


class EcsBackend:
    """LaunchBackend over ECS. It remembers ARNs, which saves requests; without them it finds tasks by their key."""

    name = "ecs"

    def __init__(
        self,
        tasks: EcsTasks,
        *,
        pauses: Sequence[float] = PAUSES,
        observe_seconds: float = OBSERVE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`pauses` are the seconds between looks for a task that is not listed.

        `observe_seconds` is how long an observation is good; `clock` counts seconds.
        """
        self._tasks = tasks
        self._pauses = pauses
        self._clock = clock
        self._sent: LRUCache[str, _Sent] = LRUCache(_REMEMBERED)
        self._observed: TTLCache[str, Task] = TTLCache(_REMEMBERED, observe_seconds, timer=clock)

    async def launch(self, launch: Launch) -> Task:
        """Start a task once for each key; see `LaunchBackend`.

        A lack of capacity is refused at once: ECS repeats its first answer to the same clientToken, so only another
        launch, with another number, can succeed.
        """
        key = launch.key
        self._observed.pop(key, None)
        sent_before = key in self._sent
        if not sent_before:
            self._remember(key, ())
        try:
            task = await self._tasks.run(key, launch.environment())
        except EcsRefuses as refused:
            return await self._started_before(key, refused, sent_before=sent_before)
        self._remember(key, [task.id])
        return await self._described(key, [task.id]) if task.state == "ended" else task

    async def observe(self, launch: Launch) -> Task:
        """Return what ECS sees of a launch; see `LaunchBackend`. A new task that it does not show yet is starting."""
        key = launch.key
        task = self._observed.get(key)
        if task is None:
            arns = await self._find(key)
            task = self._observed[key] = await self._described(key, arns) if arns else Task("", "gone")
        return task

    async def stop(self, launch: Launch) -> None:
        """Stop a launch's task, whoever started it; see `LaunchBackend`.

        ECS sends SIGTERM at once, and SIGKILL after the `stopTimeout` of the task definition.
        """
        self._observed.pop(launch.key, None)
        for arn in await self._find(launch.key):
            await self._stop(launch.key, arn)

    async def close(self) -> None:
        """Close the connections; tasks run on."""
        await self._tasks.close()

    async def _started_before(self, key: str, refused: EcsRefuses, *, sent_before: bool) -> Task:
        """Return the task that an earlier request with this key started, although ECS refused the last one.

        Raises:
            LaunchRefused: there is none.
            EcsRefuses: whether there is one cannot be known.
        """
        try:
            arns = refused.tasks or await self._find(key)
        except EcsRefuses:
            if sent_before:
                raise
            arns = ()
        if arns:
            self._remember(key, arns)
            return await self._described(key, arns)
        self._sent.pop(key, None)
        raise LaunchRefused(str(refused)) from refused

    async def _described(self, key: str, arns: Sequence[str]) -> Task:
        """Return the liveliest of a key's tasks; there are several only if ECS had forgotten the clientToken."""
        found = sorted(await self._tasks.describe(arns), key=lambda task: _LIVELIEST.index(task.state))
        return found[0] if found else Task(arns[0], "starting" if self._is_fresh(key) else "gone")

    async def _find(self, key: str) -> Sequence[str]:
        """Return the tasks that a key started; look again if there is none, because a new one is listed late."""
        sent = self._sent.get(key)
        if sent and sent.arns:
            return sent.arns
        arns = await self._tasks.started_by(key)
        for pause in self._pauses:
            if arns:
                break
            await asyncio.sleep(pause)
            arns = await self._tasks.started_by(key)
        if arns:
            self._remember(key, arns)
        return arns

    async def _stop(self, key: str, arn: str) -> None:
        """Stop a task; try again if ECS does not know it, because it knows a new one late."""
        for pause in (0.0, *self._pauses):
            await asyncio.sleep(pause)
            if await self._tasks.stop(arn) or not self._is_fresh(key):
                return
        raise EcsUnavailable(f"Amazon ECS does not know the task {arn} yet, which it has started.")

    def _remember(self, key: str, arns: Sequence[str]) -> None:
        """Remember a key's tasks; how long they are fresh counts from the first time."""
        sent = self._sent.get(key)
        if sent is None or sent.arns != arns:
            self._sent[key] = _Sent(arns, self._clock() + FRESH_SECONDS)

    def _is_fresh(self, key: str) -> bool:
        sent = self._sent.get(key)
        return sent is not None and self._clock() < sent.fresh_until
