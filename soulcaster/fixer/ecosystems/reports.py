"""Reports of test runners, as outcomes by name. Reports are strangers' files: none can make these functions raise."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from soulcaster.domain.fixes.test_runs import CaseOutcome
from soulcaster.fixer.ecosystems.junit import junit_cases
from soulcaster.fixer.ecosystems.names import MAX_CASES, Case, named
from soulcaster.fixer.ecosystems.reading import StrangersFolder
from soulcaster.fixer.ecosystems.suite import ReportKind
from soulcaster.ports.sandbox import WORK

MAX_REPORT_BYTES = 32 * 2**20
"""The largest report that is read; a test of 100 bytes each, that is 300,000 tests."""

MAX_LINES = 2_000
MAX_PRINTED = 16 * 1024
"""Events of Go that are read for what it printed, and characters of that."""

_CARGO_BINARY = re.compile(
    r"\s+Running (?:unittests )?(?P<file>\S+) \((?:.*[^\w-])?(?P<name>[\w-]+)-[0-9a-f]{16}(?:\.exe)?\)"
)
_CARGO_DOCS = re.compile(r"\s+Doc-tests (?P<name>\S+)")
_CARGO_TEST = re.compile(r"test (?P<name>.+?)(?: - should panic)? \.\.\. (?P<outcome>ok|FAILED|ignored)")
_UNITTEST_NAME = re.compile(r"(?P<name>\w+) \((?P<where>[\w.]+)\)")
_UNITTEST_OUTCOME = re.compile(
    r"(?:.*\.\.\. )?(?P<outcome>ok|FAIL|ERROR|skipped .*|expected failure|unexpected success)$"
)

_CARGO: Mapping[str, CaseOutcome] = {"ok": "passed", "FAILED": "failed", "ignored": "skipped"}
_GO: Mapping[str, CaseOutcome] = {"pass": "passed", "fail": "failed", "skip": "skipped"}
_JEST: Mapping[str, CaseOutcome] = {"passed": "passed", "failed": "failed"}
_UNITTEST: Mapping[str, CaseOutcome] = {"ok": "passed", "expected failure": "passed"}
_WORST: Sequence[CaseOutcome] = ("failed", "passed", "skipped")


def read_cases(kind: ReportKind, reports: StrangersFolder) -> dict[str, CaseOutcome] | None:
    """Return the outcome of each test by its name, None where there is no report that can be read.

    Several tests of one name count as one: failed if any failed, else passed if any passed.
    """
    if kind == "exit code":
        return None
    files, _ = reports.names()
    texts = [text for name in files if (text := reports.read(name, MAX_REPORT_BYTES)) is not None]
    if not texts:
        return None
    try:
        cases = list(_limited(case for text in texts for case in _PARSERS[kind](text)))
    except (ValueError, RecursionError):  # no report after all; the exit code still counts
        return None
    found: dict[str, CaseOutcome] = {}
    for name, outcome in cases:
        found[name] = min(outcome, found.get(name, outcome), key=_WORST.index)
    return found


def go_printed(reports: StrangersFolder) -> str:
    """Return the end of what `go test -json` reports that the tests and the compiler printed."""
    files, _ = reports.names()
    lines = b"".join(reports.read(name, MAX_REPORT_BYTES) or b"" for name in files).splitlines()
    return "".join(str(event.get("Output", "")) for event in map(_object, lines[-MAX_LINES:]))[-MAX_PRINTED:]


def _limited(cases: Iterable[Case]) -> Iterator[Case]:
    for _, case in zip(range(MAX_CASES), cases, strict=False):
        yield case


def _go_cases(report: bytes) -> Iterator[Case]:
    """Yield the tests of `go test -json` (https://pkg.go.dev/cmd/test2json); a package that fails as a whole is one."""
    begun: dict[tuple[str, str], CaseOutcome] = {}
    failed_packages: set[str] = set()
    for event in map(_object, report.splitlines()):
        package, test, action = (str(event.get(key, "")) for key in ("Package", "Test", "Action"))
        if package and test and action in ("run", *_GO) and len(begun) < MAX_CASES:
            begun[package, test] = _GO.get(action, "failed")  # one that begins and never ends has failed
        elif package and not test and action == "fail":
            failed_packages.add(package)
    failed = {package for (package, _), outcome in begun.items() if outcome == "failed"}
    yield from ((named(package, "(package)"), "failed") for package in failed_packages - failed)
    yield from ((named(package, test), outcome) for (package, test), outcome in begun.items())


def _object(line: bytes) -> Mapping[str, Any]:
    """Return the JSON object of a line, empty for one that holds anything else: tests may print between events."""
    if not line.startswith(b"{"):
        return {}
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _jest_cases(report: bytes) -> Iterator[Case]:
    """Yield the tests of Jest's `--json`; a file that could not run is a failed test."""
    root = json.loads(report)
    results = root.get("testResults") if isinstance(root, dict) else None
    if not isinstance(results, list):
        raise ValueError("no results of Jest")
    for result in filter(_is_object, results):
        file = _in_tree(str(result.get("name", "")))
        tests = result.get("assertionResults")
        tests = [test for test in tests if _is_object(test)] if isinstance(tests, list) else []
        if not tests and result.get("status") == "failed":
            yield named(file, "(file)"), "failed"
        for test in tests:
            titles = test.get("ancestorTitles")
            titles = [str(title) for title in titles] if isinstance(titles, list) else []
            yield (
                named(file, " > ".join([*titles, str(test.get("title", ""))])),
                _JEST.get(str(test.get("status")), "skipped"),
            )


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _in_tree(path: str) -> str:
    return path.removeprefix(f"{WORK}/")


def _cargo_cases(report: bytes) -> Iterator[Case]:
    """Yield the tests that `cargo test` prints; a test has the name of its crate and file before its own."""
    binary = ""
    for line in report.decode(errors="replace").splitlines():
        if found := _CARGO_BINARY.match(line):
            binary = f"{found['name']} {found['file']}"
        elif found := _CARGO_DOCS.match(line):
            binary = f"{found['name']} documentation"
        elif found := _CARGO_TEST.match(line):
            yield named(f"{binary} > {found['name']}"), _CARGO[found["outcome"]]


def _unittest_cases(report: bytes) -> Iterator[Case]:
    """Yield the tests that `unittest` prints when it is verbose: a name, perhaps a description, and the outcome."""
    name = ""
    for line in report.decode(errors="replace").splitlines():
        if found := _UNITTEST_NAME.match(line):
            name = named(found["where"].removesuffix(f".{found['name']}"), found["name"])
        if name and (found := _UNITTEST_OUTCOME.match(line)):
            outcome = found["outcome"]
            yield name, _UNITTEST.get(outcome, "skipped" if outcome.startswith("skipped") else "failed")
            name = ""


_PARSERS: Mapping[str, Callable[[bytes], Iterable[Case]]] = {
    "junit": junit_cases,
    "go": _go_cases,
    "jest": _jest_cases,
    "cargo": _cargo_cases,
    "unittest": _unittest_cases,
}
