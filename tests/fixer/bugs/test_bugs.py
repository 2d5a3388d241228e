"""Bugs in six ecosystems, each with a scripted agent: the whole way from the set-up to the verdict, with real tools."""

import os
import shutil
from functools import partial
from pathlib import Path

import pytest

from soulcaster.domain.fixes.order import FixRules
from soulcaster.domain.fixes.verdict import judge
from soulcaster.fixer.ecosystems.detection import plan_tests
from soulcaster.fixer.ecosystems.repository_tests import RepositoryTests
from soulcaster.fixer.git.putting import put_patch
from soulcaster.fixer.git.reading import read_patch
from soulcaster.fixer.git.taking import take_patch
from soulcaster.fixer.trees import Trees
from soulcaster.fixer.trial import Trial
from soulcaster.ports.sandbox import SandboxLimits, Tree
from tests.fixer.bugs.bug import FOLDER, Bug, bugs
from tests.support.patches import clone_of
from tests.support.plain_sandbox import CACHE, TOOLS, PlainSandbox

CACHED = Path(__file__).parents[3] / ".cache" / "bugs"
LIMITS = SandboxLimits(seconds=300)
NEEDS = {"python": "python3", "node": "npm", "go": "go", "rust": "cargo", "java": "mvn", "c": "make"}
SHARED = {".m2": "m2", "go-build": "go-build", "npm-cache": "npm"}

BUGS = bugs()


def chosen() -> list[Bug]:
    return BUGS if os.environ.get("SOULCASTER_TEST_ALL_BUGS") else [bug for bug in BUGS if bug.expected.quick]


def test_each_bug_has_its_verdict_and_each_ecosystem_is_in_the_quick_ones() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == {bug.name for bug in BUGS}
    assert {bug.name.partition("-")[0] for bug in BUGS if bug.expected.quick} == NEEDS.keys()


@pytest.mark.parametrize("bug", chosen(), ids=lambda bug: bug.name)
async def test_the_verdict_is_right(bug: Bug, tmp_path: Path) -> None:
    needed = NEEDS[bug.name.partition("-")[0]]
    if shutil.which(needed) is None:
        pytest.skip(f"this needs {needed}, which is not here")
    sandbox, trees = PlainSandbox(CACHED), Trees(tmp_path)
    prepared = trees.empty()
    bug.write(prepared.work)
    clone = await clone_of(prepared.work, tmp_path / "base")
    share_caches(prepared)
    plan = plan_tests(prepared.work, FixRules())
    tests = RepositoryTests(sandbox, plan, limits=LIMITS)
    ended = await tests.prepare(prepared)
    assert ended.code == 0, ended.tail
    trial = Trial(plan, tests, trees, partial(put_patch, clone, sandbox), on_blocked=lambda hosts: None)

    before = await trial.before(prepared)
    assert before.status == bug.expected.before, before
    script = tmp_path / "agent.sh"
    script.write_text(bug.agent)
    async with trees.copy(prepared) as tree:
        done = await sandbox.run(["sh", f"{TOOLS}/agent.sh"], tree, LIMITS, read_only={script: f"{TOOLS}/agent.sh"})
        assert done.code == 0, done.tail
        taken = await take_patch(clone, sandbox, tree.work, prepared=prepared.work, scratch=tmp_path / "scratch")
    patch = (await read_patch(clone, taken.text)).patch
    runs = await trial.runs(prepared, before, patch)
    assert runs.after.status == bug.expected.after, runs.after
    verdict = judge(runs, patch)

    expected = bug.expected
    assert verdict.accepted == (expected.reason is None), verdict
    assert expected.reason is None or any(expected.reason in reason for reason in verdict.reasons), verdict
    assert verdict.shows_bug is expected.shows_bug, verdict
    for flag in expected.flags:
        assert any(flag in one for one in verdict.flags), verdict


def share_caches(tree: Tree) -> None:
    """Have what tools fetch and compile kept between tests, so that each does not wait for it."""
    for name, cached in SHARED.items():
        (CACHED / cached).mkdir(parents=True, exist_ok=True)
        (tree.home / name).symlink_to(f"{CACHE}/{cached}")
