"""Code that is named as tests are and is none, such as Django's `django/test/client.py`.

Names cannot tell it from what helps the tests of a repository. The results can, in part: no test comes from it.
"""

import re

from soulcaster.domain.fixes.patch import Patch
from soulcaster.domain.fixes.patch_parts import FilePatch, file_patches
from soulcaster.domain.fixes.test_files import is_test_file
from soulcaster.domain.fixes.test_habits import habits_of
from soulcaster.domain.fixes.test_runs import TestRun

_KNOWN = re.compile(r"(?:.*/)?(?:[^/]+\.(?:py|[cm]?[jt]sx?|go|java|kt|groovy|scala))")
"""Languages whose results name the file or the class of a test, or whose tests have names of their own."""

_ALWAYS_TESTS = re.compile(r"(?:.*/)?(?:conftest\.py|__init__\.py|[^/]*_test\.go)")


def helpers(patch: Patch, before: TestRun) -> frozenset[str]:
    """Return the changed files of a patch that are tests by their names only, where it changes nothing but tests.

    There are none where the run of the base has no result for each test.
    """
    if not before.cases or not all(is_test_file(change.path) for change in patch.changes):
        return frozenset()
    origins = {name.rpartition("::")[0] for name in before.cases}
    stems = {part for origin in origins if "/" not in origin for part in re.split(r"[.$:]+", origin)}
    return frozenset(file.path for file in file_patches(patch) if _is_helper(file, origins, stems))


def _is_helper(file: FilePatch, origins: set[str], stems: set[str]) -> bool:
    habits = habits_of(file.path)
    if habits is None or file.change.kind != "modified" or not _KNOWN.fullmatch(file.path):
        return False
    if _ALWAYS_TESTS.fullmatch(file.path) or file.path.rpartition("/")[2].rpartition(".")[0] in stems:
        return False
    if any(origin == file.path or origin.startswith(f"{file.path}::") for origin in origins):
        return False
    if file.path.endswith((".java", ".kt", ".groovy", ".scala")):
        return True  # any method looks like a test there; the names of classes have decided
    lines = [hunk.heading for hunk in file.hunks] + [line.text for hunk in file.hunks for line in hunk.lines]
    return not any(habits.defines(line[:1_000]) for line in lines)
