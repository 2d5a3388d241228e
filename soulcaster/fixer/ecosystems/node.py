"""Node: the script `test` of package.json, whose runner is given the option for a report where we know it."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import Any

from soulcaster.fixer.ecosystems.node_scripts import commands_of, is_simple
from soulcaster.fixer.ecosystems.reading import StrangersFolder
from soulcaster.fixer.ecosystems.suite import Ecosystem, ReportKind, Suite, joined

_PRELUDE = """\
export PATH="$HOME/npm-tools/node_modules/.bin:$PWD/node_modules/.bin:$PATH" npm_config_cache="$HOME/npm-cache"
export npm_config_update_notifier=false npm_config_fund=false npm_config_audit=false COREPACK_ENABLE_STRICT=0
export CYPRESS_INSTALL_BINARY=0 PUPPETEER_SKIP_DOWNLOAD=1 PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1"""

_MANAGER = re.compile(r"(?P<name>npm|pnpm|yarn)@(?P<version>\d+\.\d+\.\d+)([-+].*)?")
_TESTS = ("*.test.js", "*.test.mjs", "*.test.cjs", "*-test.js", "*_test.js", "test-*.js")


_NOTHING = re.compile(r"(?!)")
_FIRST_FAILURE = re.compile(r"\s(?:--bail(?:=\d+)?|-b)(?=\s|$)")
"""Options that end a run at its first failure; the tests after it would seem to be gone."""

_LINTER = re.compile(
    r"(?:(?:npx|cross-env|\w+=\S*|node \S+)\s+)*(?:node_modules/\.bin/)?"
    r"(?:eslint|standard|semistandard|ts-standard|xo|prettier|tslint|stylelint|biome|oxlint|commitlint|markdownlint\S*"
    r"|tsd|dtslint|publint|attw|knip|depcheck|cspell)(?:\s[^;&()<>`]*)?"
)
"""Commands that are no tests and make nothing that tests need: a matter of style must not keep tests from running."""


@dataclass(frozen=True, slots=True)
class _Runner:
    """A test runner: what it looks like in a script, and the options that have it report to the file `{file}`.

    `program` matches the program with what is before it. The options come at the end of a command, or, `first`, right
    after the program; `replaced` are options of the script that they replace. `by_file` says that files at the end
    select tests. `alone` runs it without any script.
    """

    name: str
    program: re.Pattern[str]
    alone: str
    options: str
    report: ReportKind = "junit"
    first: bool = False
    by_file: bool = False
    replaced: re.Pattern[str] = _NOTHING
    no_tests: tuple[str, ...] = ()

    def reporting(self, command: str, number: int) -> str:
        """Return a command of this runner that also writes the report of this number."""
        options = self.options.replace("{file}", f"$REPORTS/{self.name.split()[0]}-{number}")
        command = _FIRST_FAILURE.sub("", self.replaced.sub("", command))
        found = self.program.match(command)
        if not self.first or found is None:
            return f"{command} {options}"
        return f"{command[: found.end('program')]} {options}{command[found.end('program') :]}"


def _program(names: str) -> re.Pattern[str]:
    return re.compile(rf"(?:.*?[\s/])??(?P<program>(?:{names})(?:\.[cm]?js)?)(?=\s|$)")


_RUNNERS = (
    _Runner(
        "vitest",
        _program("vitest"),
        "vitest run",
        '--run --reporter=default --reporter=junit --outputFile.junit="{file}.xml" --passWithNoTests',
        by_file=True,
    ),
    _Runner(
        "jest",
        _program(r"jest|react-scripts\s+test"),
        "jest",
        '--ci --watchAll=false --json --outputFile="{file}.json" --passWithNoTests',
        report="jest",
        by_file=True,
    ),
    _Runner(
        "mocha",
        _program("_?mocha"),
        "mocha",
        '--reporter xunit -O output="{file}.xml"',
        replaced=re.compile(r"\s(?:--reporter|-R)[ =][\w./-]+"),
        no_tests=("No test files found",),
    ),
    _Runner(
        "node --test",
        re.compile(r"(?:.*?[\s/])??(?P<program>node|tsx)(?=\s(?:.*\s)?--test(?:\s|$))"),
        "node --test",
        '--test-reporter=junit --test-reporter-destination="{file}.xml"'
        " --test-reporter=spec --test-reporter-destination=stdout",
        first=True,
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
    commands, why = commands_of(package, "test"), "package.json with a test script"
    if not commands:
        why = "package.json without a test script"
        known = _dependencies(package)
        runner = next((runner for runner in _RUNNERS if runner.name in known), None)
        if runner is None and any(fnmatch(path, pattern) for path in tree.walk(folder, depth=4) for pattern in _TESTS):
            runner = _RUNNERS[-1]
        if runner is None:
            return None
        commands = (runner.alone,)
    commands = tuple(one for one in commands if _runner_of([one]) or not _LINTER.fullmatch(one))
    found = _runner_of(commands)
    base = Suite("node", folder, "", setup, "npm run --silent test", prelude=_PRELUDE, silent_success="passed")
    if found is None:
        return replace(base, why=f"{why}, installed by {manager}")
    runner, command, rerun = found[0], _joined(commands, found), _rerun(commands, found)
    return replace(
        base,
        why=f"{why}; {runner.name}, installed by {manager}",
        test=command,
        report=runner.report,
        rerun=rerun,
        no_tests=runner.no_tests,
    )


def _runner_of(commands: Sequence[str]) -> tuple[_Runner, frozenset[int]] | None:
    """Return the first runner that the commands have, and which of them are its; None if none can be given options."""
    for runner in _RUNNERS:
        here = [place for place, one in enumerate(commands) if runner.program.match(one)]
        places = frozenset(place for place in here if runner.first or is_simple(commands[place]))
        if places:
            return runner, places
    return None


def _joined(commands: Sequence[str], found: tuple[_Runner, frozenset[int]], files: Sequence[str] = ()) -> str:
    runner, places = found
    words = "".join(f" {shlex.quote(file)}" for file in files)
    return " && ".join(
        runner.reporting(one, place) + words if place in places else one for place, one in enumerate(commands)
    )


def _rerun(commands: Sequence[str], found: tuple[_Runner, frozenset[int]]) -> Callable[[Sequence[str]], str | None]:
    """Return what makes the command of the files of failed tests, where the runner takes files."""

    def rerun(failed: Sequence[str]) -> str | None:
        files = sorted({name.partition("::")[0] for name in failed})
        if not found[0].by_file or any(file.startswith("-") for file in files):
            return None
        return _joined(commands, found, files)

    return rerun


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
