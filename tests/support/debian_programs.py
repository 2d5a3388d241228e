"""Programs of Debian packages that tests run, each unpacked once into `.cache/tools`; no root is needed.

A test skips where a package cannot be fetched.
"""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

FOLDER = Path(__file__).parents[2] / ".cache" / "tools"
APT_SECONDS = 120


@cache
def program(package: str, path: str) -> Path:
    """Return a program of a package by its path in it, such as usr/bin/promtool; skip the test without it."""
    place = FOLDER / "debian" / package
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock", timeout=2 * APT_SECONDS):
        if not (place / "installed").exists():
            _run(package, ["apt-get", "download", package], place)
            [file] = place.glob("*.deb")
            _run(package, ["dpkg-deb", "--extract", str(file), str(place)], place)
            file.unlink()
            (place / "installed").touch()
    return place / path


def _run(package: str, words: list[str], place: Path) -> None:
    if shutil.which(words[0]) is None:
        pytest.skip(f"{package} is fetched with {words[0]}, which is not installed here")
    try:
        done = subprocess.run(  # noqa: S603
            words, cwd=place, stdin=subprocess.DEVNULL, capture_output=True, timeout=APT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{words[0]} did not fetch {package} within {APT_SECONDS} s")
    if done.returncode != 0:
        pytest.skip(f"{words[0]} cannot fetch {package}: {done.stderr.decode(errors='replace')[-300:]}")
