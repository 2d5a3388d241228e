"""`bench growth`: its steps and its items; and all of it, with few items."""

import asyncio
import json
import os
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from soulcaster.bench.feeds import PROJECTS, project_ids
from soulcaster.bench.growth import FIRST_STEP, RUN, raw_items, step_sizes
from soulcaster.bench.programs import Program
from soulcaster.cli.main import app
from soulcaster.errors import SoulcasterError
from soulcaster.processes.settings import Settings
from soulcaster.services.waiting import until


def test_each_step_doubles_what_there_is() -> None:
    assert step_sizes(1_000) == [1_000]
    assert step_sizes(FIRST_STEP) == [FIRST_STEP]
    assert step_sizes(7 * FIRST_STEP) == [FIRST_STEP * n for n in (1, 2, 4, 7)]


def test_items_are_different_and_of_every_project() -> None:
    items = list(islice(raw_items(topics=16), 400))
    assert set(Counter(item.project_id for item in items)) == set(project_ids(RUN))
    assert len({item.external_id for item in items}) == len({item.body for item in items}) == 400


async def test_a_process_that_has_ended_is_no_slow_process() -> None:
    async with Program(["-c", "raise SystemExit(3)"], Settings()) as program:

        async def ended() -> bool:
            try:
                program.check_runs()
            except SoulcasterError as error:
                return "ended with 3" in str(error)
            return False

        assert await until(ended, bool, seconds=60, poll_seconds=0.02)


def _runs(process: psutil.Process, program: str) -> bool:
    try:
        return program in " ".join(process.cmdline())
    except psutil.Error:  # it has ended
        return False


@pytest.mark.integration
@pytest.mark.parametrize(
    ("command", "program"),
    [(["growth", "--items", "1000"], "run_worker"), (["clustering", "--order", "shuffled"], "clustering_loop")],
)
def test_sigterm_ends_what_a_bench_has_started(command: list[str], program: str, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    bench = psutil.Popen([sys.executable, "-m", "soulcaster", "bench", *command], env=environment)

    async def children() -> list[psutil.Process]:
        return list(bench.children(recursive=True))

    started: list[psutil.Process] = []
    try:
        started = asyncio.run(until(children, lambda some: any(_runs(one, program) for one in some), seconds=60))
        assert any(_runs(one, program) for one in started)
        bench.terminate()
        _, left = psutil.wait_procs([bench, *started], timeout=60)
        assert not left
        assert not list(tmp_path.iterdir())
    finally:
        for process in [bench, *started]:
            if process.is_running():
                process.kill()


@pytest.mark.integration
def test_the_command_measures_a_worker_and_the_next_one() -> None:
    done = CliRunner().invoke(app, ["bench", "growth", "--items", "1000", "--topics", "40", "--json"])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    [step] = figures["steps"]
    assert step["items"] == 1000
    assert PROJECTS <= step["clusters"] <= 1000
    assert step["cpu_us_per_item"] > 0
    assert figures["ratio"] == 1
    assert figures["ready_cpu_seconds"] > 0
