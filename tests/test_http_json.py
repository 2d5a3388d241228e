"""What servers answer as JSON, whatever they write."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster import http_json
from soulcaster.http_json import TooManyParts, parse_json

TEXTS = st.text(alphabet='"\\,[{ab\n\u00e9')
VALUES = st.recursive(
    TEXTS | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=20,
)


def parts(value: Any) -> int:
    """The texts, brackets and commas of a value."""
    if isinstance(value, dict):
        inner = [part for pair in value.items() for part in pair]
        return 1 + max(len(value) - 1, 0) + sum(map(parts, inner))
    if isinstance(value, list):
        return 1 + max(len(value) - 1, 0) + sum(map(parts, value))
    return int(isinstance(value, str))


@given(VALUES, st.booleans(), st.integers(1, 9))
def test_every_part_is_counted_and_nothing_inside_of_texts(value: Any, ascii_only: bool, window: int) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http_json, "_WINDOW", window)
        patch.setattr(http_json, "MOST_PARTS", parts(value))
        assert parse_json(body) == value
        if value and len(body) >= parts(value) > 0:
            patch.setattr(http_json, "MOST_PARTS", parts(value) - 1)
            with pytest.raises(TooManyParts):
                parse_json(body)


@pytest.mark.parametrize("part", ["{}", "[]", '""', "0", '"a"', '{"a":{}}'])
def test_an_answer_that_would_become_too_many_objects_becomes_none(part: str) -> None:
    with pytest.raises(TooManyParts):
        parse_json(b"[" + b",".join([part.encode()] * (http_json.MOST_PARTS + 1)) + b"]")


def test_texts_may_be_long() -> None:
    text = '{"a": [1, "two"]}, \\' * 200_000
    assert parse_json(json.dumps([text]).encode()) == [text]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", '{"a": 1}'.encode("utf-16"), b'"' * 2_000_000, b"\\" * 2_000_000])
def test_what_is_no_json_in_utf8_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_json(body)


def test_a_byte_order_mark_is_skipped() -> None:
    assert parse_json(b"\xef\xbb\xbf[1]") == [1]
