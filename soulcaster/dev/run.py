"""`soulcaster run`: everything on one machine, from one command, and nothing left when it ends."""

import asyncio
import fcntl
import json
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from cryptography.fernet import Fernet
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.adapters.redis.sign_in_tokens import RedisSignIn
from soulcaster.adapters.table_files import open_table
from soulcaster.dev.kafka import VERSION, fetch_jars
from soulcaster.dev.processes import POLL_SECONDS, Child, port_is_free
from soulcaster.dev.stack import Stack
from soulcaster.domain.members import LOCAL_OWNER
from soulcaster.errors import BadInput, StackError
from soulcaster.ports.projects import Project, Stats
from soulcaster.processes.settings import STACK_FILE, Settings
from soulcaster.services.file_import import import_rows
from soulcaster.services.import_columns import Columns
from soulcaster.services.projects import find_or_create_project
from soulcaster.terminal import progress_bar

LEAST_FREE_BYTES = 1_000_000_000
WORKER_GRACE = 20.0
OTHER_GRACE = 10.0
WEB_START_SECONDS = 60.0
DEMO_STALL_SECONDS = 120.0
SIGN_IN_SECONDS = 3600

DEMO_NAME = "Demo: a bank's support inbox"
DEMO_FILE = Path(__file__).parent.parent / "data" / "banking77.csv"
DEMO_COLUMNS = Columns(text="text", skip=frozenset({"category"}))  # the category is what clustering is measured by
DEMO_SOURCE = "support"
DEMO_MARK = "demo.json"
TOP = 5


def run(data_dir: Path, settings: Settings, *, port: int | None, demo: bool) -> None:
    """Start everything, wait for SIGINT, SIGTERM or SIGHUP, and stop everything; blocks.

    Whoever calls it answers for signals that come before anything was started.

    Raises:
        SoulcasterError: something could not be started, or died; everything that ran is stopped.
    """
    here = {"host": "127.0.0.1", "port": port or settings.port, "keyless": True, "backend_url": ""}
    if "reddit_subreddits" not in settings.model_fields_set:
        here["reddit_subreddits"] = ""  # nobody who only tries it out polls all of Reddit
    settings = settings.model_copy(update=here)
    settings.check_web()
    console = Console()
    try:
        with _locked(data_dir):
            _check_port(settings.port)
            _check_disk(data_dir)
            _download()
            asyncio.run(_Run(data_dir.resolve(), settings, console).until_told(demo=demo))
    except OSError as error:
        raise StackError(
            f"Soulcaster could not go on: {error.strerror or error}: {error.filename or data_dir}"
        ) from error


@contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """Keep a second `run` away from the data dir; the kernel lets go of the lock when we end, however we end."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "lock").open("a+")
    except OSError as error:
        raise BadInput(f"The data dir {data_dir} cannot be used: {error.strerror}.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StackError(f"Soulcaster runs on {data_dir} already; stop that one, or say --data-dir.") from error
        yield


def _check_port(port: int) -> None:
    if not port_is_free(port):
        raise StackError(f"Port {port} is in use; stop what listens there, or say --port with another one.")


def _check_disk(data_dir: Path) -> None:
    free = shutil.disk_usage(data_dir).free
    if free < LEAST_FREE_BYTES:
        raise StackError(f"Only {free / 1e6:,.0f} MB are free on the disk of {data_dir}; Kafka needs 1 GB to start.")


def _download() -> None:
    """Get Kafka's jars where they are not cached; before any event loop, so that Ctrl-C ends it at once."""
    with progress_bar(f"Downloading Kafka {VERSION}", "files", transient=True) as bar:
        fetch_jars(bar.update)


class _Run:
    """One run: its stack, its five processes, and the way they are started and stopped."""

    def __init__(self, data_dir: Path, settings: Settings, console: Console) -> None:
        self._data_dir = data_dir
        self._console = console
        self._stack = Stack(data_dir, base=settings)
        self._settings = self._stack.settings
        self._worker = self._program("worker", "The worker", WORKER_GRACE)
        self._web = self._program("web", "The web server", OTHER_GRACE)
        self._launcher = self._program("launcher", "The launcher", OTHER_GRACE)
        self._pollers = [
            self._program("poll reddit", "The Reddit poller", OTHER_GRACE),
            self._program("poll github", "The GitHub poller", OTHER_GRACE),
        ]

    def _program(self, command: str, name: str, grace: float) -> Child:
        env = {}
        if command == "web":
            env["SOULCASTER_SESSION_KEY"] = _kept_key(self._data_dir / "session.key")
            env["SOULCASTER_SECRETS_KEY"] = _kept_key(self._data_dir / "secrets.key")
        if command.startswith("poll "):
            env["SOULCASTER_API_KEY"] = ""  # one there may be is for another server; this one wants none
        arguments = [sys.executable, "-m", "soulcaster", *command.split(), "--data-dir", str(self._data_dir)]
        log = self._stack.logs / f"{command.replace(' ', '-')}.log"
        return Child(name, arguments, log=log, grace=grace, env=env)

    async def until_told(self, *, demo: bool) -> None:
        """Start all, wait for a signal or a death, stop all."""
        told = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, told.set)
        work = asyncio.create_task(self._start_and_watch(demo=demo))
        signalled = asyncio.create_task(told.wait())
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
        start = asyncio.create_task(self._start(demo=demo))
        try:
            while True:
                await asyncio.sleep(POLL_SECONDS * 4)
                self._raise_for_the_dead(start)
        finally:
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)

    def _raise_for_the_dead(self, start: asyncio.Task[None]) -> None:
        """Raise for a child that died, else for what went wrong in starting; the first is often why of the second."""
        for child in self._children():
            if child.started and not child.running:
                raise child.death()
        if start.done() and (error := start.exception()) is not None:
            raise error

    def _children(self) -> Sequence[Child]:
        return (*self._stack.children(), self._worker, self._web, self._launcher, *self._pollers)

    async def _start(self, *, demo: bool) -> None:
        with self._console.status("Starting Redis and Kafka ...") as status:
            await self._stack.start()
            await self._stack.provision()
            self._leave_addresses()
            status.update("Starting the worker, the web server, the launcher and the pollers ...")
            for child in (self._worker, self._web, self._launcher, *self._pollers):
                child.start()
            await self._web.wait_ready(self._web_answers, WEB_START_SECONDS)
        if demo:
            await self._demo()
        token = secrets.token_urlsafe(32)
        sign_in = RedisSignIn(self._settings.redis_url)
        await sign_in.offer(token, LOCAL_OWNER, seconds=SIGN_IN_SECONDS)
        await sign_in.close()
        address = self._address()
        self._say(f"\nSoulcaster is up at {address}")
        self._say(f"Sign in, once and within an hour: {address}/app/sign-in?token={token}")
        self._say(f"Logs are in {self._stack.logs}. Ctrl-C stops everything.")

    async def _stop(self) -> None:
        """Stop in the order that lets each finish what it has begun."""
        (self._data_dir / STACK_FILE).unlink(missing_ok=True)
        if self._stack.running:
            await self._worker.stop()
        else:
            await self._worker.kill()  # it could finish nothing without them, and loses nothing
        await asyncio.gather(*(poller.stop() for poller in self._pollers), self._launcher.stop(), self._web.stop())
        await self._stack.stop()

    def _address(self) -> str:
        return f"http://127.0.0.1:{self._settings.port}"

    async def _web_answers(self) -> bool:
        timeout = aiohttp.ClientTimeout(total=5)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"{self._address()}/ready") as answer,
            ):
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _leave_addresses(self) -> None:
        """Tell the other commands where everything is; keys are no addresses and stay out."""
        stack = {"pid": os.getpid(), "settings": self._settings.model_dump(mode="json", exclude={"session_key"})}
        _write(self._data_dir / STACK_FILE, json.dumps(stack, indent=2))

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, highlight=False, markup=False)

    # ---- the demo ------------------------------------------------------------------------------------------------

    async def _demo(self) -> None:
        """Post the demo's messages, unless a run before did, wait until they are clustered, and show the top."""
        mark = self._data_dir / DEMO_MARK
        read_model = RedisReadModel(self._settings.redis_url)
        try:
            async with KafkaPublisher(self._settings.kafka) as publisher:
                project = await find_or_create_project(publisher, read_model, DEMO_NAME, at=datetime.now(UTC))
                if mark.exists():
                    expected = int(json.loads(mark.read_text())["items"])
                else:
                    expected = await self._post(project, publisher)
            stats = await self._wait_until_clustered(project, read_model, expected)
            # Only now: a run that was stopped in between posts again, under the same ids.
            _write(mark, json.dumps({"project_id": project.id, "items": expected}))
            await self._show(project, stats, read_model)
        finally:
            await read_model.close()

    async def _post(self, project: Project, publisher: KafkaPublisher) -> int:
        with progress_bar("Posting the demo's messages to Kafka", "messages") as bar, open_table(DEMO_FILE) as table:
            imported = await import_rows(
                table.rows,
                DEMO_COLUMNS,
                project_id=project.id,
                source=DEMO_SOURCE,
                publisher=publisher,
                report=lambda posted: bar.update(table.position(), table.size, count=posted),
            )
        return imported.posted

    async def _wait_until_clustered(self, project: Project, read_model: RedisReadModel, expected: int) -> Stats:
        """Return the figures once all items are in clusters.

        Raises:
            StackError: nothing moved for DEMO_STALL_SECONDS.
        """
        done, moved = -1, time.monotonic()
        with progress_bar("Clustering", "messages") as bar:
            while True:
                stats = await read_model.projects.stats(project.id)
                clustered = stats.total_feedback - stats.unclustered
                bar.update(clustered, expected)
                if clustered >= expected:
                    return stats
                if clustered != done:
                    done, moved = clustered, time.monotonic()
                if time.monotonic() - moved > DEMO_STALL_SECONDS:
                    raise StackError(
                        f"Only {clustered:,} of the demo's {expected:,} messages were clustered and no more come; "
                        f"the worker's log is {self._worker.log}"
                    )
                await asyncio.sleep(POLL_SECONDS * 4)

    async def _show(self, project: Project, stats: Stats, read_model: RedisReadModel) -> None:
        top = (await read_model.clusters.list(project.id, limit=TOP, offset=0)).items
        self._say(
            f"\n{project.name}: {stats.total_feedback:,} messages in {stats.total_clusters:,} clusters. The largest:"
        )
        table = Table("Messages", "What they are about", box=None, pad_edge=False)
        for cluster in top:
            table.add_row(f"{cluster.size:>8,}", escape(cluster.title))
        self._console.print(table)


def _kept_key(path: Path) -> str:
    """Return a key made once a data dir, so that a restart signs nobody out, and opens what was sealed."""
    if not path.exists():
        _write(path, Fernet.generate_key().decode())
    return path.read_text().strip()


def _write(path: Path, text: str) -> None:
    """Write a file for our eyes only, all of it or nothing."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
