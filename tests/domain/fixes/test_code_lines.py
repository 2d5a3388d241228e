import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.fixes.code_lines import begin_in_code

TEXTS = [
    ("a.py", ["x = 1", "y = '''", "in", "''' + z", "out"], "11001"),
    ("a.py", ['"""One line."""', "out", '# it\'s """', "out"], "1111"),
    ("a.py", ["x = 'it\\'s \"\"\" '", "out"], "11"),
    ("a.py", ['x = """a \\""" b', "in", '"""', "out"], "1001"),
    ("a.js", ["x = `", "in ${a}", "`;", "// `", "out /* a", "in", "*/ f()", "out"], "10011001"),
    ("a.go", ["x := `", 'in "', "`", "y := '`'", "out"], "10011"),
    ("a.rs", ['let x = "a', "in", 'b";', 'let y = r#"a "', "in", '"#;', "out"], "1001001"),
    ("A.java", ['String s = """', "in", '""";', "out // /*", "out"], "10011"),
    ("a.c", ["/* a", "in", "*/ int x;", "out"], "1001"),
    ("a.sh", ["x='a", "in", "' # it's", "out $# 'b'", "out"], "10011"),
    ("a.unknown", ['"""', "x"], "11"),
]


@pytest.mark.parametrize(("path", "lines", "code"), TEXTS)
def test_lines_of_long_strings_and_comments_do_not_begin_in_code(path: str, lines: list[str], code: str) -> None:
    assert "".join(str(int(one)) for one in begin_in_code(path, lines)) == code


@given(st.sampled_from([path for path, _, _ in TEXTS]), st.lists(st.text("'\"`/*#\\r( x", max_size=30), max_size=8))
def test_any_text_has_an_answer_for_each_line(path: str, lines: list[str]) -> None:
    assert len(list(begin_in_code(path, lines))) == len(lines)
