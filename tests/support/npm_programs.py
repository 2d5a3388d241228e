"""Programs from npm that tests run, each installed once into `.cache/`; a test skips where npm cannot be reached."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

FOLDER = Path(__file__).parents[2] / ".cache" / "npm"
NPM_SECONDS = 300


@cache
def programs(package: str, version: str) -> Path:
    """Return the folder with the programs of a package; skip the test where it cannot be installed."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"{package} needs npm, which is not installed here")
    place = FOLDER / f"{package.replace('/', '+')}-{version}"
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock", timeout=2 * NPM_SECONDS):
        if not (place / "installed").exists():
            (place / "package.json").write_text("{}")
            words = [npm, "install", "--no-audit", "--no-fund", "--no-save", f"{package}@{version}"]
            try:
                done = subprocess.run(  # noqa: S603
                    words, cwd=place, stdin=subprocess.DEVNULL, capture_output=True, timeout=NPM_SECONDS, check=False
                )
            except subprocess.TimeoutExpired:
                pytest.skip(f"npm did not install {package} {version} within {NPM_SECONDS} s")
            if done.returncode != 0:
                pytest.skip(f"npm cannot install {package} {version}: {done.stderr.decode(errors='replace')[-300:]}")
            (place / "installed").touch()
    return place / "node_modules" / ".bin"
