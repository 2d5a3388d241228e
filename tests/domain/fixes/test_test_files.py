import pytest

from soulcaster.domain.fixes.test_files import holds_tests, is_test_file

TESTS = """
test_a.py tests.py app/tests.py a/conftest.py pkg/a_test.py tests/__init__.py tests/data/a.json
src/a.test.ts src/a.spec.tsx src/__tests__/a.js test/a.js a-test.mjs cypress/e2e/a.cy.ts
src/__snapshots__/a.snap pkg/a_test.go pkg/testdata/a.golden tests/it.rs src/tests.rs
src/parser_tests.rs src/test/java/a/ATest.java src/test/resources/a.xml src/it/AIT.java TestA.java
src/test/kotlin/ASpec.kt tests/test_a.c test/run.sh tests/a.bats spec/a_spec.rb
"""

CODE = """
a.py src/testing/a.py latest.py contest.py attestation.py src/protest.py setup.py src/a.ts
src/inspect.ts test.md.js src/latest.js manifest.json pkg/a.go pkg/atest.go src/lib.rs
src/test_utils/mod.rs src/spec/parser.ts src/main/java/a/test/Runner.java src/main/java/a/Contest.java Makefile
README.md pyproject.toml
"""


@pytest.mark.parametrize("path", TESTS.split())
def test_these_belong_to_the_tests(path: str) -> None:
    assert is_test_file(path)


@pytest.mark.parametrize("path", CODE.split())
def test_these_do_not(path: str) -> None:
    assert not is_test_file(path)
    assert not holds_tests(path)


@pytest.mark.parametrize("path", ["tests/data/a.json", "pkg/testdata/a.golden", "src/__snapshots__/a.snap"])
def test_data_of_tests_holds_no_tests(path: str) -> None:
    assert not holds_tests(path)
