"""docs/quickstart.md is run as a reader would run it: every block of it, in one bash."""

import re
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from cryptography.fernet import Fernet

from soulcaster.processes.settings import Settings
from tests.integration.conftest import Program, ready
from tests.support.docs import DOCS

pytestmark = pytest.mark.integration

PAGE = DOCS / "quickstart.md"
ADDRESS = "server=http://127.0.0.1:8080\n"


def blocks() -> list[tuple[str, str | None]]:
    """Return every block that is run, and what the page says it prints, if it says."""
    return [
        (script, shown or None)
        for script, shown in re.findall(
            r"^```sh\n(.*?)^```$(?:\n\n^```text\n(.*?)^```$)?", PAGE.read_text(), re.MULTILINE | re.DOTALL
        )
    ]


def reader(program: Program, folder: Path) -> dict[str, str]:
    """Return the environment of somebody in whose path `soulcaster` is."""
    command = folder / "bin" / "soulcaster"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m soulcaster "$@" --data-dir "{program.data_dir}"\n')
    command.chmod(0o755)
    return {"PATH": f"{command.parent}:/usr/bin:/bin", "PYTHONPATH": ":".join(filter(None, sys.path))}


async def test_the_quick_start(on_stack: Program, fresh_settings: Settings, tmp_path: Path) -> None:
    key = Fernet.generate_key().decode()
    for command in ("worker", "web", "launcher"):
        on_stack.start(command, SOULCASTER_SESSION_KEY=key, SOULCASTER_SECRETS_KEY=key)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{fresh_settings.port}") as http:
        await ready(http)
    parts = blocks()
    assert sum(script.count(ADDRESS) for script, _ in parts) == 1
    script = "set -euo pipefail\n" + "".join(f"{script}printf '\\0'\n" for script, _ in parts)
    script = script.replace(ADDRESS, f"server=http://127.0.0.1:{fresh_settings.port}\n")
    folder = tmp_path / "reader"
    folder.mkdir()
    done = subprocess.run(  # noqa: ASYNC221, S603  (nothing else is to be done meanwhile)
        ["/bin/bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=folder,
        env=reader(on_stack, tmp_path),
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    printed = done.stdout.split("\0")[:-1]
    assert len(printed) == len(parts)
    assert [said for said, (_, shown) in zip(printed, parts, strict=True) if shown] == [
        shown for _, shown in parts if shown
    ]
    log = next(said for said, (block, _) in zip(printed, parts, strict=True) if "/logs?" in block)
    assert "dry run" in log
