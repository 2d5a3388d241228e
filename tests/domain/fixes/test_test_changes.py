"""What is done to existing tests, in each language: honest edits beside those that hide a failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.fixes.patch import BinaryChange, Content, FileChange, Patch
from soulcaster.domain.fixes.test_changes import TestChanges, test_changes
from tests.support.diffs import patch_of_files

PYTHON = """\
import pytest

from cart import total


def test_sum():
    lines = [(2, 3)]
    assert total(lines) == 6


def test_nothing():
    assert total([]) == 0
"""
JAVASCRIPT = """\
const { total } = require('./cart');

describe('cart', () => {
  it('sums', () => {
    expect(total([2, 3])).toBe(5);
  });

  it('is empty', () => {
    expect(total([])).toBe(0);
  });
});
"""
GO = """\
package cart

import "testing"

func TestSum(t *testing.T) {
	if got := Total(2, 3); got != 5 {
		t.Errorf("got %d", got)
	}
}

func TestNothing(t *testing.T) {
	if got := Total(); got != 0 {
		t.Errorf("got %d", got)
	}
}
"""
RUST = """\
use cart::total;

#[test]
fn sum() {
    assert_eq!(total(&[2, 3]), 5);
}

#[test]
fn nothing() {
    assert_eq!(total(&[]), 0);
}
"""
JAVA = """\
class CartTest {
    @Test
    void sum() {
        assertEquals(5, Cart.total(2, 3));
    }

    @Test
    void nothing() {
        assertEquals(0, Cart.total());
    }
}
"""
C = """\
#include <assert.h>
static void test_sum(void) {
    assert(total(2, 3) == 5);
}
static void test_nothing(void) {
    assert(total(0, 0) == 0);
}
"""
SHELL = """\
set -e
test "$(./total 2 3)" = 5
test "$(./total)" = 0
"""
MAKEFILE = """\
all: cart

test: all
	./run_tests

clean:
	rm -f cart
"""
FILES = {
    "py": ("tests/test_cart.py", PYTHON),
    "js": ("cart.test.js", JAVASCRIPT),
    "go": ("cart_test.go", GO),
    "rs": ("tests/cart.rs", RUST),
    "java": ("src/test/java/CartTest.java", JAVA),
    "c": ("tests/test_cart.c", C),
    "sh": ("tests/run.sh", SHELL),
    "make": ("Makefile", MAKEFILE),
}


def changed(language: str, old: str, new: str) -> TestChanges:
    path, text = FILES[language]
    assert text.count(old) == 1, "the example must be clear"
    return test_changes(patch_of_files({path: (text, text.replace(old, new))}))


SKIPS = [
    ("py", "def test_sum", "@pytest.mark.skip\ndef test_sum", "test_sum"),
    ("py", "def test_sum", "@pytest.mark.xfail(reason='later')\ndef test_sum", "test_sum"),
    ("py", "def test_nothing", "@unittest.skipIf(True, '')\ndef test_nothing", "test_nothing"),
    ("py", "    lines = [(2, 3)]\n", "    pytest.skip('later')\n    lines = [(2, 3)]\n", "test_sum"),
    ("py", "    lines = [(2, 3)]\n", "    lines = [(2, 3)]\n    return\n", "test_sum"),
    ("py", "from cart import total\n", "from cart import total\n\npytestmark = pytest.mark.skip\n", ""),
    ("js", "it('sums'", "it.skip('sums'", "sums"),
    ("js", "it('sums'", "xit('sums'", "sums"),
    ("js", "it('is empty'", "it.only('is empty'", "is empty"),
    ("js", "describe('cart'", "describe.skip('cart'", ""),
    ("go", "	if got := Total(2, 3)", '	t.Skip("later")\n	if got := Total(2, 3)', "TestSum"),
    ("go", "package cart\n", "//go:build ignore\n\npackage cart\n", ""),
    ("rs", "#[test]\nfn sum", "#[test]\n#[ignore]\nfn sum", "sum"),
    ("java", "    @Test\n    void sum", "    @Disabled\n    @Test\n    void sum", "sum"),
    ("java", "        assertEquals(5", "        assumeTrue(false);\n        assertEquals(5", "sum"),
    ("c", "static void test_sum", "#if 0\nstatic void test_sum", ""),
    ("sh", "= 5\n", "= 5 || true\n", ""),
    ("make", "	./run_tests", "	./run_tests || true", "test"),
    ("make", "	./run_tests", "	-./run_tests", "test"),
]


@pytest.mark.parametrize(("language", "old", "new", "test"), SKIPS)
def test_a_skipped_test_is_named(language: str, old: str, new: str, test: str) -> None:
    path = FILES[language][0]
    assert changed(language, old, new).skipped == (f"{test} ({path})" if test else path,)


WEAKENED = [
    ("py", "assert total(lines) == 6", "assert total(lines)", "test_sum"),
    ("py", "assert total(lines) == 6", "assert total(lines) is not None", "test_sum"),
    ("py", "assert total(lines) == 6", "assert isinstance(total(lines), int)", "test_sum"),
    ("py", "assert total(lines) == 6", "assert True", "test_sum"),
    ("py", "assert total(lines) == 6", "assert lines == lines", "test_sum"),
    ("py", "assert total(lines) == 6", "assert total(lines) == 6 or True", "test_sum"),
    ("py", "    assert total(lines) == 6", "    pass", "test_sum"),
    ("py", "    assert total(lines) == 6", "    # assert total(lines) == 6", "test_sum"),
    (
        "py",
        "    assert total(lines) == 6\n",
        "    total(lines)\n\n\ndef test_new():\n    assert total([1]) == 1\n",
        "test_sum",
    ),
    ("js", ".toBe(5)", ".toBeDefined()", "sums"),
    ("js", "expect(total([2, 3])).toBe(5)", "expect(true).toBe(true)", "sums"),
    ("js", "    expect(total([2, 3])).toBe(5);\n", "", "sums"),
    ("go", 'got != 5 {\n		t.Errorf("got %d", got)', 'got != 5 {\n		t.Log("got", got)', "TestSum"),
    ("go", "if got := Total(2, 3); got != 5 {", "got := Total(2, 3)\n	if false {", "TestSum"),
    ("rs", "assert_eq!(total(&[2, 3]), 5)", "assert!(true)", "sum"),
    ("rs", "    assert_eq!(total(&[2, 3]), 5);", "    let _ = total(&[2, 3]);", "sum"),
    ("java", "assertEquals(5, Cart.total(2, 3))", "assertNotNull(Cart.total(2, 3))", "sum"),
    ("c", "    assert(total(2, 3) == 5);", "    assert(1);", "test_sum"),
    ("sh", 'test "$(./total 2 3)" = 5', "./total 2 3", ""),
    ("make", "	./run_tests\n", "", "test"),
]


@pytest.mark.parametrize(("language", "old", "new", "test"), WEAKENED)
def test_a_weakened_test_is_named(language: str, old: str, new: str, test: str) -> None:
    path = FILES[language][0]
    assert changed(language, old, new).weakened == (f"{test} ({path})" if test else path,)


CHANGED = [
    ("py", "== 6", "== 7", "test_sum"),
    ("py", "assert total(lines) == 6", "assert total(lines) == pytest.approx(6)", "test_sum"),
    ("py", "assert total(lines) == 6", "assert math.isclose(total(lines), 6)", "test_sum"),
    ("py", "lines = [(2, 3)]", "lines = [(3, 2)]", "test_sum"),
    ("py", "assert total(lines) == 6", "with pytest.raises(ValueError):\n        total(lines)", "test_sum"),
    ("js", "toBe(5)", "toBe(6)", "sums"),
    ("js", "toBe(5)", "toBeCloseTo(5)", "sums"),
    ("go", "got != 5", "got != 6", "TestSum"),
    ("rs", "assert_eq!(total(&[2, 3]), 5)", "assert_eq!(total(&[2, 3]), 6)", "sum"),
    ("java", "assertEquals(5", "assertEquals(6", "sum"),
    ("c", "== 5", "== 6", "test_sum"),
    ("sh", "= 5", "= 6", ""),
    ("make", "	./run_tests", "	./run_tests --all", "test"),
]


@pytest.mark.parametrize(("language", "old", "new", "test"), CHANGED)
def test_another_change_of_a_test_is_named_and_no_more(language: str, old: str, new: str, test: str) -> None:
    path = FILES[language][0]
    assert changed(language, old, new) == TestChanges(changed=(f"{test} ({path})" if test else path,))


HONEST = [
    ("py", "    assert total(lines) == 6\n", "    assert total(lines) == 6\n    assert lines == [(2, 3)]\n"),
    ("py", "import pytest\n", "import math\n\nimport pytest\n"),
    ("py", "def test_nothing", "def test_one():\n    assert total([(1, 1)]) == 1\n\n\ndef test_nothing"),
    (
        "py",
        "def test_nothing",
        "@pytest.mark.skipif(X)\ndef test_one():\n    assert 1 in x\n\n\ndef test_nothing",
    ),
    ("js", "  it('is empty'", "  it('has one', () => {\n    expect(total([1])).toBe(1);\n  });\n\n  it('is empty'"),
    (
        "go",
        "func TestNothing",
        "func TestOne(t *testing.T) {\n	if f() { t.Fatal() }\n}\n\nfunc TestNothing",
    ),
    ("rs", "#[test]\nfn nothing", "#[test]\nfn one() {\n    assert_eq!(total(&[1]), 1);\n}\n\n#[test]\nfn nothing"),
    ("java", "    @Test\n    void nothing", "    @Test\n    void one() { fail(); }\n\n    @Test\n    void nothing"),
    ("make", "all: cart", "all: cart extra"),
    ("make", "	rm -f cart", "	-rm -f cart extra"),
]


@pytest.mark.parametrize(("language", "old", "new"), HONEST)
def test_what_only_adds_blames_nothing(language: str, old: str, new: str) -> None:
    found = changed(language, old, new)
    assert (found.deleted, found.skipped, found.weakened, found.changed) == ((), (), (), ())


HELPERS = [
    ("py", "def test_nothing", "def fake_send(message):\n    sent.append(message)\n    return\n\n\ndef test_nothing"),
    ("py", "def test_nothing", "def fake(\n    a,\n):\n    if a:\n        return\n    b()\n\n\ndef test_nothing"),
    ("py", "    lines = [(2, 3)]\n", "    def inner():\n        return\n\n    lines = [(2, 3)]\n"),
    ("js", "  it('is empty'", "  function stub() {\n    calls++;\n    return;\n  }\n\n  it('is empty'"),
    ("js", "  it('is empty'", "  const stub = async (a) => {\n    return;\n  };\n\n  it('is empty'"),
    ("py", "def test_nothing", "@pytest.fixture\ndef db():\n    pytest.importorskip('x')\n\n\ndef test_nothing"),
    ("go", "func TestNothing", 'func need(t *testing.T) {\n	t.Skip("no docker")\n}\n\nfunc TestNothing'),
]


@pytest.mark.parametrize(("language", "old", "new"), HELPERS)
def test_a_new_helper_is_no_part_of_the_test_before_it(language: str, old: str, new: str) -> None:
    found = changed(language, old, new)
    assert (found.deleted, found.skipped, found.weakened, found.changed) == ((), (), (), ())


def test_a_return_in_a_helper_of_the_base_is_an_ordinary_line() -> None:
    old = "def fake(message):\n    if message:\n        sent.append(message)\n\n\ndef test_a():\n    assert f() == 1\n"
    new = old.replace("        sent", "        return\n    sent")
    assert test_changes(patch_of_files({"tests/test_a.py": (old, new)})).skipped == ()


NO_HELPERS = [
    (
        "py",
        "    lines = [(2, 3)]\n",
        "    def inner():\n        pass\n\n    return\n    lines = [(2, 3)]\n",
        "test_sum",
    ),
    (
        "py",
        "def test_nothing",
        "def helper():\n    pass\n\n\npytestmark = pytest.mark.skip\n\n\ndef test_nothing",
        "",
    ),
    ("py", "def test_sum", "@pytest.fixture(autouse=True)\ndef db():\n    pytest.skip()\n\n\ndef test_sum", ""),
    ("py", "def test_sum", "def setup_function():\n    pytest.skip()\n\n\ndef test_sum", ""),
    ("py", "def test_sum():\n", "def need():\n    pytest.skip()\n\n\ndef test_sum():\n    need()\n", "test_sum"),
    ("js", "    expect(total([2, 3]", "    function a() {}\n      return;\n    expect(total([2, 3]", "sums"),
    ("js", "    expect(total([2, 3]", "    function a() {\n      }\n      return;\n    expect(total([2, 3]", "sums"),
    (
        "js",
        "    expect(total([2, 3]",
        '    const a = () => {\n    "{";}\n      return;\n    expect(total([2, 3]',
        "sums",
    ),
]


@pytest.mark.parametrize(("language", "old", "new", "test"), NO_HELPERS)
def test_what_skips_old_tests_is_named_beside_a_new_helper_too(language: str, old: str, new: str, test: str) -> None:
    path = FILES[language][0]
    assert changed(language, old, new).skipped == (f"{test} ({path})" if test else path,)


def test_a_check_that_a_new_function_takes_in_is_gone() -> None:
    found = changed("py", "    assert total(lines) == 6\n", "    def inner():\n        assert total(lines) == 6\n")
    assert found.weakened == ("test_sum (tests/test_cart.py)",)
    old = "def test_a():\n        assert f() == 1\n"
    new = "def test_a():\n    def inner():\n        assert f() == 1\n"
    assert test_changes(patch_of_files({"test_a.py": (old, new)})).weakened == ("test_a (test_a.py)",)


def test_a_check_that_a_test_gets_from_a_new_helper_is_there() -> None:
    helper = "def check(lines, expected):\n    assert total(lines) == expected\n\n\ndef test_sum():\n"
    new = PYTHON.replace("def test_sum():\n", helper).replace("    assert total(lines) == 6\n", "    check(lines, 6)\n")
    found = test_changes(patch_of_files({"tests/test_cart.py": (PYTHON, new)}))
    assert (found.weakened, found.changed) == ((), ("test_sum (tests/test_cart.py)",))


def test_a_test_whose_first_line_changes_is_the_same_test() -> None:
    new = PYTHON.replace("def test_sum():", "def test_sum(tmp_path):").replace("== 6", "== 7")
    found = test_changes(patch_of_files({"tests/test_cart.py": (PYTHON, new)}))
    assert found == TestChanges(changed=("test_sum (tests/test_cart.py)",))


def test_a_new_test_that_skips_itself_or_checks_nothing_is_doubtful() -> None:
    new = (
        "import pytest\n\n\n@pytest.mark.skip\ndef test_a():\n    assert f() == 1\n\n\ndef test_b():\n    assert True\n"
    )
    assert test_changes(patch_of_files({"test_new.py": (None, new)})) == TestChanges(
        new_doubtful=("test_a (test_new.py)", "test_b (test_new.py)")
    )


def test_a_moved_test_is_neither_weakened_nor_skipped() -> None:
    skipped = "@pytest.mark.skip\ndef test_old():\n    assert total([]) == 0\n"
    other = "\n\ndef test_x():\n    assert total([1]) == 1\n"
    found = test_changes(patch_of_files({"test_a.py": (skipped + other, other + skipped)}))
    assert (found.skipped, found.weakened) == ((), ())


def test_deleted_tests_are_named_and_their_data_is_a_change() -> None:
    found = test_changes(patch_of_files({"tests/test_a.py": ("x\n", None), "tests/data.json": ("{}\n", "[]\n")}))
    assert found == TestChanges(deleted=("tests/test_a.py",), changed=("tests/data.json",))


def test_a_file_of_tests_that_moves_is_not_deleted_unless_it_checks_less() -> None:
    moved: dict[str, tuple[str | None, str | None]] = {"test_a.py": (PYTHON, None), "tests/test_a.py": (None, PYTHON)}
    assert test_changes(patch_of_files(moved)).deleted == ()
    less = PYTHON.replace("    assert total([]) == 0", "    total([])")
    assert test_changes(patch_of_files({**moved, "tests/test_a.py": (None, less)})).deleted == ("test_a.py",)
    unknown = {**moved, "test_a.py": ("run_everything()\n", None)}
    assert test_changes(patch_of_files(unknown)).deleted == ("test_a.py",)


def moved_to(new: str, *, old: str = PYTHON, path: str = "tests/test_b.py") -> TestChanges:
    return test_changes(patch_of_files({"tests/test_a.py": (old, None), path: (None, new)}))


def test_a_file_of_tests_that_moves_is_a_change_of_them() -> None:
    assert moved_to(PYTHON) == TestChanges(changed=("tests/test_a.py",))
    more = PYTHON + "\n\ndef test_more():\n    assert total([1]) == 1\n"
    assert moved_to(more) == TestChanges(changed=("tests/test_a.py",))


LESS = "def test_sum():\n    total([(2, 3)])\n\n\ndef test_nothing():\n    total([])\n"


@pytest.mark.parametrize(
    "new",
    [
        f"{LESS}\n\nOLD = '''\n{PYTHON}'''\n",
        f'{LESS}\n\ndef f():\n    r"""Nothing.\n{PYTHON}    """\n',
        f"OLD = '''\n{PYTHON}'''\n{LESS}",
        PYTHON.replace("    assert total(lines) == 6\n", "    total(lines)\n") + "    assert total(lines) == 6\n",
        PYTHON.replace("    assert total(lines) == 6\n", "    # assert total(lines) == 6\n    total(lines)\n"),
    ],
    ids=["in a string", "in a docstring", "in a string before", "in another test", "in a comment"],
)
def test_a_check_that_moves_to_where_it_checks_nothing_is_gone(new: str) -> None:
    assert moved_to(new).deleted == ("tests/test_a.py",)


@pytest.mark.parametrize(
    ("language", "old", "new"),
    [
        ("py", "    assert total(lines) == 6\n", '    total(lines)\n    """\n{}    """\n'),
        ("py", "    assert total(lines) == 6\n", '    x = f"""\n{}    """\n'),
        ("js", "    expect(total([2, 3])).toBe(5);\n", "    /*\n{}    */\n"),
        ("js", "    expect(total([2, 3])).toBe(5);\n", "    const a = `\n{}    `;\n"),
        ("rs", "    assert_eq!(total(&[2, 3]), 5);\n", '    let x = r#"\n{}    "#;\n'),
        ("c", "    assert(total(2, 3) == 5);\n", "    /*\n{}    */\n"),
    ],
)
def test_a_check_that_moves_into_a_string_or_a_comment_is_gone(language: str, old: str, new: str) -> None:
    # In the diff, the check is removed at one place and added at another.
    path, text = FILES[language]
    other = text.replace(old, "") + new.format(old)
    assert len(test_changes(patch_of_files({path: (text, other)})).weakened) == 1


def test_a_test_that_moves_and_skips_itself_is_skipped() -> None:
    skipped = PYTHON.replace("def test_sum", "@pytest.mark.skip\ndef test_sum")
    assert moved_to(skipped).skipped == ("test_sum (tests/test_b.py)",)
    assert moved_to(skipped, old=skipped) == TestChanges(changed=("tests/test_a.py",))


def test_a_file_of_tests_of_which_git_shows_no_lines_does_not_move() -> None:
    both = BinaryChange(Content(2, b"x\0"), None)
    gone = FileChange("test_a.py", "deleted", "100644", "000000", None, None, "test_a.py", both)
    new = patch_of_files({"tests/test_a.py": (None, PYTHON)})
    patch = Patch(b"diff --git a/test_a.py b/test_a.py\n" + new.text, (gone, *new.changes))
    assert test_changes(patch).deleted == ("test_a.py",)


def test_code_is_not_judged_as_tests_are() -> None:
    assert test_changes(patch_of_files({"cart.py": ("assert a == 1\n", "return\n")})) == TestChanges()


def test_tests_inside_of_a_rust_file_are_judged_and_its_code_is_not() -> None:
    old = """\
fn a() {
    assert_eq!(x, 1);
}

#[cfg(test)]
mod tests {
    #[test]
    fn b() {
        assert_eq!(a(), 1);
    }
}
"""
    new = old.replace("    assert_eq!(x, 1);\n", "").replace("        assert_eq!(a(), 1);\n", "        a();\n")
    assert test_changes(patch_of_files({"src/a.rs": (old, new)})).weakened == ("b (src/a.rs)",)


def test_code_after_the_tests_of_a_rust_file_is_code() -> None:
    old = "#[cfg(test)]\nmod tests {\n    #[test]\n    fn b() {}\n}\n\nfn a() {\n    assert!(x == 1);\n}\n"
    new = old.replace("    assert!(x == 1);\n", "")
    assert test_changes(patch_of_files({"src/a.rs": (old, new)})) == TestChanges()


TEXT = st.lists(
    st.sampled_from(
        [*PYTHON.splitlines(), *JAVASCRIPT.splitlines(), *RUST.splitlines(), "@skip", "#[ignore]", "it.skip('a'"]
    ),
    max_size=12,
).map(lambda lines: "".join(f"{line}\n" for line in lines))


@given(st.sampled_from(sorted(FILES)), TEXT, TEXT)
def test_any_change_is_judged_and_what_stays_is_never_blamed(language: str, old: str, new: str) -> None:
    path = FILES[language][0]
    test_changes(patch_of_files({path: (old, new)}))
    if old == new:
        assert test_changes(patch_of_files({path: (old, new)})) == TestChanges()


@given(st.text(alphabet="(= assert,.'\"\\[]{}x1|", max_size=900))
def test_no_line_takes_long(line: str) -> None:
    for path, _ in FILES.values():
        test_changes(patch_of_files({path: ("a\n", line + "\n")}))
