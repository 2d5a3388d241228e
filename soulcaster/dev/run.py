"""`soulcaster run`: everything on one machine with one command, and nothing left running when it ends."""

import asyncio
import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soulcaster.dev.kafka_install import VERSION, fetch_jars
from soulcaster.dev.local_run import LocalRun
from soulcaster.dev.loopback import port_is_free
from soulcaster.dev.private_files import private_folder
from soulcaster.errors import BadInput, StackError
from soulcaster.processes.settings import Settings
from soulcaster.terminal import console, progress_bar

MIN_FREE_BYTES = 1_000_000_000


def run(data_dir: Path, settings: Settings, *, port: int | None, demo: bool) -> None:
    """Start everything, wait for SIGINT, SIGTERM or SIGHUP, and stop everything; blocks.

    Until it has started its event loop, signals are the caller's to handle.

    Raises:
        SoulcasterError: something could not be started, or died; everything that ran is stopped.
    """
    settings = _local_settings(settings, port, data_dir)
    settings.check_web()
    try:
        with _locked(data_dir):
            _check_port(settings.port)
            _check_disk(data_dir)
            _download_kafka()
            asyncio.run(LocalRun(data_dir.resolve(), settings, console()).until_stopped(demo=demo))
    except OSError as error:
        raise StackError(
            f"Soulcaster could not go on: {error.strerror or error}: {error.filename or data_dir}"
        ) from error


def _local_settings(settings: Settings, port: int | None, data_dir: Path) -> Settings:
    """Return the settings of a server on loopback that needs no API key."""
    changes: dict[str, str | int | bool | Path] = {
        "host": "127.0.0.1",
        "port": port or settings.port,
        "keyless": True,
        "backend_url": "",
        "log_archive": settings.log_archive or str(data_dir.resolve() / "job-logs"),
    }
    if "backends" not in settings.model_fields_set:
        changes["backends"] = "dry-run,local"
    if "local_jobs_folder" not in settings.model_fields_set:
        changes["local_jobs_folder"] = data_dir.resolve() / "jobs"
    if "reddit_subreddits" not in settings.model_fields_set:
        changes["reddit_subreddits"] = ""  # the default is all of Reddit, too much for a first try
    return settings.model_copy(update=changes)


@contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """Keep a second `run` away from the data dir; the kernel releases the lock when this process ends in any way."""
    try:
        private_folder(data_dir)
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
    if free < MIN_FREE_BYTES:
        raise StackError(f"Only {free / 1e6:,.0f} MB are free on the disk of {data_dir}; Kafka needs 1 GB to start.")


def _download_kafka() -> None:
    """Fetch Kafka's jars before there is an event loop, so that Ctrl-C ends a download at once."""
    with progress_bar(f"Downloading Kafka {VERSION}", "files", transient=True) as bar:
        fetch_jars(bar.update)
