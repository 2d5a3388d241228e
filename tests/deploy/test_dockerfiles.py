import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.docs import DOCS

ROOT = DOCS.parent
DOCKERFILES = sorted(ROOT.glob("Dockerfile*"))


def words(path: Path, instruction: str) -> list[list[str]]:
    """Return the words of every such instruction, without its options."""
    lines = path.read_text().replace("\\\n", " ").splitlines()
    found = [line.split()[1:] for line in lines if line.startswith(f"{instruction} ")]
    return [[word for word in line if not word.startswith("--")] for line in found]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(path: Path) -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, path], capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_what_is_copied_is_in_the_context_and_exists() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sent = [Path(line[1:]) for line in ignored if line.startswith("!")]
    copied = [
        Path(source)
        for path in DOCKERFILES
        for line in path.read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in [word for word in line.split()[1:] if not word.startswith("--")][:-1]
    ]
    assert copied
    assert [str(source) for source in copied if not any(source.is_relative_to(one) for one in sent)] == []
    assert [str(source) for source in copied if not (ROOT / source).exists()] == []


def test_the_base_is_named_by_its_digest() -> None:
    [[base]] = [line for line in words(ROOT / "Dockerfile", "ARG") if line[0].startswith("BASE=")]
    assert re.fullmatch(r"BASE=docker\.io/library/python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)
    assert [line[0] for line in words(ROOT / "Dockerfile", "FROM")] == ["${BASE}", "${BASE}"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_last_user_is_not_root(path: Path) -> None:
    assert words(path, "USER")[-1] == ["10001:10001"]
