"""The processes of `soulcaster run`: started together, watched, and stopped in order."""

import asyncio
import itertools
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp
from rich.console import Console

from soulcaster.adapters.redis.sign_in_tokens import RedisSignIn
from soulcaster.dev.child import POLL_SECONDS, Child
from soulcaster.dev.demo import prepare_demo
from soulcaster.dev.private_files import kept_key, write_private
from soulcaster.dev.stack import Stack
from soulcaster.dev.supervision import PROCESSES_FILE, Death, Kept, Patience, write_deaths
from soulcaster.domain.members import LOCAL_OWNER
from soulcaster.errors import StackError
from soulcaster.http_client import http_session
from soulcaster.processes.clock import utc_now
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import STACK_FILE, Settings
from soulcaster.processes.signals import STOP_SECONDS
from soulcaster.terminal import table

GRACE_SECONDS = STOP_SECONDS + 5.0
"""How long a process has to end after SIGTERM before it is killed."""

TRIES = 3
"""How often Kafka, Redis, the worker and the web server are started again in a row; the others are without end."""

WEB_START_SECONDS = 60.0
READY_SECONDS = 5.0
"""Time limit of the request that finds out whether the web server is ready."""

SIGN_IN_SECONDS = 3600
DEMO_MARK = "demo.json"


class LocalRun:
    """Kafka, Redis and Soulcaster's five processes on one data directory."""

    def __init__(self, data_dir: Path, settings: Settings, console: Console) -> None:
        """Start nothing yet; what people should know is printed on `console`."""
        self._data_dir = data_dir
        self._console = console
        self._stack = Stack(data_dir, base=settings)
        self._settings = self._stack.settings
        self._address = f"http://127.0.0.1:{settings.port}"
        self._deaths: dict[str, Death] = {}
        self._metrics_ports = itertools.count(settings.metrics_port)
        secrets_key = kept_key(data_dir / "secrets.key")
        self._worker = self._program("worker", "The worker")
        self._web = self._program(
            "web",
            "The web server",
            SOULCASTER_SESSION_KEY=kept_key(data_dir / "session.key"),
            SOULCASTER_SECRETS_KEY=secrets_key,
        )
        self._launcher = self._program("launcher", "The launcher", SOULCASTER_SECRETS_KEY=secrets_key)
        # An API key in the environment is one of another server; this server needs none.
        self._pollers = [
            self._program("poll reddit", "The Reddit poller", SOULCASTER_API_KEY=""),
            self._program("poll github", "The GitHub poller", SOULCASTER_API_KEY=""),
        ]

    def _program(self, command: str, name: str, **env: str) -> Child:
        """Return a command of `soulcaster` as a child process; nothing is started yet."""
        arguments = [sys.executable, "-m", "soulcaster", *command.split(), "--data-dir", str(self._data_dir)]
        log = self._stack.logs / f"{command.replace(' ', '-')}.log"
        if self._settings.metrics_port:
            env["SOULCASTER_METRICS_PORT"] = str(next(self._metrics_ports))
        return Child(name, arguments, log=log, grace=GRACE_SECONDS, env=env)

    async def until_stopped(self, *, demo: bool) -> None:
        """Start everything, keep it running until a signal comes, and stop everything.

        Raises:
            SoulcasterError: something could not be started, or has died again and again.
        """
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        work = asyncio.create_task(self._start_and_watch(demo=demo))
        signalled = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, signalled}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            signalled.cancel()
            work.cancel()
            result = (await asyncio.gather(work, return_exceptions=True))[0]
            self._console.print("Stopping, the worker first ...")
            await self._stop()
        if isinstance(result, Exception):
            raise result
        self._console.print("Stopped. Nothing is left running; the data is kept.")

    async def _start_and_watch(self, *, demo: bool) -> None:
        await self._start()
        keeping = [asyncio.create_task(kept.keep()) for kept in self._kept()]
        showing = asyncio.create_task(self._show(demo=demo))
        try:
            done, _ = await asyncio.wait({*keeping, showing}, return_when=asyncio.FIRST_EXCEPTION)
            # What died is often the cause of what else failed; its order is that of what needs what.
            for task in (*keeping, showing):
                if task in done and (error := task.exception()) is not None:
                    raise error
        finally:
            for task in (*keeping, showing):
                task.cancel()
            await asyncio.gather(*keeping, showing, return_exceptions=True)

    def _kept(self) -> Sequence[Kept]:
        """Return the processes that are kept running, each after what it needs."""
        redis = self._keep(self._stack.redis, self._stack.start_redis)
        kafka = self._keep(self._stack.kafka.child, self._stack.start_kafka)
        kept = [redis, kafka]
        for child in (self._worker, self._web, self._launcher, *self._pollers):
            tries = TRIES if child in (self._worker, self._web) else None
            kept.append(self._keep(child, _starting(child), tries=tries, needs=(redis, kafka)))
        return kept

    def _keep(
        self,
        child: Child,
        start: Callable[[], Awaitable[None]],
        *,
        tries: int | None = TRIES,
        needs: Sequence[Kept] = (),
    ) -> Kept:
        return Kept(child, start, Patience(tries), needs=needs, changed=self._note, now=utc_now)

    def _note(self, death: Death) -> None:
        """Say that a process has died or runs again, and keep it for `soulcaster doctor`."""
        self._deaths[death.name] = death
        write_deaths(self._data_dir, list(self._deaths.values()))
        if death.running:
            self._say(f"{death.name} runs again.")
        else:
            self._say(f"{death.name} {death.how}; it is started again. Its log is {death.log}")

    async def _start(self) -> None:
        with self._console.status("Starting Redis and Kafka ...") as status:
            await self._stack.start()
            await self._stack.provision()
            self._write_stack_file()
            status.update("Starting the worker, the web server, the launcher and the pollers ...")
            for child in (self._worker, self._web, self._launcher, *self._pollers):
                child.start()

    async def _show(self, *, demo: bool) -> None:
        """Wait until all is ready, and say what there is and where."""
        with self._console.status("Waiting for the web server ..."):
            await self._wait_for_web()
        if demo:
            await self._show_demo()
        token = await self._sign_in_token()
        self._say(f"\nSoulcaster is up at {self._address}")
        self._say(f"Sign in, once and within an hour: {self._address}/app/sign-in?token={token}")
        self._say(f"Logs are in {self._stack.logs}. Ctrl-C stops everything.")

    async def _show_demo(self) -> None:
        demo = await prepare_demo(self._settings, self._data_dir / DEMO_MARK, self._worker)
        count, clusters = demo.stats.total_feedback, demo.stats.total_clusters
        self._say(f"\n{demo.project.name}: {count:,} messages in {clusters:,} clusters. The largest:")
        largest = table("Messages", "What they are about")
        for cluster in demo.largest:
            largest.add_row(f"{cluster.size:>8,}", cluster.title)
        self._console.print(largest)

    async def _wait_for_web(self) -> None:
        """Return when the web server is ready; if it dies meanwhile, it is started again.

        Raises:
            StackError: it was not ready in time.
        """
        deadline = time.monotonic() + WEB_START_SECONDS
        while not await self._web_is_ready():
            if time.monotonic() > deadline:
                late = f"{self._web.name} was not ready after {WEB_START_SECONDS:.0f} s"
                raise StackError(f"{late}; its log is {self._web.log}")
            await asyncio.sleep(POLL_SECONDS)

    async def _sign_in_token(self) -> str:
        """Return a token that signs the local owner in once."""
        token = secrets.token_urlsafe(32)
        sign_in = RedisSignIn(redis_access(self._settings))
        await sign_in.offer(token, LOCAL_OWNER, seconds=SIGN_IN_SECONDS)
        await sign_in.close()
        return token

    async def _stop(self) -> None:
        """Stop in an order that lets each process finish what it has begun."""
        for name in (STACK_FILE, PROCESSES_FILE):
            (self._data_dir / name).unlink(missing_ok=True)
        if self._stack.running:
            await self._worker.stop()
        else:
            await self._worker.kill()  # without Kafka and Redis it cannot finish anything, and it loses nothing
        await asyncio.gather(*(poller.stop() for poller in self._pollers), self._launcher.stop(), self._web.stop())
        await self._stack.stop()

    async def _web_is_ready(self) -> bool:
        timeout = aiohttp.ClientTimeout(total=READY_SECONDS)
        try:
            async with (
                http_session(timeout=timeout) as session,
                session.get(f"{self._address}/ready") as response,
            ):
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _write_stack_file(self) -> None:
        """Leave the addresses for the other commands: neither the session key nor the port of one process's metrics."""
        settings = self._settings.model_dump(mode="json", exclude={"session_key", "metrics_port"})
        settings["kafka_password"] = ""  # one in the environment is of another Kafka; this one takes none
        stack = {"pid": os.getpid(), "settings": settings}
        write_private(self._data_dir / STACK_FILE, json.dumps(stack, indent=2))

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, highlight=False, markup=False)


def _starting(child: Child) -> Callable[[], Awaitable[None]]:
    async def start() -> None:
        child.start()

    return start
