"""What people and programs give as text is cleaned, or refused with a reason."""

import re
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from soulcaster.domain.text.given import OneLine, Text
from soulcaster.domain.text.normalize import SEEN, clean, seen

LINE: TypeAdapter[str] = TypeAdapter(Annotated[str, OneLine(20)])
TEXT: TypeAdapter[str] = TypeAdapter(Annotated[str, Text(20)])
STORED: TypeAdapter[str] = TypeAdapter(Annotated[str, OneLine(20, blank="(none)")])

UNSEEN = ["", " ", "\n", "\u200b", "\u200e", "\u200d", "\ufe0f", "\u2800", "\u3164", "\x1b[31m", "\u202e", "\U000e0041"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Late  card ", "Late card"),
        ("Late\r\ncard\u2028here", "Late card here"),
        ("a\x1b[31;1mred\x1b[0m b", "ared b"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]8;;https://x.example\x1b\\b", "ab"),
        ("a\x9b31mb \x9bquoted\x9b", "ab quoted"),
        ("a\x1bcb\x1b(Bc", "abc"),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("👩\u200d💻 ok", "👩\u200d💻 ok"),
    ],
)
def test_a_line(text: str, expected: str) -> None:
    assert LINE.validate_python(text) == expected


def test_a_text_keeps_its_lines() -> None:
    assert TEXT.validate_python("a\r\n  b\x00") == "a\n  b"


@pytest.mark.parametrize("text", UNSEEN)
def test_nothing_to_read_is_refused_or_said(text: str) -> None:
    for adapter in (LINE, TEXT):
        with pytest.raises(ValidationError, match="nothing in it that can be read"):
            adapter.validate_python(text)
    assert STORED.validate_python(text) == "(none)"


def test_its_length_is_that_of_what_is_kept() -> None:
    assert LINE.validate_python("\u200b" * 30 + "x" * 20) == "x" * 20
    with pytest.raises(ValidationError, match="at most 20 characters"):
        LINE.validate_python("x" * 21)


def test_the_schema_says_that_something_must_be_read() -> None:
    assert LINE.json_schema() == {"type": "string", "maxLength": 20, "pattern": SEEN}
    assert STORED.json_schema() == {"type": "string", "maxLength": 20}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_left_can_be_read_and_stays(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert bool(cleaned) == seen(cleaned)
    if "\x1b" not in text and "\x9b" not in text and not re.search("[\x90\x98\x9d-\x9f]", text):
        assert bool(cleaned) == bool(re.search(SEEN, text))
