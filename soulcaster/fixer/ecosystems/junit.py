"""JUnit XML as pytest, Surefire, Gradle, Vitest, Mocha and node write it."""

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from soulcaster.domain.fixes.test_runs import CaseOutcome
from soulcaster.fixer.ecosystems.names import Case, named
from soulcaster.ports.sandbox import WORK

_DECLARATION = re.compile(r"^\ufeff?\s*<\?xml[^>]*\?>")


def junit_cases(report: bytes) -> Iterator[Case]:
    """Yield the tests of a report.

    Raises:
        ValueError: it is not XML in UTF-8, or has a document type: entities could name files of ours, or grow.
    """
    from junitparser import TestCase  # needs a moment to import

    text = _DECLARATION.sub("", report.decode(), count=1)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("a document type")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  without a document type there are no entities
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from error
    waiting: list[tuple[ElementTree.Element, tuple[str, ...]]] = [(root, ())]
    while waiting:
        element, suites = waiting.pop()
        if element.tag == "testcase":
            case = TestCase.fromelem(element)  # type: ignore[no-untyped-call]
            outcome: CaseOutcome = (
                "failed" if case.is_failure or case.is_error else "skipped" if case.is_skipped else "passed"
            )
            yield _name(element, suites), outcome
        else:
            inside = (*suites, element.get("name", "")) if element.tag == "testsuite" and len(suites) < 8 else suites
            waiting += [(child, inside) for child in element]


def _name(case: ElementTree.Element, suites: tuple[str, ...]) -> str:
    """Return a test's name: its file, where the report says it, its class and its own; for node, its suites."""
    own, of = case.get("name", ""), case.get("classname", "")
    file = case.get("file", "").removeprefix(f"{WORK}/")
    if of in ("", "test"):  # pytest where a file cannot be imported; node, which has no classes
        return named(file, *(suites if of else ()), own)
    module = re.sub(r"\.py$", "", file).replace("/", ".")
    if file and of == module:
        return named(file, own)
    if file and of.startswith(f"{module}."):
        return named(file, *of.removeprefix(f"{module}.").split("."), own)
    return named(file, of, own) if file and file != of else named(of, own)
