"""A process that is told to stop, as a process of its own."""

import signal
import subprocess
import sys

import pytest

STOPS = """
import asyncio
from soulcaster.processes import signals

signals.STOP_SECONDS = {limit}

async def work():
    print("begun", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        {end}
        print("ended in order", flush=True)

signals.run_until_stopped(work())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("limit", "end", "said"),
    [
        (60, "pass", "ended in order"),
        (0.2, "await asyncio.Event().wait()", "the end took too long"),
        (0.2, "while True: pass", "the end took too long"),
    ],
    ids=["nothing holds it up", "a system does not answer", "it calculates"],
)
def test_a_signal_ends_it(number: signal.Signals, limit: float, end: str, said: str) -> None:
    command = [sys.executable, "-c", STOPS.format(limit=limit, end=end)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        assert said in process.stdout.read()
        assert process.wait(timeout=60) == 0
