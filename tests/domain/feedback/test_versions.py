"""Versions of an item come late, and more than once; what stands in the end does not depend on it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.feedback.dedupe import Seen
from soulcaster.domain.feedback.items import FeedbackItem, TextOrigin
from soulcaster.domain.feedback.versions import MARK_BYTES, is_news, mark, newest
from soulcaster.domain.segments import Segments
from tests.support.make import NOW, item


def told(body: str, minutes: int | None = None, words: TextOrigin = "own", **metadata: object) -> FeedbackItem:
    at = None if minutes is None else NOW + timedelta(minutes=minutes)
    return replace(item("1", body=body), received_at=at or NOW, updated_at=at, words=words, metadata=metadata)


def after(*versions: FeedbackItem) -> FeedbackItem:
    known = versions[0]
    for version in versions[1:]:
        known = newest(known, version)
    return known


def test_the_newest_version_counts_in_whatever_order_they_come() -> None:
    versions = [told("first", 1, state="open"), told("second", 2, state="open"), told("third", 3, state="closed")]
    assert {after(*order).body for order in permutations(versions)} == {"third"}
    assert {after(*order).metadata["state"] for order in permutations(versions)} == {"closed"}


def test_without_a_time_the_last_that_came_counts() -> None:
    assert after(told("a"), told("b")).body == "b"
    assert after(told("a", 5), told("b")).body == "b"


def test_the_first_sample_stays_and_a_summary_gives_way_to_any() -> None:
    summary, first, second = told("s", 1, "summary"), told("one", 2, "sample"), told("two", 3, "sample")
    assert after(first, second).body == "one"
    for order in permutations([summary, first]):
        assert after(*order).body == "one"
    assert after(summary, told("later", 9, "summary")).body == "later"


def test_what_is_told_beside_the_words_is_taken_over_unless_it_is_late() -> None:
    sample, resolved = told("one", 1, "sample", level="error"), told("s", 9, "summary", state="resolved")
    late = told("s", 5, "summary", state="unresolved", culprit="a.py")
    known = after(sample, resolved, late)
    assert known.metadata == {"level": "error", "state": "resolved", "culprit": "a.py"}
    assert (known.body, known.updated_at) == ("one", NOW + timedelta(minutes=9))


def news(*versions: FeedbackItem) -> list[bool]:
    """Tell of each version whether it is news after those before it."""
    seen: bytes | None = None
    found = []
    for version in versions:
        found.append(seen is None or is_news(seen, mark(version), version.received_at))
        if found[-1]:
            seen = mark(version)
    return found


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ([told("a"), told("a"), told("b"), told("a")], [True, False, True, True]),
        ([told("a", 2), told("b", 1), told("b", 3), told("b", 4)], [True, False, True, False]),
        ([told("a", 1, "sample"), told("b", 2, "sample"), told("s", 3, "summary")], [True, False, False]),
        ([told("s", 3, "summary"), told("a", 1, "sample")], [True, True]),
        ([told("s", 3, "summary"), told("t", 4, "summary"), told("t", 5, "summary")], [True, True, False]),
        ([told("a", 1, count=1), told("a", 2, count=2)], [True, False]),
        ([told("a"), told("a", 1)], [True, True]),
    ],
)
def test_what_is_news(versions: list[FeedbackItem], expected: list[bool]) -> None:
    assert news(*versions) == expected


def test_a_mark_is_never_that_of_a_deletion_and_knows_any_time() -> None:
    for at in (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC), None):
        for words in ("own", "sample", "summary"):
            found = mark(replace(item("1"), updated_at=at, words=words))
            assert (len(found), any(found)) == (MARK_BYTES, True)


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from("abc")), min_size=1, max_size=8), st.data())
def test_what_is_embedded_is_what_is_shown(versions: list[tuple[int, str]], data: st.DataObject) -> None:
    """Cut into batches in any way: what was passed on last has the text that the read model ends with."""
    items = [told(f"{minute} {text}", minute) for minute, text in dict(versions).items()]
    items = data.draw(st.permutations([*items, *items]))
    cut = data.draw(st.integers(0, len(items)))
    seen = Seen(Segments(MARK_BYTES))
    passed: list[FeedbackItem] = []
    for batch in (items[:cut], items[cut:]):
        judged = seen.judge(batch)
        passed += judged.fresh
        seen.remember(judged)
    assert passed[-1].body == after(*items).body
