"""A backend that runs each launch in a sandbox of its own at E2B."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from cachetools import LRUCache

from soulcaster.errors import SandboxGone, SandboxRefused, Unavailable
from soulcaster.launcher.backends.sandbox_scripts import (
    Status,
    UnreadableStatus,
    read_status,
    start_script,
    status_script,
)
from soulcaster.ports.launch_backend import Launch, LaunchRefused, Task
from soulcaster.ports.sandboxes import Sandbox, Sandboxes

MARGIN_SECONDS = 720
"""How much longer than its program a sandbox may live.

The program starts late, and its end has to be read. Above all a sandbox is the memory of its launch, and lives longer
than the launch's token is valid (`services/job_tokens.py`: ten minutes after the time limit).
"""

_GONE = "Its sandbox was removed, or reached its time to live."
_STOPPED = "It was stopped: its sandbox was removed."

_REMEMBERED = 1_000
"""Launches of which this process remembers what it saw last, to ask their sandboxes without a list first."""


class E2bBackend:
    """LaunchBackend with a sandbox for each launch.

    **Once for each key.** A sandbox carries the launch's key, and creating one starts no program. `launch` lists the
    sandboxes of the key, creates one when there is none, and runs a script in it that starts the program only if it
    gets a lock in the sandbox (`sandbox_scripts`). So a launcher that is killed after any call, or that loses any
    answer, finds the sandbox by its key, and the program by the lock.

    A list cannot tell that a request whose answer was lost will still create a sandbox. Therefore each request has an
    idempotency key, and E2B answers a repetition with the sandbox of the first, even when it has been removed since.
    An E2B of one's own that is older ignores that key. There `launch` lists again after creating: of several sandboxes
    it keeps the one in which the program has started, else the oldest, and removes the others before it starts
    anything.

    **What remains.** Only without idempotency keys, and with two launchers in the same launch at once: launcher 1 does
    not see the older sandbox yet, which is still being created, and starts the program in the younger one after
    launcher 2 has looked into it and before launcher 2 removes it. This program runs until the removal, the other one
    to its end. Both have the token of the same launch, so fencing does not tell them apart; but the first lives for
    one request, too short to push or publish, and its reports say what the other's say. A program of an earlier launch
    is harmless whatever happens: the fencing token in its job token is older, and its reports change nothing. So is
    one that somebody starts after the sandbox is forgotten: the token has expired by then.

    **After the end.** A sandbox lives on when its program has ended, until `stop` removes it or its time to live is
    over. The launcher calls `stop` after the end of every launch.
    """

    name = "e2b"

    def __init__(self, sandboxes: Sandboxes, command: str = "soulcaster fix run", *, ttl_seconds: int = 0) -> None:
        """`command` is the shell command of the program; a sandbox may live for `ttl_seconds` at least."""
        self._sandboxes = sandboxes
        self._command = command
        self._ttl_seconds = ttl_seconds
        self._seen: LRUCache[str, Task] = LRUCache(_REMEMBERED)

    async def launch(self, launch: Launch) -> Task:
        """Start the program in the launch's sandbox, once; see `LaunchBackend`."""
        seen = self._seen.get(launch.key)
        if seen is not None and seen.state == "ended":
            return seen
        try:
            return self._see(launch, await self._launch(launch))
        except SandboxGone as error:
            raise Unavailable("Its sandbox went away while the program was being started.") from error
        except SandboxRefused as error:
            raise LaunchRefused(str(error)) from error

    async def observe(self, launch: Launch) -> Task:
        """Return what the launch's sandbox tells; see `LaunchBackend`."""
        seen = self._seen.get(launch.key)
        if seen is not None and seen.state == "ended":
            return seen
        with _refusals_as_unavailable():
            if seen is not None:
                try:
                    return self._see(launch, await self._look(launch, Sandbox(seen.id)))
                except SandboxGone:
                    pass  # or paused; or another one carries this key
            tasks = await self._looks(launch, await self._sandboxes.find(launch.key))
        if tasks:
            return self._see(launch, next((task for task in tasks if task.state != "starting"), tasks[0]))
        if seen is not None:
            return self._see(launch, Task(seen.id, "ended", _GONE))
        return Task(launch.key, "gone")

    async def stop(self, launch: Launch) -> None:
        """Remove every sandbox of the launch; see `LaunchBackend`."""
        with _refusals_as_unavailable():
            found = await self._sandboxes.find(launch.key)
            await asyncio.gather(*(self._sandboxes.remove(sandbox) for sandbox in found))
        seen = self._seen.get(launch.key)
        if found and (seen is None or seen.state != "ended"):
            self._see(launch, Task(found[0].id, "ended", _STOPPED))

    async def close(self) -> None:
        """Do nothing: no connection belongs to this backend."""

    def _see(self, launch: Launch, task: Task) -> Task:
        self._seen[launch.key] = task
        return task

    async def _launch(self, launch: Launch) -> Task:
        sandbox, fresh = await self._sandbox(launch)
        try:
            return await self._start(launch, sandbox, fresh=fresh)
        except SandboxGone:
            # Another launcher kept another sandbox, or somebody stopped the launch, or it ended long ago.
            found = await self._sandboxes.find(launch.key)
            if not found:
                return Task(sandbox.id, "ended", _GONE)
            return await self._start(launch, await self._keep(launch, found))

    async def _sandbox(self, launch: Launch) -> tuple[Sandbox, bool]:
        """Return the sandbox of a launch, and whether it was created just now."""
        found = await self._sandboxes.find(launch.key)
        if found:
            return await self._keep(launch, found), False
        created = await self._sandboxes.create(launch.key, self._seconds(launch))
        found = await self._sandboxes.find(launch.key)
        if not found:  # E2B repeats an old answer, and that sandbox is gone
            return created, True
        kept = await self._keep(launch, found)
        return kept, kept.id == created.id

    async def _keep(self, launch: Launch, found: list[Sandbox]) -> Sandbox:
        """Return the sandbox in which the program has started, else the oldest, and remove the others."""
        if len(found) == 1:
            return found[0]
        kept = found[0]
        for sandbox in found:
            if await self._has_started(launch, sandbox):
                kept = sandbox
                break
        await asyncio.gather(*(self._sandboxes.remove(sandbox) for sandbox in found if sandbox != kept))
        return kept

    async def _has_started(self, launch: Launch, sandbox: Sandbox) -> bool:
        if sandbox.paused:  # by a person: nobody pauses a sandbox in which nothing has run
            return True
        try:
            return (await self._status(launch, sandbox)).progress != "absent"
        except SandboxGone:
            return False

    async def _start(self, launch: Launch, sandbox: Sandbox, *, fresh: bool = False) -> Task:
        if sandbox.paused:
            return _paused(sandbox)
        if not fresh:
            status = await self._status(launch, sandbox)
            if status.progress != "absent":
                return _task(launch, sandbox, status)
            await self._sandboxes.prolong(sandbox, self._seconds(launch))
        script = start_script(launch, self._command)
        result = await self._sandboxes.run(sandbox, script, launch.environment())
        if result.code != 0:
            raise LaunchRefused(f"The sandbox {sandbox.id} cannot start a program: {result.errors.strip()[:300]}")
        return _task(launch, sandbox, _read(result.output))

    async def _looks(self, launch: Launch, found: list[Sandbox]) -> list[Task]:
        tasks = []
        for sandbox in found:
            try:
                tasks.append(_paused(sandbox) if sandbox.paused else await self._look(launch, sandbox))
            except SandboxGone:
                continue
        return tasks

    async def _look(self, launch: Launch, sandbox: Sandbox) -> Task:
        return _task(launch, sandbox, await self._status(launch, sandbox))

    async def _status(self, launch: Launch, sandbox: Sandbox) -> Status:
        return _read((await self._sandboxes.run(sandbox, status_script(launch), {})).output)

    def _seconds(self, launch: Launch) -> int:
        return max(self._ttl_seconds, launch.seconds + MARGIN_SECONDS)


def _task(launch: Launch, sandbox: Sandbox, status: Status) -> Task:
    match status.progress:
        case "absent" | "starting":
            return Task(sandbox.id, "starting")
        case "running":
            return Task(sandbox.id, "running", output=status.output)
        case "killed":
            reason = "The program was killed in its sandbox; its exit code is unknown."
        case "exit":
            reason = _why(status.code, launch.seconds)
    return Task(sandbox.id, "ended", reason, status.output)


def _why(code: int, seconds: int) -> str:
    """Return why a program with this exit code ended; 124 is what coreutils' `timeout` returns at the limit."""
    if code == 124:
        return f"The program reached its time limit of {seconds} seconds and was ended."
    if code > 128:
        return f"The program was ended by signal {code - 128}."
    return f"The program ended with exit code {code}."


def _paused(sandbox: Sandbox) -> Task:
    return Task(sandbox.id, "running", "Somebody paused its sandbox; it goes on when the sandbox is resumed.")


def _read(printed: str) -> Status:
    try:
        return read_status(printed)
    except UnreadableStatus as error:
        raise Unavailable(f"A sandbox tells no status, but {str(error)!r}.") from error


@contextmanager
def _refusals_as_unavailable() -> Iterator[None]:
    """Raise a refusal as `Unavailable`: once a person has corrected the key, the same call succeeds."""
    try:
        yield
    except SandboxRefused as error:
        raise Unavailable(str(error)) from error
