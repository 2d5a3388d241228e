"""Packages of Debian that tests need, unpacked into `.cache/tools` without being installed."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

FOLDER = Path(__file__).parents[2] / ".cache" / "tools"
SECONDS = 120


@cache
def unpacked(package: str) -> Path:
    """Return the folder with the files of a package; skip the test where it cannot be fetched."""
    if shutil.which("apt-get") is None:
        pytest.skip(f"{package} is fetched by apt-get, which is not installed here")
    place = FOLDER / f"debian-{package}"
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock", timeout=2 * SECONDS):
        if not (place / "unpacked").exists():
            _run(["apt-get", "download", package], place, package)
            [archive] = place.glob("*.deb")
            _run(["dpkg-deb", "--extract", str(archive), str(place)], place, package)
            (place / "unpacked").touch()
    return place


def _run(words: list[str], place: Path, package: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603
            words, cwd=place, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{package} was not there within {SECONDS} s")
    if done.returncode != 0:
        pytest.skip(f"{package} cannot be fetched: {done.stderr.decode(errors='replace')[-300:]}")
