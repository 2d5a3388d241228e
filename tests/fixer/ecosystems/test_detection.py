"""What is found in trees as they are laid out in real projects."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soulcaster.domain.fixes.order import FixRules
from soulcaster.domain.fixes.patch import FileChange, Patch
from soulcaster.fixer.ecosystems.detection import MAX_SUITES, TestPlan, plan_tests

NO_RULES = FixRules()


def plan(root: Path, files: dict[str, str], rules: FixRules = NO_RULES) -> TestPlan:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return plan_tests(root, rules)


def package(**content: object) -> str:
    return json.dumps({"name": "a", "version": "1.0.0", **content})


def changing(*paths: str) -> Patch:
    return Patch(b"", tuple(FileChange(path, "modified", "100644", "100644", 1, 1, path) for path in paths))


def test_a_repository_without_anything_known_has_no_tests(tmp_path: Path) -> None:
    found = plan(tmp_path, {"README.md": "hello", "index.html": ""})
    assert found.suites == ()
    assert found.notes == ("no ecosystem is recognised, so no tests",)


@pytest.mark.parametrize(
    ("files", "installs"),
    [
        ({"uv.lock": "", "pyproject.toml": "[project]\nname='a'"}, "uv sync --quiet --frozen\n"),
        (
            {"uv.lock": "", "pyproject.toml": "[dependency-groups]\ntests=[]\ndocs=[]\n[tool.uv.workspace]"},
            "uv sync --quiet --frozen --all-packages --group tests\n",
        ),
        ({"poetry.lock": "", "pyproject.toml": "[tool.poetry]"}, 'bin/poetry" install'),
        (
            {"requirements.txt": "", "requirements-dev.txt": ""},
            "install -r requirements-dev.txt\ninstall",
        ),
        (
            {"setup.py": "", "requirements/base.txt": "", "requirements/test.txt": ""},
            "install -r requirements/test.txt",
        ),
        ({"setup.py": "setup(extras_require={'test': ['pytest']})"}, "install -e '.[test]'"),
        ({"setup.cfg": "[options.extras_require]\ndev = pytest"}, "install -e '.[dev]'"),
        ({"pyproject.toml": "[project]\n[project.optional-dependencies]\ntests=[]\ndocs=[]"}, "install -e '.[tests]'"),
        ({"pyproject.toml": "[project]\n[dependency-groups]\ndev=[]\ndocs=[]"}, "install --group dev"),
        ({"setup.py": "", "tox.ini": "[testenv]\ndeps =\n  pytest>=7\n  py27: mock\n  {env:X}"}, "install 'pytest>=7'"),
    ],
)
def test_python_is_installed_by_what_the_project_has(tmp_path: Path, files: dict[str, str], installs: str) -> None:
    (suite,) = plan(tmp_path, files).suites
    assert suite.ecosystem == "python"
    assert installs in suite.setup
    assert "mock" not in suite.setup
    assert "docs" not in suite.setup


def test_python_without_a_manifest_is_known_by_its_tests(tmp_path: Path) -> None:
    (suite,) = plan(tmp_path, {"a.py": "", "tests/test_a.py": ""}).suites
    assert suite.why == "test files; pytest"


def test_scripts_alone_are_no_python_project(tmp_path: Path) -> None:
    assert plan(tmp_path, {"tool.py": ""}).suites == ()


def test_files_that_only_unittest_finds_are_found(tmp_path: Path) -> None:
    (suite,) = plan(tmp_path, {"setup.py": "", "tests/testwords.py": ""}).suites
    assert "python_files='test*.py'" in suite.test


def test_django_runs_its_own_tests_unless_it_has_pytest(tmp_path: Path) -> None:
    (suite,) = plan(tmp_path, {"manage.py": "", "requirements.txt": "django", "app/tests.py": ""}).suites
    assert "manage.py test" in suite.test
    (suite,) = plan(tmp_path, {"pytest.ini": "[pytest]"}).suites
    assert "pytest" in suite.test


@pytest.mark.parametrize(
    ("lock", "text", "manager", "installs"),
    [
        ("package-lock.json", "{}", "npm ci", "npm ci"),
        ("yarn.lock", "# yarn lockfile v1", "yarn", "yarn install --frozen-lockfile"),
        ("yarn.lock", "__metadata:\n  version: 8", "yarn", "yarn install --immutable"),
        ("pnpm-lock.yaml", "lockfileVersion: '6.0'", "pnpm", "pnpm@8"),
        ("pnpm-lock.yaml", "lockfileVersion: '9.0'", "pnpm", "pnpm@9"),
    ],
)
def test_node_is_installed_by_its_lock(tmp_path: Path, lock: str, text: str, manager: str, installs: str) -> None:
    (suite,) = plan(tmp_path, {"package.json": package(scripts={"test": "jest"}), lock: text}).suites
    assert suite.why == f"package.json with a test script; jest, installed by {manager}"
    assert installs in suite.setup


def test_the_version_of_the_package_manager_is_the_projects(tmp_path: Path) -> None:
    content = package(scripts={"test": "jest"}, packageManager="pnpm@9.1.2+sha512.abc")
    (suite,) = plan(tmp_path, {"package.json": content, "pnpm-lock.yaml": ""}).suites
    assert "pnpm@9.1.2" in suite.setup
    (suite,) = plan(
        tmp_path, {"package.json": package(scripts={"test": "jest"}, packageManager="pnpm@1;reboot")}
    ).suites
    assert "reboot" not in suite.setup


@pytest.mark.parametrize(
    ("scripts", "runner", "test"),
    [
        ({"test": "vitest"}, "vitest", "vitest --run"),
        ({"test": "tsc && jest --coverage"}, "jest", "tsc && jest --coverage --ci"),
        ({"test": "jest && eslint ."}, "jest", "jest --ci"),
        (
            {"test": "npm run unit", "unit": "nyc mocha -r x 'a && b'"},
            "mocha",
            "nyc mocha -r x 'a && b' --reporter xunit",
        ),
        ({"test": "yarn unit", "unit": "react-scripts test"}, "jest", "react-scripts test --ci"),
        ({"test": "node --import tsx --test src/"}, "node --test", "node --test-reporter=junit"),
        ({"test": "cross-env A=1 node_modules/.bin/jest"}, "jest", "cross-env A=1 node_modules/.bin/jest --ci"),
        ({"test": "pnpm run a && pnpm b", "a": "tsc", "b": "vitest run"}, "vitest", "tsc && vitest run --run"),
        (
            {"test": "npm run lint && mocha -R dot --bail t", "lint": "standard | snazzy"},
            "mocha",
            "mocha t --reporter xunit",
        ),
        ({"test": "eslint . && NODE_ENV=test npx prettier -c . && vitest run --bail=1"}, "vitest", "vitest run --run"),
        ({"pretest": "npm run build", "build": "tsc", "test": "mocha"}, "mocha", "tsc && mocha --reporter xunit"),
    ],
)
def test_the_runner_of_node_reports(tmp_path: Path, scripts: dict[str, str], runner: str, test: str) -> None:
    (suite,) = plan(tmp_path, {"package.json": package(scripts=scripts)}).suites
    assert runner in suite.why
    assert test in suite.test
    assert not re.search("lint|standard|prettier|bail", suite.test)
    assert suite.report != "exit code"


def test_scripts_that_call_each_other_come_to_an_end(tmp_path: Path) -> None:
    scripts = {"test": "npm run a", "a": " && ".join(["npm run b"] * 90), "b": " && ".join(["npm run a"] * 90)}
    (suite,) = plan(tmp_path, {"package.json": package(scripts=scripts)}).suites
    assert suite.test == "npm run --silent test"
    (suite,) = plan(tmp_path, {"package.json": package(scripts={"test": "node " * 100_000})}).suites
    assert suite.test == "npm run --silent test"


def test_each_run_of_a_runner_has_its_report(tmp_path: Path) -> None:
    (suite,) = plan(tmp_path, {"package.json": package(scripts={"test": "mocha a && mocha b"})}).suites
    assert "$REPORTS/mocha-0.xml" in suite.test
    assert "$REPORTS/mocha-1.xml" in suite.test


@pytest.mark.parametrize(
    "script",
    ["tap", "karma start", "npm test", "eslint .; jest", "jest | tee log", "(cd a && jest)", "echo 'jest", "lint-jest"],
)
def test_another_runner_of_node_has_its_exit_code(tmp_path: Path, script: str) -> None:
    (suite,) = plan(tmp_path, {"package.json": package(scripts={"test": script})}).suites
    assert suite.test == "npm run --silent test"
    assert suite.report == "exit code"


def test_failed_tests_run_again_by_their_files(tmp_path: Path) -> None:
    (suite,) = plan(tmp_path, {"package.json": package(scripts={"test": "jest"})}).suites
    again = suite.rerun(["a b.test.js::x", "a b.test.js::y", "c.test.js::z"])
    assert again is not None
    assert again.endswith("--passWithNoTests 'a b.test.js' c.test.js")
    assert suite.rerun(["--config=x::y"]) is None


def test_the_script_that_npm_init_writes_is_none(tmp_path: Path) -> None:
    scripts = {"test": 'echo "Error: no test specified" && exit 1'}
    assert plan(tmp_path, {"package.json": package(scripts=scripts)}).suites == ()
    (suite,) = plan(tmp_path, {"package.json": package(scripts=scripts, devDependencies={"vitest": "1"})}).suites
    assert suite.test.startswith("vitest run")


def test_a_makefile_counts_only_without_another_ecosystem(tmp_path: Path) -> None:
    files = {"Makefile": "CC := cc\nall: x\n\n.PHONY: test\ntest: all\n\t./x\n"}
    (suite,) = plan(tmp_path, files).suites
    assert suite.test == "make test"
    (suite,) = plan(tmp_path, {"go.mod": "module a.test/b"}).suites
    assert suite.ecosystem == "go"


@pytest.mark.parametrize("text", ["all:\n\techo test\n", "test := 1\n", "# test: x\n", "testing: x\n", ""])
def test_a_makefile_without_a_target_for_tests_is_none(tmp_path: Path, text: str) -> None:
    assert plan(tmp_path, {"Makefile": text}).suites == ()


@pytest.mark.parametrize("text", ["check:\n\t./x\n", "all check: x\n", "check::\n"])
def test_check_is_a_target_for_tests(tmp_path: Path, text: str) -> None:
    (suite,) = plan(tmp_path, {"Makefile": text}).suites
    assert suite.test == "make check"


def test_configure_comes_first(tmp_path: Path) -> None:
    (suite,) = plan(tmp_path, {"configure": "", "Makefile.in": "SUBDIRS = src\n"}).suites
    assert (suite.setup, suite.test) == ("sh ./configure", "make check")


def test_java_takes_the_wrapper_of_the_repository(tmp_path: Path) -> None:
    (suite,) = plan(tmp_path, {"pom.xml": "<project/>", "mvnw": ""}).suites
    assert "sh ./mvnw -B -o" in suite.test
    (tmp_path / "pom.xml").unlink()
    (suite,) = plan(tmp_path, {"build.gradle.kts": "", "gradlew": ""}).suites
    assert "sh ./gradlew --no-daemon --offline" in suite.test


def test_a_workspace_of_rust_is_tested_as_a_whole(tmp_path: Path) -> None:
    (suite,) = plan(tmp_path, {"Cargo.toml": "[workspace]\nmembers=['a']", "Cargo.lock": ""}).suites
    assert "--workspace" in suite.test
    assert "cargo fetch --locked" in suite.setup


def test_all_ecosystems_of_the_root_count_and_those_below_do_not(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": "[project]",
        "package.json": package(scripts={"test": "jest"}),
        "web/package.json": package(scripts={"test": "jest"}),
    }
    assert [(suite.ecosystem, suite.folder) for suite in plan(tmp_path, files).suites] == [("python", ""), ("node", "")]


def test_folders_count_where_the_root_has_nothing(tmp_path: Path) -> None:
    files = {
        "backend/go.mod": "module a.test/b",
        "frontend/package.json": package(scripts={"test": "vitest run"}),
        "examples/Cargo.toml": "[package]",
        "frontend/deep/Cargo.toml": "[package]",
    }
    found = plan(tmp_path, files)
    assert [(suite.ecosystem, suite.folder) for suite in found.suites] == [("go", "backend"), ("node", "frontend")]
    assert "go in backend: go.mod" in found.notes
    assert "cd ./frontend" in found.suites[1].test_script()


def test_suites_are_limited_and_the_others_named(tmp_path: Path) -> None:
    found = plan(tmp_path, {f"m{n}/go.mod": "module a.test/b" for n in range(MAX_SUITES + 1)})
    assert len(found.suites) == MAX_SUITES
    assert found.notes[-1] == f"left out: go in m{MAX_SUITES}: go.mod"


def test_the_settings_of_the_project_replace_what_is_found(tmp_path: Path) -> None:
    rules = FixRules(setup="make deps", test="tox -e py", test_report="out/**/*.xml")
    found = plan(tmp_path, {"pyproject.toml": "[project]"}, rules)
    (suite,) = found.suites
    assert "tox -e py" in suite.test
    assert "out/*.xml" in suite.collect
    assert "venv" in found.setups[0]
    assert "install -e" not in "".join(found.setups)
    assert "make deps" in found.setups[-1]
    assert found.notes[-1] == "the project's settings say how the tests run"


def test_settings_alone_are_enough(tmp_path: Path) -> None:
    found = plan(tmp_path, {"a.f90": ""}, FixRules(test="./run"))
    assert found.suites[0].report == "exit code"
    assert found.setups == ()


def test_a_change_of_a_manifest_needs_a_new_setup(tmp_path: Path) -> None:
    found = plan(tmp_path, {"package.json": package(scripts={"test": "jest"})})
    assert found.needs_setup(changing("web/package-lock.json"))
    assert not found.needs_setup(changing("src/a.js", "Cargo.toml"))


@pytest.mark.parametrize(
    ("files", "rules", "changed"),
    [
        ({"pyproject.toml": "[project]", "package.json": "{}"}, FixRules(test="tox"), "pyproject.toml"),
        ({"package.json": '{"scripts": {"test": "jest"}}', "go.mod": ""}, FixRules(test="tox"), "go.mod"),
        ({"a.rb": ""}, FixRules(setup="bundle install", test="rake"), "Gemfile.lock"),
    ],
)
def test_it_does_also_where_the_project_says_how_the_tests_run(
    tmp_path: Path, files: dict[str, str], rules: FixRules, changed: str
) -> None:
    assert plan(tmp_path, files, rules).needs_setup(changing(changed))


NAMES = ["pyproject.toml", "setup.cfg", "tox.ini", "package.json", "pom.xml", "Makefile", "yarn.lock", "Cargo.toml"]
JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["scripts", "test", "dependencies", "packageManager", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=60) | JSONISH.map(json.dumps), max_size=4))
def test_no_tree_makes_detection_raise(tmp_path: Path, files: dict[str, str]) -> None:
    for name in NAMES:
        (tmp_path / name).unlink(missing_ok=True)
    for name, text in files.items():
        (tmp_path / name).write_text(text, errors="replace")
    assert plan_tests(tmp_path, NO_RULES).notes
