"""What dies is started again."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from soulcaster.dev.child import Child
from soulcaster.dev.supervision import Death, Kept, Patience, read_deaths, write_deaths
from soulcaster.errors import StackError


class Process:
    """A process that is kept: each start runs the next of these shell scripts, the last one again and again."""

    def __init__(self, folder: Path, *scripts: str, tries: int | None = None, needs: Sequence[Kept] = ()) -> None:
        self.script = folder / "script"
        self.scripts = list(scripts)
        self.child = Child("The launcher", ["sh", str(self.script)], log=folder / "log", grace=5.0)
        self.starts = 0
        self.said: list[Death] = []
        patience = Patience(tries, first_wait=0.001, stable=3600.0)
        now = datetime.now(UTC)
        self.kept = Kept(self.child, self.start, patience, needs=needs, changed=self.said.append, now=lambda: now)

    async def start(self) -> None:
        self.script.write_text(self.scripts[min(self.starts, len(self.scripts) - 1)])
        self.starts += 1
        self.child.start()

    async def becomes(self, starts: int, *, running: bool = True) -> None:
        async with asyncio.timeout(60):
            while (self.starts, self.child.running, self.kept.up.is_set()) != (starts, running, running):
                await asyncio.sleep(0.01)


async def test_one_that_dies_is_started_again_without_end(tmp_path: Path) -> None:
    launcher = Process(tmp_path, "exit 3", "exit 3", "exit 3", "exit 3", "exit 3", "sleep 600")
    await launcher.start()
    keeping = asyncio.create_task(launcher.kept.keep())
    await launcher.becomes(6)
    assert {death.how for death in launcher.said} == {"ended with exit code 3"}
    assert [(death.deaths, death.running) for death in launcher.said[-2:]] == [(5, False), (5, True)]
    keeping.cancel()
    await launcher.child.kill()


async def test_one_that_everything_needs_is_tried_three_times_and_its_log_says_why(tmp_path: Path) -> None:
    dies = "echo starting; echo 'soulcaster: The disk is full.'; echo bye; exit 1"
    worker = Process(tmp_path, dies, tries=3)
    await worker.start()
    with pytest.raises(StackError) as error:
        await asyncio.wait_for(worker.kept.keep(), 60)
    assert worker.starts == 4
    first, *lines = str(error.value).splitlines()
    assert first.startswith("The launcher ended with exit code 1: soulcaster: The disk is full.; its log is ")
    assert lines == ["  starting", "  soulcaster: The disk is full.", "  bye"]


async def test_what_it_needs_comes_first(tmp_path: Path) -> None:
    (tmp_path / "kafka").mkdir()
    kafka = Process(tmp_path / "kafka", "sleep 600")
    worker = Process(tmp_path, "sleep 600", tries=3, needs=(kafka.kept,))
    for process in (kafka, worker):
        await process.start()
    kafka.kept.up.clear()  # it has died, and is being started
    keeping = asyncio.create_task(worker.kept.keep())
    await worker.child.kill()
    while not worker.said:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    assert worker.starts == 1
    kafka.kept.up.set()
    await worker.becomes(2)
    keeping.cancel()
    for process in (kafka, worker):
        await process.child.kill()


def test_waits_grow_to_an_end() -> None:
    patience = Patience(None)
    waits = [patience.wait(deaths) for deaths in (1, 2, 3, 10, 10_000)]
    assert waits == [1.0, 2.0, 4.0, 60.0, 60.0]


def test_what_died_is_kept_for_doctor(tmp_path: Path) -> None:
    assert read_deaths(tmp_path) == ()
    death = Death(name="The launcher", deaths=2, at=datetime.now(UTC), how="ended", log=tmp_path / "l", running=True)
    write_deaths(tmp_path, [death])
    assert read_deaths(tmp_path) == (death,)
