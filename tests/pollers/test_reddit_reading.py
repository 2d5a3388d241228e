"""Readings of listings that change meanwhile: every post that is still there at the end of a reading was taken."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from soulcaster.domain.sources import Upsert
from soulcaster.domain.sources.reddit import parse
from soulcaster.pollers.reddit_pages import Page
from soulcaster.pollers.reddit_reading import MAX_PAGES, Mark, Reading, item
from tests.support.reddit_server import Post, post

NOW = 4e9
"""Long after all posts."""


def page(posts: Sequence[Post], *, more: bool = False) -> Page:
    after = f"t3_{posts[-1].id}" if posts and more else None
    return Page([one.listed("python") for one in posts], after, {"If-None-Match": "1"})


def numbers(first: int, last: int) -> list[Post]:
    """Return posts, newest first."""
    return [post(number) for number in range(last, first - 1, -1)]


def ids(posts: Sequence[Upsert]) -> list[str]:
    return [one.external_id for one in posts]


def test_without_a_cursor_all_is_read() -> None:
    reading = Reading(True, None, {}, NOW)
    first = reading.take(page(numbers(3, 4), more=True))
    assert (ids(first.posts), first.after) == (["p00004", "p00003"], "t3_p00003")
    second = reading.take(page(numbers(1, 2)))
    assert (ids(second.posts), second.after) == (["p00002", "p00001"], None)
    assert reading.mark() == Mark("p00004", post(4).created)
    assert reading.validators == {"If-None-Match": "1"}


def test_it_goes_on_until_the_newest_that_was_accepted() -> None:
    newest = Mark("p00003", post(3).created)
    reading = Reading(True, newest, {}, NOW)
    assert reading.take(page(numbers(5, 6), more=True)).after == "t3_p00005"
    last = reading.take(page(numbers(1, 4), more=True))
    assert ids(last.posts) == ["p00004", "p00003"], "what is older than the newest was accepted with it"
    assert last.after is None


def test_a_post_of_the_future_is_no_place_to_go_on_from() -> None:
    reading = Reading(True, None, {}, post(4).created)
    reading.take(page([post(9), *numbers(1, 4)]))
    mark = reading.mark()
    assert mark is not None
    assert mark.at <= post(4).created


def test_when_the_newest_is_met_nothing_more_is_asked_for() -> None:
    reading = Reading(True, Mark("p00005", post(5).created), {}, NOW)
    assert reading.take(page(numbers(5, 6), more=True)).after is None


def test_the_newest_that_was_accepted_may_be_gone() -> None:
    newest = Mark("gone", post(3).created + 1)
    reading = Reading(True, newest, {}, NOW)
    assert reading.take(page(numbers(5, 6), more=True)).after is not None
    assert reading.take(page(numbers(1, 4), more=True)).after is None
    assert reading.mark() == Mark("p00006", post(6).created)
    reading = Reading(True, newest, {}, NOW)
    reading.take(page([]))
    assert reading.mark() == newest, "a listing that is empty for once takes nothing back"


def test_an_old_post_on_top_does_not_end_it() -> None:
    stuck = post(1)
    reading = Reading(True, Mark("p00003", post(3).created), {}, NOW)
    assert reading.take(page([stuck, *numbers(7, 8)], more=True)).after is not None


def test_all_of_the_first_page_is_looked_at() -> None:
    before = Reading(True, None, {}, NOW)
    before.take(page(numbers(2, 6)))
    late, edited, removed = post(4, created=post(4).created), post(3, "I mean something else."), post(2, removed=True)
    late.id = "let_in_late".replace("_", "")
    reading = Reading(True, before.mark(), before.seen, NOW)
    taken = reading.take(page([*numbers(5, 6), late, edited, removed]))
    assert ids(taken.posts) == [late.id, "p00003"]
    assert taken.removed == ["p00002"]
    again = Reading(True, reading.mark(), reading.seen, NOW).take(page([*numbers(5, 6), late, edited, removed]))
    assert (again.posts, again.removed) == ([], [])


def test_a_score_is_nothing_new() -> None:
    before = Reading(False, None, {}, NOW)
    before.take(page([post(1, score=1)]))
    assert Reading(False, None, before.seen, NOW).take(page([post(1, score=500)])).posts == []


def test_without_an_order_in_time_one_page_is_all() -> None:
    reading = Reading(False, None, {}, NOW)
    assert reading.take(page(numbers(1, 4), more=True)).after is None


def test_a_listing_that_does_not_end_is_left() -> None:
    reading = Reading(True, None, {}, NOW)
    pages = 0
    while reading.take(page(numbers(2 * pages, 2 * pages + 1), more=True)).after is not None:
        pages += 1
    assert pages + 1 == MAX_PAGES


def test_a_listing_that_goes_in_circles_is_left() -> None:
    reading = Reading(True, None, {}, NOW)
    assert reading.take(page(numbers(1, 4), more=True)).after is not None
    assert reading.take(page(numbers(1, 4), more=True)).after is None


def test_what_is_no_post_is_said_and_the_others_go_on() -> None:
    reading = Reading(True, None, {}, NOW)
    nameless: dict[str, Any] = {"kind": "t3", "data": {"title": "No id"}}
    taken = reading.take(Page([nameless, *page(numbers(1, 1)).posts], None, {}))
    assert ids(taken.posts) == ["p00001"]
    assert len(taken.faults) == 1


def test_an_item_has_the_fields_of_the_predecessor() -> None:
    [upsert] = parse({}, post(1, score=7).listed("python"))
    assert isinstance(upsert, Upsert)
    made = item(upsert)
    address = "https://www.reddit.com/r/python/comments/p00001/a_title/"
    assert made["external_id"] == "p00001"
    assert (made["source"], made["title"], made["body"]) == ("reddit", "Question 1", "Text of 1, with <tags> & all.")
    assert made["created_at"] == "2026-11-18T11:07:40+00:00"
    assert made["metadata"] == {
        "subreddit": "python",
        "permalink": address,
        "author": "kim",
        "created_utc": float(post(1).created),
        "score": 7,
        "num_comments": 2,
        "url": address,
    }


def test_a_post_without_text_or_author_still_says_something() -> None:
    [upsert] = parse({}, post(1, "", author=None).listed("python"))
    assert isinstance(upsert, Upsert)
    made = item(upsert)
    assert made["body"] == "Question 1"
    assert made["author"] is None
    assert made["metadata"]["author"] == "[deleted]"


class Listings(RuleBasedStateMachine):
    """A subreddit where people post and delete while it is read, by pollers that stop at any time."""

    SIZE = 3

    @initialize(count=st.integers(0, 10))
    def begin(self, count: int) -> None:
        self.number = count
        self.posts = numbers(1, count)
        self.now = post(count).created
        self.accepted: set[str] = set()
        self.newest: Mark | None = None
        self.known: dict[str, str] = {}
        self.reading: Reading | None = None
        self.there_at_the_start: set[str] = set()

    @rule(count=st.integers(1, 8), apart=st.booleans())
    def people_post(self, count: int, apart: bool) -> None:
        for _ in range(count):
            self.number += 1
            self.now += 60 * apart
            self.posts.insert(0, post(self.number, created=self.now))

    @precondition(lambda self: self.posts)
    @rule(chance=st.randoms(use_true_random=False))
    def somebody_deletes(self, chance: Any) -> None:
        self.posts.remove(chance.choice(self.posts))

    @precondition(lambda self: self.reading is None)
    @rule()
    def a_reading_begins(self) -> None:
        self.reading = Reading(True, self.newest, self.known, NOW)
        self.there_at_the_start = {one.id for one in self.posts}

    @precondition(lambda self: self.reading is not None)
    @rule()
    def a_page_is_read(self) -> None:
        assert self.reading is not None
        after = self.reading.after
        at = -1 if after is None else int(after[-5:])
        left = [one for one in self.posts if after is None or int(one.id[1:]) < at]
        shown = left[: self.SIZE]
        taken = self.reading.take(page(shown, more=len(left) > self.SIZE))
        self.accepted |= set(ids(taken.posts))
        if taken.after is None:
            self.newest, self.known = self.reading.mark(), self.reading.seen
            missed = self.there_at_the_start & {one.id for one in self.posts} - self.accepted
            assert not missed
            self.reading = None

    @rule()
    def the_poller_is_started_anew(self) -> None:
        self.reading, self.known = None, {}

    @invariant()
    def the_cursor_is_of_what_was_accepted(self) -> None:
        if getattr(self, "newest", None) is not None:
            assert self.newest is not None
            assert self.newest.id in self.accepted


TestListings = Listings.TestCase
