"""Python: pytest in a virtual environment in the home; it runs the tests of `unittest`, too."""

import re
import shlex
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from typing import Any

from soulcaster.fixer.ecosystems.reading import StrangersFolder
from soulcaster.fixer.ecosystems.suite import PRINTED, Ecosystem, Suite, joined

_PRELUDE = """\
export PATH="$HOME/venv/bin:$PATH" VIRTUAL_ENV="$HOME/venv" UV_PROJECT_ENVIRONMENT="$HOME/venv"
export PYTHONDONTWRITEBYTECODE=1 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy PIP_DISABLE_PIP_VERSION_CHECK=1
export PIP_RETRIES=2"""

_ENVIRONMENT = """\
rm -rf "$HOME/venv"
if command -v uv >/dev/null 2>&1; then
  uv venv --quiet --seed "$HOME/venv"
  install() { uv pip install --quiet "$@"; }
else
  python3 -m venv "$HOME/venv"
  python -m pip install --quiet --upgrade pip
  install() { python -m pip install --quiet "$@"; }
fi"""

_PYTEST_IF_MISSING = "python -c 'import pytest' 2>/dev/null || install pytest"

_REQUIREMENTS = re.compile(
    r"(?i)(requirements([-_.](dev|test|tests|testing|ci))?|(dev|test|tests)[-_.]requirements)\.txt"
)
_REQUIREMENTS_FOLDER = re.compile(r"(?i)(base|main|dev|test|tests|testing|ci|requirements[-_](dev|test))\.txt")
_FOR_TESTS = ("test", "tests", "testing", "dev", "develop", "development")
_EXTRA_IN_CODE = re.compile(r"""["'](test|tests|testing|dev)["']\s*:""")
_TOX_DEPENDENCY = re.compile(r"-r\s*[\w./-]+|[A-Za-z][\w.-]*(\[[\w,.-]+\])?\s*([<>=!~]=?[\w.,<>=!~ *]+)?")
_CONFIGURES_PYTEST = ("pytest.ini", ".pytest.ini", "conftest.py", "tests/conftest.py")

_PYTEST = (
    'python -m pytest --junitxml="$REPORTS/pytest.xml" -o junit_family=xunit1 -o cache_dir="$HOME/pytest-cache"'
    " --maxfail=0 --continue-on-collection-errors"
)


def detect(tree: StrangersFolder, folder: str) -> Suite | None:
    """Return the suite of a Python project, None where the folder is none."""
    files, _ = tree.names(folder)
    tests = [path.rpartition("/")[2] for path in tree.walk(folder, depth=4) if path.endswith(".py")]
    manifests = [name for name in files if any(fnmatch(name, pattern) for pattern in ECOSYSTEM.manifests)]
    if not manifests and not (files and any(fnmatch(name, "test_*.py") for name in tests)):
        return None
    project = tree.toml(joined(folder, "pyproject.toml"))
    why, install = _installation(tree, folder, files, project)
    if "manage.py" in files and not _uses_pytest(tree, folder, project):
        return Suite(
            ecosystem="python",
            folder=folder,
            why=f"{why}; manage.py, without pytest",
            environment=_ENVIRONMENT,
            setup=install,
            test=f"python manage.py test --verbosity 2 --no-input >{PRINTED} 2>&1; code=$?; tail -c 16384 {PRINTED}; "
            "exit $code",
            report="unittest",
            prelude=_PRELUDE,
        )
    command = _PYTEST + _discovery(tree, folder, project, tests)
    return Suite(
        ecosystem="python",
        folder=folder,
        why=f"{why}; pytest",
        environment=_ENVIRONMENT,
        setup=f"{install}\n{_PYTEST_IF_MISSING}",
        test=command,
        report="junit",
        prelude=_PRELUDE,
        rerun=lambda failed: f"{command} --last-failed",
        no_tests_code=5,
    )


def _installation(
    tree: StrangersFolder, folder: str, files: Sequence[str], project: Mapping[str, Any]
) -> tuple[str, str]:
    """Return what the packages are installed by, and the commands."""
    if "uv.lock" in files and project:
        return "uv.lock", (
            f"if command -v uv >/dev/null 2>&1; then uv sync --quiet --frozen{_uv_options(project)}\n"
            f"else {_install_project(tree, folder, files, project)}\nfi"
        )
    if "poetry.lock" in files:
        return "poetry.lock", (
            'python3 -m venv "$HOME/poetry"\n"$HOME/poetry/bin/python" -m pip install --quiet poetry\n'
            'POETRY_VIRTUALENVS_CREATE=false "$HOME/poetry/bin/poetry" install --no-interaction --quiet'
        )
    named = [name for name in files if any(fnmatch(name, pattern) for pattern in ECOSYSTEM.manifests)]
    return ", ".join(named) or "test files", _install_project(tree, folder, files, project)


def _install_project(tree: StrangersFolder, folder: str, files: Sequence[str], project: Mapping[str, Any]) -> str:
    lists = [name for name in files if _REQUIREMENTS.fullmatch(name)]
    inside, _ = tree.names(joined(folder, "requirements"))
    lists += [f"requirements/{name}" for name in inside if _REQUIREMENTS_FOLDER.fullmatch(name)]
    commands = [f"install -r {shlex.quote(name)}" for name in lists]
    extras = _extras(project) or _extras_in_text(tree, folder)
    if "setup.py" in files or "setup.cfg" in files or "project" in project or "build-system" in project:
        commands.append("install -e " + shlex.quote(f".[{','.join(extras)}]" if extras else "."))
    groups = [name for name in _names(project.get("dependency-groups")) if name in _FOR_TESTS]
    if groups:
        commands.append("install " + " ".join(f"--group {name}" for name in groups))
    if not extras and not groups and len(lists) < 2:
        needed = _tox_dependencies(tree.ini(joined(folder, "tox.ini"), "testenv").get("deps", ""))
        if needed:
            commands.append("install " + " ".join(map(shlex.quote, needed)))
    return "\n".join(commands) or ":"


def _uv_options(project: Mapping[str, Any]) -> str:
    """Return the options that have uv install what tests need; it installs the group `dev` anyway."""
    tool = project.get("tool")
    uv = tool.get("uv") if isinstance(tool, dict) else None
    words = ["--all-packages"] if isinstance(uv, dict) and "workspace" in uv else []
    words += [f"--group {name}" for name in _names(project.get("dependency-groups")) if name in _FOR_TESTS]
    words += [f"--extra {name}" for name in _extras(project)]
    return "".join(f" {word}" for word in words)


def _names(table: object) -> list[str]:
    return sorted(name for name in table if isinstance(name, str)) if isinstance(table, dict) else []


def _extras(project: Mapping[str, Any]) -> list[str]:
    section = project.get("project")
    return (
        [name for name in _names(section.get("optional-dependencies")) if name in _FOR_TESTS]
        if isinstance(section, dict)
        else []
    )


def _extras_in_text(tree: StrangersFolder, folder: str) -> list[str]:
    """Return the extras for tests that setup.cfg has, or that setup.py seems to have."""
    if section := tree.ini(joined(folder, "setup.cfg"), "options.extras_require"):
        return [name for name in section if name in _FOR_TESTS]
    code = tree.text(joined(folder, "setup.py"))
    return sorted(set(_EXTRA_IN_CODE.findall(code))) if "extras_require" in code else []


def _tox_dependencies(deps: str) -> list[str]:
    """Return the packages and requirement files of tox's `[testenv]`, without those for some of its environments."""
    found = [line.strip() for line in deps.splitlines() if _TOX_DEPENDENCY.fullmatch(line.strip())]
    return [part for line in found for part in (["-r", line[2:].strip()] if line.startswith("-r") else [line])]


def _uses_pytest(tree: StrangersFolder, folder: str, project: Mapping[str, Any]) -> bool:
    if any(tree.has(joined(folder, name)) for name in _CONFIGURES_PYTEST):
        return True
    texts = [tree.text(joined(folder, name)) for name in ("setup.cfg", "tox.ini", "setup.py", "requirements.txt")]
    return "pytest" in str(project) or any("pytest" in text for text in texts)


def _discovery(tree: StrangersFolder, folder: str, project: Mapping[str, Any], tests: Sequence[str]) -> str:
    """Return the option that has pytest find files as unittest does, where only that finds any."""
    of_pytest = any(fnmatch(name, "test_*.py") or fnmatch(name, "*_test.py") for name in tests)
    of_unittest = any(fnmatch(name, "test*.py") for name in tests)
    if of_pytest or not of_unittest or _uses_pytest(tree, folder, project):
        return ""
    return " -o python_files='test*.py'"


ECOSYSTEM = Ecosystem(
    name="python",
    detect=detect,
    manifests=(
        *("pyproject.toml", "setup.py", "setup.cfg", "tox.ini", "uv.lock", "poetry.lock", "Pipfile", "Pipfile.lock"),
        *("*requirements*.txt", "constraints*.txt"),
    ),
)
