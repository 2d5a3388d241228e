from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.feedback.dedupe import Seen
from soulcaster.domain.feedback.items import COMPARED_CHARS, FeedbackItem, compared_item, content_hash
from soulcaster.domain.feedback.versions import MARK_BYTES
from soulcaster.domain.segments import Segments
from tests.support.make import item


def fresh_table() -> Seen:
    return Seen(Segments(MARK_BYTES))


def test_new_then_duplicate_then_changed() -> None:
    seen = fresh_table()
    first = seen.judge([item("1")])
    assert (first.verdicts, first.fresh) == (("new",), (item("1"),))
    assert seen.judge([item("1")]).verdicts == ("new",)  # judging remembers nothing
    assert len(seen.remember(first)) == 1
    assert seen.judge([item("1")]).verdicts == ("duplicate",)
    changed = seen.judge([item("1", body="And now it came.")])
    assert changed.verdicts == ("changed",)
    seen.remember(changed)
    assert seen.judge([item("1"), item("2")]).verdicts == ("changed", "new")  # back to what it was is a change too


def test_of_one_item_in_a_batch_the_newest_counts() -> None:
    seen = fresh_table()
    old, new = item("1", body="old"), item("1", body="new")
    judged = seen.judge([old, item("2"), new, item("2")])
    assert judged.verdicts == ("duplicate", "new", "new", "duplicate")
    assert judged.fresh == (item("2"), new)
    seen.remember(judged)
    assert seen.judge([new]).verdicts == ("duplicate",)
    assert seen.judge([old]).verdicts == ("changed",)
    # What was sent last is what is known, even if it is not what came last before.
    assert seen.judge([old, new]).fresh == ()


def test_what_was_deleted_is_never_fresh_again() -> None:
    seen = fresh_table()
    seen.remember(seen.judge([item("1"), item("2")]))
    judged = seen.judge([item("1", body="anew"), item("3"), item("4")], [item("1").id, item("3").id])
    assert judged.verdicts == ("deleted", "deleted", "new")
    assert judged.fresh == (item("4"),)
    assert seen.judge([item("1")]).verdicts == ("duplicate",)  # judging remembers nothing
    seen.remember(judged)
    again = seen.judge([item("1"), item("1", body="anew"), item("3"), item("2", body="anew")], [item("3").id])
    assert again.verdicts == ("deleted", "deleted", "deleted", "changed")
    seen.remember(again)
    assert seen.remember(seen.judge([], [item("1").id])) == []


def test_nothing_fresh_is_no_row() -> None:
    seen = fresh_table()
    assert seen.judge([]).fresh == ()
    assert seen.remember(seen.judge([])) == []
    seen.remember(seen.judge([item("1")]))
    assert seen.remember(seen.judge([item("1")])) == []


@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=8), max_size=8))
def test_the_last_version_passed_on_is_the_last_version_sent(batches: list[list[tuple[int, int]]]) -> None:
    seen = fresh_table()
    passed: dict[str, FeedbackItem] = {}
    sent: dict[str, FeedbackItem] = {}
    for batch in batches:
        items = [item(n, body=f"version {version}") for n, version in batch]
        judged = seen.judge(items)
        assert len({i.id for i in judged.fresh}) == len(judged.fresh)
        for one in judged.fresh:
            assert passed.get(one.id) != one
        passed |= {one.id: one for one in judged.fresh}
        sent |= {one.id: one for one in items}
        seen.remember(judged)
        assert passed == sent


def test_what_counts_as_said() -> None:
    one = item("1", author="A", url="https://example.org", github_repo_url="https://example.org/r", metadata={"a": [1]})
    for change in (
        {"title": "x"},
        {"body": "x"},
        {"author": "x"},
        {"url": None},
        {"github_repo_url": "x"},
        {"metadata": {"a": [2]}},
    ):
        assert content_hash(replace(one, **change)) != content_hash(one), change
    assert content_hash(replace(one, received_at=one.received_at + timedelta(days=1))) == content_hash(one)
    assert content_hash(replace(one, metadata={"b": 1, "a": 2})) == content_hash(
        replace(one, metadata={"a": 2, "b": 1})
    )
    assert content_hash(replace(one, language="en")) == content_hash(one)  # derived, not said
    assert len(content_hash(one)) == MARK_BYTES


def test_hashes_are_pinned() -> None:
    """Another hash after an update would make every item a changed one."""
    assert content_hash(item("1")).hex() == "e5de7e40e196e34d"
    assert content_hash(item("1", body="Grüße 🙂", author="A", metadata={"n": 1.5})).hex() == "41cbf831d87f5752"


@pytest.mark.parametrize(
    ("title", "body", "expected"),
    [
        ("Late", "Late card", "Late card"),
        ("Late", "The card", "Late\nThe card"),
        ("The card is…", "The card is late", "The card is late"),
        ("The card is…", "The card  is\tlate\nagain", "The card is late\nagain"),
        ("The card…", "A card", "The card…\nA card"),
        ("Late", "x" * 5000, ("Late\n" + "x" * 5000)[:COMPARED_CHARS]),
    ],
)
def test_the_text_that_is_compared(title: str, body: str, expected: str) -> None:
    made = compared_item(item("1", title=title, body=body))
    assert (made.text, made.title, made.id, made.source) == (expected, title, item("1").id, "manual")
