import pytest

from soulcaster.domain.fixes.patch import Patch
from soulcaster.domain.fixes.patch_parts import split_tests
from soulcaster.domain.fixes.test_helpers import helpers
from soulcaster.domain.fixes.test_runs import TestRun
from soulcaster.domain.fixes.verdict import Runs, judge
from tests.support.diffs import patch_of_files

OLD = "def get(path):\n    assert path\n    return path + 1\n"
NEW = OLD.replace("+ 1", "+ 2")


def run(*names: str) -> TestRun:
    return TestRun("passed", "test", dict.fromkeys(names, "passed"))


def change(*paths: str, old: str = OLD, new: str = NEW) -> Patch:
    return patch_of_files(dict.fromkeys(paths, (old, new)))


CODE = [
    ("django/test/client.py", "tests/test_client/tests.py::ClientTest::test_get"),
    ("werkzeug/test.py", "tests/test_test.py::test_get"),
    ("aiohttp/test_utils.py", "tests/test_test_utils.py::test_get"),
    ("packages/e2e/src/run.ts", "packages/e2e/src/run.spec.ts::runs"),
    ("src/main/kotlin/SplitTest.kt", "com.example.SplitTestsTest::splits"),
    ("lib/Test.java", "com.example.RunnerTest::runs"),
    ("test/e2e/framework/wait.go", "example.test/e2e::TestWait"),
]


@pytest.mark.parametrize(("path", "case"), CODE)
def test_code_that_is_named_as_tests_are_is_flagged_and_not_refused(path: str, case: str) -> None:
    patch, before = change(path), run(case)
    assert helpers(patch, before) == {path}
    assert split_tests(patch, helpers(patch, before)) == (patch, Patch(b"", ()))
    verdict = judge(Runs(before, before), patch)
    assert verdict.reasons == ()
    assert any(path in flag and "may be code" in flag for flag in verdict.flags)


TESTS = [
    ("tests/test_a.py", "tests/test_a.py::test_get"),
    ("werkzeug/test.py", "werkzeug/test.py::test_get"),
    ("src/SplitTest.kt", "com.example.SplitTest::splits"),
    ("src/SplitTest.java", "com.example.SplitTest$Inner::splits"),
    ("shop/tests.py", "shop.tests.ShopTest::test_get"),
    ("tests/conftest.py", "tests/test_a.py::test_get"),
    ("pkg/a_test.go", "example.test/pkg::TestGet"),
    ("tests/data/a.json", "tests/test_a.py::test_get"),
    ("tests/common.rs", "common::get"),
]


@pytest.mark.parametrize(("path", "case"), TESTS)
def test_a_change_of_tests_alone_is_refused(path: str, case: str) -> None:
    verdict = judge(Runs(run(case), run(case)), change(path))
    assert verdict.reasons == ("It changes only tests, so the program is as it was.",)


def test_a_file_that_defines_a_test_is_one_whatever_runs() -> None:
    old = "def test_a():\n    x = 1\n"
    assert helpers(change("werkzeug/test.py", old=old, new=old.replace("1", "2")), run("a.py::test_b")) == set()


def test_without_results_for_each_test_or_with_other_code_nothing_is_a_helper() -> None:
    assert helpers(change("werkzeug/test.py"), TestRun("passed", "test")) == set()
    assert helpers(change("werkzeug/test.py", "werkzeug/app.py"), run("a.py::test_b")) == set()
    assert helpers(patch_of_files({"werkzeug/test.py": (None, NEW)}), run("a.py::test_b")) == set()


def test_beside_a_helper_its_tests_are_tests() -> None:
    patch, before = change("werkzeug/test.py", "tests/test_a.py"), run("tests/test_a.py::test_a")
    code, tests = split_tests(patch, helpers(patch, before))
    assert [[one.path for one in part.changes] for part in (code, tests)] == [["werkzeug/test.py"], ["tests/test_a.py"]]
