import subprocess
import sys

LAZY = ("agents", "aiohttp", "aiokafka", "faiss", "faust", "numpy", "redis", "rich", "soulcaster.adapters")
"""Packages that a command imports when it runs: together they take seconds."""


def test_the_program_starts_without_what_only_some_commands_need() -> None:
    code = f"import sys, soulcaster.cli.main; print([name for name in {LAZY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == "[]\n"
