"""What checkov and tflint say of terraform/. They take long, the first time above all: `make terraform` runs them."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support import terraform
from tests.support.terraform import ROOT
from tests.support.tools import go_program, python_program

pytestmark = pytest.mark.skipif(
    "SOULCASTER_TEST_TERRAFORM" not in os.environ, reason="make terraform runs it; it fetches 300 MB"
)


def run(*words: str | Path) -> None:
    done = subprocess.run(  # noqa: S603
        [*map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_checkov_finds_nothing() -> None:
    program = python_program("checkov", "3.3.30", "checkov")
    words = ("--skip-download", "--quiet", "--compact", "--framework", "terraform")
    run(program, "--directory", ROOT, "--config-file", ROOT / ".checkov.yaml", *words)


@pytest.mark.parametrize("folder", terraform.folders(), ids=lambda folder: folder.name)
def test_tflint_finds_nothing(folder: Path) -> None:
    program = go_program("github.com/terraform-linters/tflint", "v0.64.0")
    run(program, f"--chdir={folder}", f"--config={ROOT / '.tflint.hcl'}")
