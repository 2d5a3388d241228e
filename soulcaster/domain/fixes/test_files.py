"""Which files of a repository are tests, by their paths, as the runners and habits of each language have it."""

import re

_FOLDERS = frozenset({"test", "tests", "__tests__", "__mocks__", "__snapshots__", "testdata", "e2e", "cypress"})
_AT_ROOT = frozenset({"spec", "specs"})
"""Folders of tests, with their data and helpers; the last ones only at the root, as elsewhere they hold code, too."""

_FILES = re.compile(
    r"(?:test_.*|.*_test|conftest|tests?)\.py"  # pytest, unittest, Django
    r"|.*[._-](?:test|spec|cy)\.[cm]?[jt]sx?|test-.*\.[cm]?js"  # Jest, Vitest, Mocha, node
    r"|.*_test\.go"  # go
    r"|tests?\.rs|.*_tests?\.rs"  # Rust, a module of tests beside its code
    r"|(?:Test[A-Z].*|.*(?:Test|Tests|TestCase|IT|Spec))\.(?:java|kt|groovy|scala)"  # Surefire, Gradle
    r"|(?:test_.*|.*_test|tests?)\.(?:c|h|cc|cpp|cxx|hpp|sh|bats)"
)
"""Files that hold tests."""

_CODE = re.compile(r".*\.(?:py|[cm]?[jt]sx?|go|rs|java|kt|groovy|scala|c|cc|cpp|cxx|sh|bats)")


def is_test_file(path: str) -> bool:
    """Return whether a file belongs to the tests: it holds tests, or it is their data or help.

    Most folders count anywhere on the path, but not below `src/main`, where Java has the product.
    """
    *folders, name = path.split("/")
    if _FILES.fullmatch(name):
        return True
    in_folder = any(folder in _FOLDERS for folder in folders) or (folders and folders[0] in _AT_ROOT)
    return bool(in_folder) and "src/main/" not in f"{path}/"


def holds_tests(path: str) -> bool:
    """Return whether a file holds tests themselves, by its name, or is code in a folder of tests."""
    name = path.rpartition("/")[2]
    return bool(_FILES.fullmatch(name) or (is_test_file(path) and _CODE.fullmatch(name)))


def holds_inline_tests(path: str) -> bool:
    """Return whether tests may be in the file that they test, in modules of their own."""
    return path.endswith(".rs") and not is_test_file(path)
