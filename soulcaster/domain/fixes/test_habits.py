"""How tests look in each language: what skips them, what checks something, where one begins; by patterns over lines.

The caller limits the length of a line.
"""

import re
from dataclasses import dataclass
from typing import Literal

Strength = Literal[0, 1, 2]
"""What a line checks: nothing; only that there is something; a value, an error or a condition."""

_TRIVIAL = re.compile(
    r"\bassert(?:!|True|\.ok|\.isTrue)?\s*+\(?\s*+(?:true|True|1|not False|!false|!0)\s*+\)?\s*+(?:,.*)?;?$"
    r"|\b(?:assert(?:\w*|\.\w+)!?|EXPECT_\w+|ASSERT_\w+|REQUIRE|CHECK)\s*+\(\s*+(?:true|1)\s*+\)"
    r"|\bassert\s*+\(?\s*+(?P<one>[\w.]+)\s*+===?\s*+(?P=one)\s*+\)?;?$"
    r"|\b(?:assert\w*|expect)(?:\.\w+)?!?\s*+\(\s*+(?P<two>[\w.\"']+)\s*+"
    r"(?:,\s*+|\)\.to(?:Be|Equal|StrictEqual)\()(?P=two)\s*+[,)]"
    r"|\bif\s*+\(?\s*+(?:false|False|0)\s*+\)?\s*+[{:]?$|\bor True\b|\|\|\s*+true\b"
    r"|\bif\s++(?P<four>\w+)\s*+!=\s*+(?P=four)\s*+\{"
)
_TOLERANT = re.compile(r"(?i)close|approx|almost|equal|match|same|contain|include")


@dataclass(frozen=True, slots=True)
class Habits:
    """The habits of one language; `definition` has the name of the test in its groups.

    `function` is the beginning of any function, with its `name`; it has braces, or else its indentation says where it
    ends. `leave` is a line that ends a function early, which skips what is left of a test.
    """

    skip: re.Pattern[str]
    check: re.Pattern[str]
    weak: re.Pattern[str]
    definition: re.Pattern[str]
    leave: re.Pattern[str]
    function: re.Pattern[str]
    braces: bool

    def skips(self, line: str) -> bool:
        """Return whether a line takes a test, or all others, out of the run, or hides that one fails."""
        return bool(self.skip.search(line)) or self.leaves(line)

    def leaves(self, line: str) -> bool:
        """Return whether a line skips the rest of a test, though in any other function it is an ordinary one."""
        return bool(self.leave.match(line))

    def trivial(self, line: str) -> bool:
        """Return whether a line checks what is always true, or never checks."""
        return bool(_TRIVIAL.search(line))

    def strength(self, line: str) -> Strength:
        """Return what a line checks."""
        if self.trivial(line):
            return 0
        if self.weak.search(line) and not _TOLERANT.search(line):
            return 1
        return 2 if self.check.search(line) else 0

    def defines(self, line: str) -> str | None:
        """Return the name of the test that begins at a line, None where none does."""
        found = self.definition.match(line)
        return next((name.strip("\"'` ") for name in found.groups() if name), None) if found else None


_NOTHING = r"(?!)"


def _habits(
    skip: str,
    check: str,
    weak: str,
    definition: str,
    *,
    leave: str = _NOTHING,
    function: str = _NOTHING,
    braces: bool = True,
) -> Habits:
    compiled = re.compile
    return Habits(
        compiled(skip),
        compiled(check),
        compiled(weak),
        compiled(definition),
        compiled(leave),
        compiled(function),
        braces,
    )


_PYTHON = _habits(
    skip=r"\bpytest\.(mark\.(skip|skipif|xfail)\b|(skip|xfail|importorskip)\()|@?unittest\.(skip\w*|expectedFailure)"
    r"|\.skipTest\(|\braise (unittest\.)?SkipTest|^\s*@skip\w*\b|__test__ = False|\bcollect_ignore"
    r"|\bpytest_(collection_modifyitems|runtest_\w+|ignore_collect|pyfunc_call)"
    r"|\bexcept (AssertionError|BaseException)\b",
    check=r"^\s*assert\b|\.assert\w+\(|\bpytest\.(raises|warns|fail)\(|\bassert_\w+\(|\bfail\(|\braise AssertionError",
    weak=r"\.assert(IsNotNone|IsInstance|True|IsNone|False)\([^=<>]*$|^\s*assert\s+(isinstance|hasattr|callable)\("
    r"|^\s*assert\s+(not\s+)?[\w.\[\]\"']+(\([^=<>]*\))?(\s+is\s+not\s+None)?\s*(,[^=<>]*)?$",
    definition=r"\s*(?:async\s+)?def\s+(test\w*)",
    leave=r"\s*return\s*$",
    function=r"\s*(?:async\s+)?def\s+(?P<name>\w+)",
    braces=False,
)
_JAVASCRIPT = _habits(
    skip=r"\b(it|test|describe|context|suite|specify)(\.\w+)?\.(skip|only|todo|fails|failing|skipIf)\b"
    r"|\b(xit|xtest|xdescribe|xcontext|fit|fdescribe)\(|\bthis\.skip\(|\bt\.(skip|todo)\(|\b(skip|only|todo): true",
    check=r"\bexpect\w*\(|\bassert(\.\w+)*\(|\.should\b|\bt\.(is|not|deepEqual|equal|equals|throws|true|false|ok)\(",
    weak=r"\.(toBeDefined|toBeTruthy|toBeFalsy|toBeInstanceOf)\(|\.not\.(toBeNull|toBeUndefined|toThrow)\("
    r"|\bassert(\.ok)?\([^=<>]*\)\s*;?$|\.to\.(exist|be\.ok)\b",
    definition=r"\s*(?:[xf]?it|x?test|specify)(?:\.\w+)*\(\s*([\"'`].{1,120}?[\"'`])",
    leave=r"\s*return;?\s*$",
    function=r"\s*(?:export\s+)?(?:async\s+)?(?:function\b[\s*]*|(?:const|let|var)\s+(?=\w+\s*=[^;]*=>\s*\{\s*$))"
    r"(?P<name>\w+)",
)
_GO = _habits(
    skip=r"\b\w+\.Skip(f|Now)?\(|//\s*(go:build|\+build)\s+(ignore|never)|\btesting\.Short\(",
    check=r"\b[a-z]\w*\.(Error|Errorf|Fatal|Fatalf|Fail|FailNow)\(|\b(assert|require|is)\.\w+\(|\bcmp\.Diff\(|\bpanic\(",
    weak=r"\b(assert|require)\.(NotNil|NotEmpty|NotPanics)\(",
    definition=r"func\s+((?:Test|Fuzz|Example)\w*)",
    function=r"func\s+(?:\([^()]*\)\s*)?(?P<name>\w+)",
)
_RUST = _habits(
    skip=r"#\[\s*ignore|#\[cfg\((any\(\)|not\(test\)|FALSE|false)\)|cfg_attr\(.*ignore",
    check=r"\b(debug_)?assert\w*!|\bpanic!|#\[should_panic|\bunreachable!",
    weak=r"\bassert!\([^=<>]*\.(is_ok|is_some|is_err|is_none)\(\)",
    definition=r"\s*(?:pub\s+)?(?:async\s+)?fn\s+(\w+)",
)
_JAVA = _habits(
    skip=r"@(Disabled\w*|Ignore\w*)\b|\bassum(e|ing)\w*\(|\benabled = false|SkipException",
    check=r"\bassert\w*\(|^\s*assert\b|\bfail\(|\bverify\(|\.(is|has|contains|isEqualTo|hasSize)\w*\(|\bexpected\s*=",
    weak=r"\bassertNotNull\(|\bassertInstanceOf\(|\.isNotNull\(\)|\bassertDoesNotThrow\(",
    definition=r"\s*(?:(?:public|protected|private|static|final)\s+)*void\s+(\w+)\s*\(",
)
_C = _habits(
    skip=r"^\s*#\s*if\s+0\b|\bGTEST_SKIP\b|\bDISABLED_\w+|TEST_IGNORE|\bSKIP\(|\bck_skip",
    check=r"\bassert\w*\s*\(|\b(EXPECT|ASSERT|CHECK|REQUIRE|TEST_ASSERT|CU_ASSERT|cmp|ck_assert)\w*\s*\("
    r"|\b(exit|abort|return)\b\s*\(?1",
    weak=r"\b(assert|CHECK|EXPECT_TRUE|ASSERT_TRUE)\s*\([^=<>]*\)\s*;",
    definition=r"(?:static\s+)?(?:void|int)\s+(\w+)\s*\(|TEST\w*\(\s*(\w+\s*,\s*\w+)|START_TEST\((\w+)\)",
)
_SHELL = _habits(
    skip=r"\|\|\s*(true|:)\s*$|^\s*exit 0\s*$|\bset \+e\b|^\s*skip\b",
    check=r"\bexit [1-9]|\btest\s|\[\s|\bdiff\s|\bcmp\s|\bgrep\s|\bassert\w*",
    weak=_NOTHING,
    definition=r"(?:function\s+)?(\w+)\s*\(\)|@test\s++(.*)\{",
)
_MAKE = _habits(
    skip=r"\|\|\s*(true|:|exit 0)\s*$|^\t@?-\s*\S|^\s*\.IGNORE\b|^\t@?(true|:)\s*$",
    check=r"^\t.*\S",
    weak=_NOTHING,
    definition=r"([\w.-]++)[\w. -]*+:(?!=)",
)

_BY_ENDING = {
    "py": _PYTHON,
    **dict.fromkeys(("js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx"), _JAVASCRIPT),
    "go": _GO,
    "rs": _RUST,
    **dict.fromkeys(("java", "kt", "groovy", "scala"), _JAVA),
    **dict.fromkeys(("c", "h", "cc", "cpp", "cxx", "hpp"), _C),
    **dict.fromkeys(("sh", "bats"), _SHELL),
}

MAKEFILES = frozenset({"Makefile", "makefile", "GNUmakefile"})
TEST_TARGETS = frozenset({"test", "tests", "check"})
"""Targets of a Makefile that run tests."""


def habits_of(path: str) -> Habits | None:
    """Return the habits of the language of a file, None for one that we do not know."""
    name = path.rpartition("/")[2]
    return _MAKE if name in MAKEFILES else _BY_ENDING.get(name.rpartition(".")[2].lower())
