"""Output that cannot be written is lost, and nothing else."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest

from soulcaster.telemetry.lossy_stream import LossyStream


def _full() -> TextIO:
    return Path("/dev/full").open("w", buffering=1, encoding="utf-8")


def _without_reader() -> TextIO:
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w", buffering=1, encoding="utf-8")


def _closed() -> TextIO:
    stream = _full()
    stream.close()
    return stream


@pytest.mark.parametrize("make", [_full, _without_reader, _closed])
def test_a_line_that_cannot_be_written_is_counted_once(make: Callable[[], TextIO]) -> None:
    losses: list[None] = []
    stream = LossyStream(make(), lambda: losses.append(None))
    for _ in range(3):
        assert stream.write("a line\n") == 7
        stream.flush()
    assert len(losses) == 3


def test_what_can_be_written_is(tmp_path: Path) -> None:
    lost: list[None] = []
    with (tmp_path / "log").open("w", buffering=1) as file:
        stream = LossyStream(file, lambda: lost.append(None))
        print("a line", file=stream)
        assert (tmp_path / "log").read_text() == "a line\n"
        assert (stream.fileno(), stream.encoding, stream.isatty()) == (file.fileno(), file.encoding, False)
    assert not lost


def test_a_process_without_any_output_goes_on() -> None:
    program = (
        "import sys; from soulcaster.telemetry.lossy_stream import may_lose; may_lose('stdout', 'stderr');"
        "print('nobody'); print('reads', file=sys.stderr); sys.exit(7)"
    )
    command = ["sh", "-c", f'exec {sys.executable} -c "{program}" >&- 2>&-']
    assert subprocess.run(command, check=False).returncode == 7  # noqa: S603
