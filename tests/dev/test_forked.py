"""Forked programs are as those that `python -m` runs."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.support.forked import ForkedChild

pytestmark = pytest.mark.xdist_group("stack0")  # whose worker has the servers already


def python(log: Path, code: str, **env: str) -> ForkedChild:
    return ForkedChild("It", ["timeit", "-n", "1", "-r", "1", code], log=log, grace=5, env=env)


async def test_it_has_its_own_arguments_environment_log_and_session(tmp_path: Path) -> None:
    code = "import os, sys; print(os.environ['WORD'], os.getsid(0) == os.getpid(), sys.argv[1:3], __name__)"
    child = python(tmp_path / "log", code, WORD="hello")
    child.start()
    assert await child.wait() == 0
    assert child.log.read_text().startswith("hello True ['-n', '1']")
    assert "WORD" not in os.environ


async def test_how_it_ended_and_what_it_said_are_told(tmp_path: Path) -> None:
    child = ForkedChild("It", ["json.tool", "--nothing-like-that"], log=tmp_path / "log", grace=5)
    child.start()
    assert await child.wait() == 2
    assert child.how_it_ended() == "ended with exit code 2"
    assert "--nothing-like-that" in child.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_signal_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    child = python(tmp_path / "log", "import time; print('up', flush=True); time.sleep(60)")
    child.start()

    async def up() -> bool:
        return "up" in child.log.read_text()

    await child.wait_ready(up, 30)
    os.kill(child.pid, number)
    assert await child.wait() == -number
    await child.kill()


async def test_what_ends_at_exit_does(tmp_path: Path) -> None:
    child = python(tmp_path / "log", "import atexit; atexit.register(print, 'the end')")
    child.start()
    assert await child.wait() == 0
    assert child.log.read_text().endswith("the end\n")


async def test_two_in_a_row_hash_words_differently(tmp_path: Path) -> None:
    children = [python(tmp_path / str(n), "print(hash('word'))") for n in range(2)]
    for child in children:
        child.start()
    await asyncio.gather(*(child.wait() for child in children))
    first, second = (child.log.read_text().split("\n")[0] for child in children)
    assert first != second
