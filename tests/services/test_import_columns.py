import pytest

from soulcaster.errors import BadInput
from soulcaster.services.import_columns import Columns, choose_columns


@pytest.mark.parametrize(
    ("present", "text", "title"),
    [
        (["id", "Text", "x"], "Text", None),
        (["comment", "body"], "body", None),
        (["anything"], "anything", None),
        (["title", "description"], "description", "title"),
        (["subject", "n"], None, "subject"),
    ],
)
def test_the_text_is_looked_for(present: list[str], text: str | None, title: str | None) -> None:
    found = choose_columns(Columns(), present)
    assert (found.text, found.title) == (text, title)


def test_a_column_named_otherwise_is_not_also_the_text() -> None:
    assert choose_columns(Columns(title="text"), ["text", "body"]).text == "body"


def test_what_is_named_must_be_there() -> None:
    with pytest.raises(BadInput, match=r"no column 'zz'; the columns are: a, b"):
        choose_columns(Columns(text="zz"), ["a", "b"])
    with pytest.raises(BadInput, match=r"--text-column.*a, b"):
        choose_columns(Columns(), ["a", "b"])
