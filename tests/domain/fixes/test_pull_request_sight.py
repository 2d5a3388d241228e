"""What sights of a pull request say together."""

from collections.abc import Sequence
from datetime import timedelta
from functools import reduce
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.fixes.pull_request_sight import PullRequestSight, after
from tests.support.make import NOW


@st.composite
def lives(draw: st.DrawFn) -> list[PullRequestSight]:
    """All that can be seen of a pull request in its life, in order; the last sight is the truth."""
    seconds, state = 0, "open"
    seen = [PullRequestSight("open", NOW)]
    for change in draw(st.lists(st.sampled_from(["edit", "close", "reopen", "merge"]), max_size=8)):
        seconds += draw(st.integers(1, 3))
        if state == "merged" or (change == "reopen") != (state == "closed" and change != "edit"):
            change = "edit"
        state = {"edit": state, "close": "closed", "reopen": "open", "merge": "merged"}[change]
        at = NOW + timedelta(seconds=seconds)
        merged_at = at if change == "merge" else seen[-1].merged_at
        seen.append(PullRequestSight(_state(state), at, merged_at=merged_at))
    return seen


def _state(name: str) -> Literal["open", "merged", "closed"]:
    return "merged" if name == "merged" else "closed" if name == "closed" else "open"


def together(sights: Sequence[PullRequestSight]) -> PullRequestSight:
    return reduce(after, sights[1:], sights[0])


@given(lives(), st.data())
def test_in_any_order_and_however_often_sights_say_the_truth(life: list[PullRequestSight], data: st.DataObject) -> None:
    seen = data.draw(st.lists(st.sampled_from(life), max_size=12).map(lambda some: [*some, life[-1]]))
    known = together(data.draw(st.permutations(seen)))
    assert (known.state, known.merged_at) == (life[-1].state, life[-1].merged_at)


@given(lives(), st.data())
def test_merged_never_becomes_anything_else(life: list[PullRequestSight], data: st.DataObject) -> None:
    merged = PullRequestSight("merged", NOW, merged_at=NOW)
    known = merged
    for sight in data.draw(st.lists(st.sampled_from(life), max_size=12)):
        known = after(known, sight)
        assert (known.state, known.merged_at) == ("merged", NOW)


@given(lives())
def test_a_sight_that_comes_again_changes_nothing(life: list[PullRequestSight]) -> None:
    known = together(life)
    assert all(after(known, sight) == known for sight in life)


def test_of_two_sights_of_the_same_second_the_open_one_counts_because_it_is_looked_at_again() -> None:
    one, other = PullRequestSight("open", NOW), PullRequestSight("closed", NOW)
    assert after(one, other).state == after(other, one).state == "open"


def test_the_last_word_on_checks_counts_and_looking_at_something_else_keeps_it() -> None:
    known = together([PullRequestSight("open", NOW, "passed"), PullRequestSight("open", NOW, "failed")])
    assert after(known, PullRequestSight("open", NOW + timedelta(seconds=1))).checks == "failed"
