"""The runs of tests that judge a patch, each in a fresh copy of the prepared tree."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from soulcaster.domain.fixes.patch import Patch
from soulcaster.domain.fixes.patch_parts import split_tests
from soulcaster.domain.fixes.test_helpers import helpers
from soulcaster.domain.fixes.test_runs import TestRun
from soulcaster.domain.fixes.verdict import Runs
from soulcaster.fixer.ecosystems.detection import TestPlan
from soulcaster.fixer.ecosystems.repository_tests import RepositoryTests, broken_setup
from soulcaster.fixer.trees import Trees
from soulcaster.ports.sandbox import Tree

Apply = Callable[[Patch, Path], Awaitable[None]]
"""Applies a patch to the files in a folder, which is a tree where strangers' code ran."""


class Trial:
    """Runs the tests of a repository with a patch, and with parts of it."""

    def __init__(
        self,
        plan: TestPlan,
        tests: RepositoryTests,
        trees: Trees,
        apply: Apply,
        on_blocked: Callable[[Sequence[str]], None],
    ) -> None:
        """Prepare; `on_blocked` gets the hosts that a set-up with the patch tried to reach and could not."""
        self._plan = plan
        self._tests = tests
        self._trees = trees
        self._apply = apply
        self._on_blocked = on_blocked

    async def before(self, prepared: Tree) -> TestRun:
        """Return the run without any change.

        Raises:
            NoSandbox: commands cannot be isolated here.
            TreeUnusable: the prepared tree cannot be copied.
        """
        async with self._trees.copy(prepared) as tree:
            return await self._tests.run(tree)

    async def runs(self, prepared: Tree, before: TestRun, patch: Patch) -> Runs:
        """Return all runs that a verdict needs: with the patch, and, if it changes tests, with each part alone.

        Raises:
            NoSandbox: commands cannot be isolated here.
            TreeUnusable: the prepared tree cannot be copied.
        """
        code, tests = split_tests(patch, helpers(patch, before))
        both = bool(code.text) and bool(tests.text)
        return Runs(
            before=before,
            after=await self._with(prepared, patch) if patch.text else before,
            base_tests=await self._with(prepared, code) if both else None,
            new_tests=await self._with(prepared, tests) if both else None,
        )

    async def _with(self, prepared: Tree, patch: Patch) -> TestRun:
        async with self._trees.copy(prepared) as tree:
            await self._apply(patch, tree.work)
            if self._plan.needs_setup(patch):
                ended = await self._tests.prepare(tree)
                self._on_blocked(ended.blocked)
                if ended.code != 0:
                    return broken_setup(ended)
            return await self._tests.run(tree)
