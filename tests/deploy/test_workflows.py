"""The workflows of GitHub: their form, their rights, and that they pull in nothing that can change."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import terraform
from tests.support.docs import DOCS
from tests.support.tools import go_program, python_program

ROOT = DOCS.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())

each = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def run(*words: str | Path) -> None:
    done = subprocess.run(  # noqa: S603
        [*map(str, words)], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_nothing() -> None:
    run(go_program("github.com/rhysd/actionlint/cmd/actionlint", "v1.7.12"), "-shellcheck=", "-pyflakes=", *WORKFLOWS)


def test_zizmor_finds_nothing() -> None:
    run(python_program("zizmor", "1.32.0", "zizmor"), "--offline", "--persona", "pedantic", "--no-progress", *WORKFLOWS)


def test_they_fit_their_schema() -> None:
    program = python_program("check-jsonschema", "0.39.0", "check-jsonschema")
    run(program, "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)


def jobs(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())["jobs"]
    return found


@each
def test_rights_are_given_to_jobs_one_by_one(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {}
    for name, job in jobs(path).items():
        rights = job["permissions"]
        assert rights.pop("contents") == "read", name
        assert not rights or job["environment"] == "release", name


@each
def test_actions_are_commits_with_their_version(path: Path) -> None:
    used = re.findall(r"uses: (.+)", path.read_text())
    assert used
    for words in used:
        assert re.fullmatch(r"\./\S+( # .*)?|[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", words)


def test_images_are_pushed_after_the_tests_only() -> None:
    push = jobs(ROOT / ".github" / "workflows" / "images.yml")["push"]
    assert push["needs"] == "test"
    for built in push["strategy"]["matrix"]["include"]:
        assert (ROOT / built["file"]).exists()


def test_the_role_trusts_the_environment_in_which_images_are_pushed() -> None:
    push = jobs(ROOT / ".github" / "workflows" / "images.yml")["push"]
    publishing = str(terraform.module(terraform.ROOT).variables["publishing"]["type"])
    assert f'github_environment = optional(string, "{push["environment"]}")' in publishing
