"""Programs that tests run and that are no packages of ours, each fetched once into `.cache/tools`.

A test skips where one cannot be fetched.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

FOLDER = Path(__file__).parents[2] / ".cache" / "tools"
FETCH_SECONDS = 900


@cache
def go_program(module: str, version: str) -> Path:
    """Return a program that Go builds from a module at a version."""
    go = _found("go", module)
    name = module.rsplit("/", 1)[-1]

    def build(place: Path) -> None:
        run([go, "install", f"{module}@{version}"], name, GOBIN=str(place), GOFLAGS="-p=1")

    return fetched(f"{name}-{version}", build) / name


@cache
def python_program(package: str, version: str, name: str) -> Path:
    """Return a program of a Python package, which gets an environment of its own: its needs are not ours."""

    def install(place: Path) -> None:
        run([sys.executable, "-m", "venv", str(place)], name)
        uv = Path(sys.executable).with_name("uv")
        python = place / "bin" / "python"
        run([str(uv), "pip", "install", "--quiet", "--python", str(python), f"{package}=={version}"], name)

    return fetched(f"{package}-{version}", install) / "bin" / name


@cache
def python_wheel(package: str, version: str) -> Path:
    """Return the wheel of a Python package, which is read and not installed."""

    def download(place: Path) -> None:
        words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        run([*words, "--dest", str(place), f"{package}=={version}"], package)

    [wheel] = fetched(f"{package}-{version}", download).glob("*.whl")
    return wheel


@cache
def debian_package(name: str) -> Path:
    """Return the folder with the files of a package of Debian, which is unpacked and not installed."""
    _found("apt-get", name)

    def unpack(place: Path) -> None:
        run(["apt-get", "download", name], name, folder=place)
        [archive] = place.glob("*.deb")
        run(["dpkg-deb", "--extract", str(archive), str(place)], name)

    return fetched(f"debian-{name}", unpack)


def terraform() -> str:
    """Return the Terraform of this machine; its makers offer it by no registry that we may use."""
    return _found("terraform", "this test")


def _found(program: str, for_what: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{for_what} needs {program}, which is not installed here")
    return path


def fetched(name: str, fetch: Callable[[Path], None]) -> Path:
    """Return a folder that is filled once, by whoever comes first."""
    place = FOLDER / name
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock", timeout=2 * FETCH_SECONDS):
        if not (place / "fetched").exists():
            fetch(place)
            (place / "fetched").touch()
    return place


def run(words: Sequence[str], what: str, *, folder: Path | None = None, **environment: str) -> None:
    """Run what fetches something; skip the test where that fails."""
    try:
        done = subprocess.run(  # noqa: S603
            words,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=FETCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{what} was not there within {FETCH_SECONDS} s")
    if done.returncode != 0:
        pytest.skip(f"{what} cannot be fetched: {done.stderr.decode(errors='replace')[-300:]}")
