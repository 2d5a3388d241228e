"""`soulcaster run`, `worker`, `web` and `launcher`: the processes, together on this machine or one at a time."""

import signal
import sys
from types import FrameType
from typing import Annotated

import typer

from soulcaster.cli.options import DataDir, need_local, settings_of
from soulcaster.cli.output import say
from soulcaster.processes.data_dir import DEFAULT_DATA_DIR
from soulcaster.telemetry.lossy_stream import may_lose


def run(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the web server.", show_default="PORT, else 8080")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo/--no-demo", help="Make a demo project of 3,080 real messages to a bank.")
    ] = True,
) -> None:
    """Start everything on this machine; Ctrl-C stops it.

    It starts Kafka, Redis, a worker, the web server, the launcher and the pollers; no Docker and no Java are
    needed. The first start downloads Kafka (45 MB). Data and logs stay in the data dir, and the next start continues
    with them. Everything listens on this machine only.

    `soulcaster run`

    `soulcaster run --port 9000 --data-dir /var/tmp/soulcaster --no-demo`
    """
    may_lose("stdout")  # it goes on without anybody who reads what it prints
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit_before_start)  # until the run handles them itself
    need_local()
    from soulcaster.dev.run import run as run_everything

    run_everything(data_dir, settings_of(data_dir), port=port, demo=demo)


def worker(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Run one worker: the Faust agents that turn feedback into clusters.

    Several workers share the work; more of them than partitions would be idle. On SIGTERM or Ctrl-C a worker finishes
    what it has begun. Create the topics first: `soulcaster topics`
    """
    from soulcaster.processes.worker import run_worker

    run_worker(settings_of(data_dir))


def web(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Run the web server: the pages under /app, the JSON API and the intake of feedback.

    `PORT=9000 soulcaster web`
    """
    from soulcaster.processes.web import run_web

    run_web(settings_of(data_dir))


def launcher(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Run the launcher: it takes approved fixes from fix.commands and runs a job for each on its backend."""
    from soulcaster.processes.launcher import run_launcher

    run_launcher(settings_of(data_dir))


def _exit_before_start(_number: int, _frame: FrameType | None) -> None:
    """Handle a signal while nothing runs yet that must be stopped.

    No KeyboardInterrupt: where one is raised within an `exec`, as dataclasses do on import, CPython ends the process
    by SIGINT even though it was caught (`run_eval_code_obj` in its pythonrun.c).
    """
    say("Stopped before it was up.")
    sys.exit(0)
