"""Node: the script `test` of package.json, whose runner is given the option for a report where we know it."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from soulcaster.fixer.ecosystems.reading import StrangersFolder
from soulcaster.fixer.ecosystems.suite import Ecosystem, ReportKind, Suite, joined

_PRELUDE = """\
export PATH="$HOME/npm-tools/node_modules/.bin:$PWD/node_modules/.bin:$PATH" npm_config_cache="$HOME/npm-cache"
export npm_config_update_notifier=false npm_config_fund=false npm_config_audit=false COREPACK_ENABLE_STRICT=0
export CYPRESS_INSTALL_BINARY=0 PUPPETEER_SKIP_DOWNLOAD=1 PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1"""

_MANAGER = re.compile(r"(?P<name>npm|pnpm|yarn)@(?P<version>\d+\.\d+\.\d+)([-+].*)?")
_OTHER_SCRIPT = re.compile(r"(?:npm|pnpm|yarn)\s+(?:run\s+|run-script\s+)?(?P<name>[\w:.-]+)(?:\s+--)?")
_SEPARATOR = re.compile(r"&&|\|\||;|\|")
_NO_TEST = "no test specified"
_TESTS = ("*.test.js", "*.test.mjs", "*.test.cjs", "*-test.js", "*_test.js", "test-*.js")


@dataclass(frozen=True, slots=True)
class _Runner:
    """A test runner: how it is recognised in a script, and what has it report; `by_file` says that it takes files."""

    name: str
    pattern: re.Pattern[str]
    alone: str
    options: str = ""
    environment: str = ""
    report: ReportKind = "junit"
    by_file: bool = False
    no_tests: tuple[str, ...] = ()


_RUNNERS = (
    _Runner(
        "vitest",
        re.compile(r"\bvitest\b"),
        "vitest run",
        options='--run --reporter=default --reporter=junit --outputFile.junit="$REPORTS/vitest.xml" --passWithNoTests',
        by_file=True,
    ),
    _Runner(
        "jest",
        re.compile(r"\b(jest|react-scripts\s+test)\b"),
        "jest",
        options='--ci --watchAll=false --json --outputFile="$REPORTS/jest.json" --passWithNoTests',
        report="jest",
        by_file=True,
    ),
    _Runner(
        "mocha",
        re.compile(r"\bmocha\b"),
        "mocha",
        options='--no-bail --reporter xunit --reporter-option output="$REPORTS/mocha.xml"',
        no_tests=("No test files found",),
    ),
    _Runner(
        "node --test",
        re.compile(r"\bnode\b.*\s--test\b"),
        "node --test",
        environment='NODE_OPTIONS="${NODE_OPTIONS:-} --test-reporter=junit'
        ' --test-reporter-destination=$REPORTS/node.xml --test-reporter=spec --test-reporter-destination=stdout"',
        no_tests=("Could not find",),
    ),
)


def detect(tree: StrangersFolder, folder: str) -> Suite | None:
    """Return the suite of a package that has a test script, or tests of a runner that it depends on."""
    package = tree.json(joined(folder, "package.json"))
    if not package:
        return None
    files, _ = tree.names(folder)
    manager, setup = _installation(tree, folder, files, package)
    found = _script(package, "test", 5)
    if found is not None:
        name, last = found
        runner = next((runner for runner in _RUNNERS if runner.pattern.search(last)), None)
        return _suite(
            folder, f"package.json with the script {name}", manager, setup, runner, f"npm run --silent {name}"
        )
    known = _dependencies(package)
    runner = next((runner for runner in _RUNNERS if runner.name in known), None)
    if runner is None and any(fnmatch(path, pattern) for path in tree.walk(folder, depth=4) for pattern in _TESTS):
        runner = _RUNNERS[-1]
    if runner is None:
        return None
    return _suite(folder, "package.json without a test script", manager, setup, runner, "")


def _suite(folder: str, why: str, manager: str, setup: str, runner: _Runner | None, script: str) -> Suite:
    if runner is None:
        return Suite(
            ecosystem="node",
            folder=folder,
            why=f"{why}, installed by {manager}",
            setup=setup,
            test=script,
            prelude=_PRELUDE,
            silent_success="passed",
        )
    command, rerun = _commands(runner, script)
    return Suite(
        ecosystem="node",
        folder=folder,
        why=f"{why}; {runner.name}, installed by {manager}",
        setup=setup,
        test=command,
        report=runner.report,
        prelude=_PRELUDE,
        rerun=rerun,
        no_tests=runner.no_tests,
        silent_success="passed",
    )


def _commands(runner: _Runner, script: str) -> tuple[str, Callable[[Sequence[str]], str | None]]:
    """Return the command of all tests, and that of the files of failed tests."""
    begin = f"{runner.environment} " if runner.environment else ""
    options = runner.options if not script else (f"-- {runner.options}" if runner.options else "")
    command = f"{begin}{script or runner.alone} {options}".rstrip()

    def rerun(failed: Sequence[str]) -> str | None:
        files = sorted({name.partition("::")[0] for name in failed})
        if not runner.by_file or any(name.startswith("-") for name in files):
            return None
        return f"{command} {' '.join(map(shlex.quote, files))}"

    return command, rerun


def _script(package: Mapping[str, Any], name: str, most: int) -> tuple[str, str] | None:
    """Return the name and the last command of a script, or of the script that its last command calls; None if none."""
    scripts = package.get("scripts")
    script = scripts.get(name) if isinstance(scripts, dict) else None
    if not isinstance(script, str) or _NO_TEST in script or not script.strip() or not re.fullmatch(r"[\w:.-]+", name):
        return None
    last = _SEPARATOR.split(script)[-1].strip()
    called = _OTHER_SCRIPT.fullmatch(last)
    if called and most > 0 and _SEPARATOR.search(script) is None and called["name"] != name:
        return _script(package, called["name"], most - 1) or (name, last)
    return name, last


def _dependencies(package: Mapping[str, Any]) -> set[str]:
    tables = [package.get(kind) for kind in ("dependencies", "devDependencies")]
    return {name for table in tables if isinstance(table, dict) for name in table}


def _installation(
    tree: StrangersFolder, folder: str, files: Sequence[str], package: Mapping[str, Any]
) -> tuple[str, str]:
    """Return the package manager, by its lock file, and the commands that install."""
    named = _MANAGER.fullmatch(str(package.get("packageManager", "")))
    if "pnpm-lock.yaml" in files:
        version = _version(named, "pnpm") or _pnpm_for(tree.text(joined(folder, "pnpm-lock.yaml"), 32 * 2**20)[:200])
        return "pnpm", f"{_tool('pnpm', version)}\npnpm install --frozen-lockfile --silent"
    if "yarn.lock" in files:
        modern = ".yarnrc.yml" in files or "__metadata:" in tree.text(joined(folder, "yarn.lock"), 32 * 2**20)[:2000]
        if modern:
            version = _version(named, "yarn") or "4"
            environment = "YARN_NODE_LINKER=node-modules YARN_ENABLE_TELEMETRY=0 YARN_ENABLE_GLOBAL_CACHE=false"
            return "yarn", f"{_tool('@yarnpkg/cli-dist', version)}\n{environment} yarn install --immutable"
        return "yarn", f"{_tool('yarn', '1')}\nyarn install --frozen-lockfile --non-interactive --silent"
    if "package-lock.json" in files or "npm-shrinkwrap.json" in files:
        return "npm ci", "npm ci --silent || npm ci --legacy-peer-deps"
    return "npm install", "npm install --silent --no-package-lock" if _dependencies(package) else ":"


def _pnpm_for(lock: str) -> str:
    """Return the major version of pnpm that reads a lock file of this version (https://pnpm.io/installation)."""
    found = re.search(r"lockfileVersion:\s*'?(\d+)", lock)
    return {"5": "7", "6": "8", "9": "9"}.get(found[1] if found else "", "9")


def _version(named: re.Match[str] | None, manager: str) -> str | None:
    return named["version"] if named and named["name"] == manager else None


def _tool(package: str, version: str) -> str:
    return f'npm install --silent --prefix "$HOME/npm-tools" {shlex.quote(f"{package}@{version}")}'


ECOSYSTEM = Ecosystem(
    name="node",
    detect=detect,
    manifests=(
        *("package.json", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "pnpm-workspace.yaml"),
        *("yarn.lock", ".yarnrc.yml", ".npmrc"),
    ),
)
