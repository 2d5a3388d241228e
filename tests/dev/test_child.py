import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from soulcaster.dev.child import Child
from soulcaster.errors import StackError


def python(tmp_path: Path, code: str, grace: float = 5) -> Child:
    return Child("The child", [sys.executable, "-u", "-c", code], log=tmp_path / "child.log", grace=grace)


async def until_said(child: Child, word: str, seconds: float = 60) -> None:
    async def said() -> bool:
        return word in child.log.read_text()

    await child.wait_ready(said, seconds)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)


async def test_it_runs_until_it_is_stopped(tmp_path: Path) -> None:
    child = python(tmp_path, "import time; print('up'); time.sleep(60)")
    assert not child.started
    child.start()
    await until_said(child, "up")
    assert child.running
    await child.stop()
    assert not child.running
    assert await child.wait() == -signal.SIGTERM


async def test_one_that_will_not_end_is_killed_after_its_grace(tmp_path: Path) -> None:
    child = python(
        tmp_path,
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)",
        grace=0.5,
    )
    child.start()
    await until_said(child, "up")
    before = time.monotonic()
    await child.stop()
    assert 0.5 <= time.monotonic() - before < 3
    assert await child.wait() == -signal.SIGKILL


async def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    child = python(
        tmp_path,
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print('grandchild', p.pid, flush=True); time.sleep(60)",
    )
    child.start()
    await until_said(child, "grandchild")
    grandchild = int(child.log.read_text().split()[1])
    await child.stop()
    for _ in range(50):
        if not alive(grandchild):
            break
        await asyncio.sleep(0.1)
    assert not alive(grandchild)


async def test_a_death_says_how_and_the_last_lines_without_the_stack(tmp_path: Path) -> None:
    child = python(tmp_path, "print('before'); raise SystemExit(7)")
    child.log.write_text("of another run\n")
    child.start()
    assert await child.wait() == 7
    text = str(child.death())
    assert "The child ended with exit code 7" in text
    assert str(child.log) in text
    assert "before" in text
    assert "of another run" not in text


async def test_a_death_by_signal_names_it(tmp_path: Path) -> None:
    child = python(tmp_path, "import time; print('up'); time.sleep(60)")
    child.start()
    await until_said(child, "up")
    os.kill(child.pid, signal.SIGKILL)
    await child.wait()
    assert "was killed by SIGKILL" in str(child.death())


async def test_waiting_ends_when_it_dies_or_time_is_up(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    child = python(tmp_path, "raise SystemExit(3)")
    child.start()
    with pytest.raises(StackError, match="exit code 3"):
        await child.wait_ready(never, 10)
    child = python(tmp_path, "import time; time.sleep(60)")
    child.start()
    with pytest.raises(StackError, match="was not ready after 0 s"):
        await child.wait_ready(never, 0.2)
    await child.kill()


def test_a_program_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="could not be started"):
        Child("It", ["/nowhere/at-all"], log=tmp_path / "log", grace=1).start()


async def test_it_can_be_paused_and_started_again(tmp_path: Path) -> None:
    child = python(tmp_path, "import time\nprint('up')\nwhile True: print('tick'); time.sleep(0.05)")
    child.start()
    await until_said(child, "tick")
    child.pause()
    await asyncio.sleep(0.2)
    size = child.log.stat().st_size
    await asyncio.sleep(0.3)
    assert child.log.stat().st_size == size
    child.resume()
    for _ in range(50):
        if child.log.stat().st_size > size:
            break
        await asyncio.sleep(0.1)
    assert child.log.stat().st_size > size
    first = child.pid
    await child.kill()
    child.start()
    assert child.running
    assert child.pid != first
    await child.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills children with their parent")
async def test_it_dies_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from soulcaster.dev.child import Child\n"
        "command = [sys.executable, '-c', 'import time; time.sleep(60)']\n"
        f"c = Child('c', command, log=Path({str(tmp_path)!r}) / 'log', grace=1)\n"
        "c.start(); print(c.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:  # noqa: S603, ASYNC220
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    for _ in range(50):
        if not alive(pid):
            break
        await asyncio.sleep(0.1)
    assert not alive(pid)


async def test_its_log_is_bounded_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soulcaster.dev.child.LOG_ROTATE_BYTES", 5_000)
    wait = "while os.path.getsize('child.log') > 5_000: time.sleep(0.02)"
    child = Child(
        "The child",
        [sys.executable, "-u", "-c", f"import os, time; print('early ' * 1_000)\n{wait}\nprint('late')"],
        log=tmp_path / "child.log",
        cwd=tmp_path,
        grace=5,
    )
    child.start()
    async with asyncio.timeout(60):
        assert await child.wait() == 0
    assert child.log.read_bytes() == b"late\n"
    assert (tmp_path / "child.1.log").read_text() == "early " * 1_000 + "\n"
    assert child.how_it_ended() == "ended with exit code 0"
