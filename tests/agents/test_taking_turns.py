"""Projects take turns in the queue of an agent."""

from collections import defaultdict, deque
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agents.runtime.taking_turns import TURN_BYTES, TakingTurns


class Record(NamedTuple):
    number: int
    key: bytes | None
    size: int


KEYS = st.sampled_from([None, b"a", b"b", b"c"])
SIZES = st.sampled_from([1, TURN_BYTES // 3, TURN_BYTES - 1, TURN_BYTES, 3 * TURN_BYTES])


@given(st.lists(st.none() | st.tuples(KEYS, SIZES), max_size=60))
def test_each_key_keeps_its_order_and_nothing_is_lost(steps: list[tuple[bytes | None, int] | None]) -> None:
    """None takes a record, anything else puts one."""
    queue: TakingTurns[Record] = TakingTurns()
    left: dict[bytes | None, deque[Record]] = defaultdict(deque)
    for number, step in enumerate([*steps, *[None] * len(steps)]):
        there = sum(map(len, left.values()))
        assert len(queue) == there
        if step is not None:
            record = Record(number, *step)
            queue.append(record)
            left[record.key].append(record)
        elif there:
            taken = queue.popleft()
            assert taken is left[taken.key].popleft()
        else:
            with pytest.raises(IndexError):
                queue.popleft()
    assert not queue


@given(st.lists(st.tuples(KEYS, SIZES), max_size=60))
def test_a_key_has_no_second_turn_while_others_wait(sizes: list[tuple[bytes | None, int]]) -> None:
    queue: TakingTurns[Record] = TakingTurns()
    for number, (key, size) in enumerate(sizes):
        queue.append(Record(number, key, size))
    taken = [queue.popleft() for _ in sizes]
    turns = [(key, [record.size for record in turn]) for key, turn in groupby(taken, attrgetter("key"))]
    for number, (key, turn) in enumerate(turns):
        later = [other for other, _ in turns[number + 1 :]]
        if later:
            assert sum(turn[:-1]) < TURN_BYTES
        if key in later:
            assert set(later[: later.index(key)]) == {*later} - {key}


def test_a_newcomer_waits_for_one_turn_of_a_long_backlog() -> None:
    queue: TakingTurns[Record] = TakingTurns()
    for number in range(1_000):
        queue.append(Record(number, b"greedy", 4_096))
    queue.popleft()
    queue.append(Record(0, b"newcomer", 100))
    ahead = next(number for number in range(1_000) if queue.popleft().key == b"newcomer")
    assert ahead < TURN_BYTES // 4_096


class TwoLanes(RuleBasedStateMachine):
    """Records come, and are taken by the main and by express lanes; a key is in one lane at most."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: TakingTurns[Record] = TakingTurns()
        self.queue.open_express()
        self.left: dict[bytes | None, deque[Record]] = defaultdict(deque)
        self.main: set[bytes | None] = set()
        self.main_has_much = False
        self.express: set[bytes] = set()
        self.number = 0

    @rule(key=KEYS, size=SIZES)
    def put(self, key: bytes | None, size: int) -> None:
        self.number += 1
        record = Record(self.number, key, size)
        self.queue.append(record)
        self.left[key].append(record)

    @precondition(lambda self: len(self.queue) > 0)
    @rule()
    def take_main(self) -> None:
        much = any(self.left[key] for key in self.left.keys() - self.express - self.little())
        left_to_express = self.little() if much else set()
        taken = self.queue.popleft()
        self.main_has_much |= sum(record.size for record in self.left[taken.key]) > TURN_BYTES
        assert taken is self.left[taken.key].popleft()
        assert taken.key not in self.express | left_to_express
        self.main.add(taken.key)

    @precondition(lambda self: self.queue.has_express)
    @rule()
    def take_express(self) -> None:
        taken = self.queue.take_express()
        key = taken[0].key
        assert key is not None
        assert key not in self.main | self.express
        assert list(taken) == list(self.left[key])
        assert sum(record.size for record in taken) <= TURN_BYTES
        self.left[key].clear()
        self.express.add(key)

    @rule()
    def main_done(self) -> None:
        self.queue.main_done()
        self.main.clear()
        self.main_has_much = False

    @precondition(lambda self: self.express)
    @rule(data=st.data())
    def express_done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.express)))
        self.queue.express_done(key)
        self.express.remove(key)

    @rule()
    def clear(self) -> None:
        self.queue.clear()
        self.left.clear()

    def little(self) -> set[bytes | None]:
        """Keys for the express lane."""
        small: set[bytes | None] = {
            key
            for key, left in self.left.items()
            if left and key is not None and sum(record.size for record in left) <= TURN_BYTES
        }
        return small - self.main - self.express

    @invariant()
    def each_lane_may_take_what_the_other_has_not(self) -> None:
        assert len(self.queue) == sum(len(left) for key, left in self.left.items() if key not in self.express)
        assert self.queue.has_express == bool(self.little())
        others = {key for key, left in self.left.items() if left} - self.express
        assert self.queue.has_main == bool(others - self.little() if self.main_has_much else others)


TestTwoLanes = TwoLanes.TestCase


def test_a_turn_that_goes_on_by_the_express_lane_leaves_a_whole_one_to_the_next() -> None:
    queue: TakingTurns[Record] = TakingTurns()
    queue.open_express()
    for number in range(2):
        queue.append(Record(number, b"a", TURN_BYTES // 2 + number))
    for number in range(2, 5):
        queue.append(Record(number, b"b", TURN_BYTES // 2))
    queue.append(Record(9, b"c", TURN_BYTES + 1))
    assert queue.popleft().number == 0
    queue.main_done()
    assert [queue.popleft().number for _ in range(3)] == [2, 3, 9]
    assert [record.number for record in queue.take_express()] == [1]


def test_a_batch_with_much_of_one_key_leaves_what_others_have_to_the_express_lanes() -> None:
    queue: TakingTurns[Record] = TakingTurns()
    queue.open_express()
    queue.append(Record(0, b"large", TURN_BYTES + 1))
    queue.append(Record(1, b"a", 1))
    queue.append(Record(2, b"b", 1))
    queue.popleft()
    assert not queue.has_main
    queue.main_done()
    queue.popleft()
    assert queue.has_main, "one that has little of one takes what others have"


def test_without_an_express_lane_everything_has_its_turn() -> None:
    queue: TakingTurns[Record] = TakingTurns()
    queue.append(Record(0, b"small", 1))
    queue.append(Record(1, b"large", TURN_BYTES + 1))
    assert not queue.has_express
    assert queue.popleft().number == 0
    assert queue.has_main
    assert queue.popleft().number == 1


def test_a_cleared_queue_is_empty() -> None:
    queue: TakingTurns[Record] = TakingTurns()
    queue.append(Record(0, b"a", 1))
    queue.clear()
    assert not queue
    queue.append(Record(1, b"b", 1))
    assert queue.popleft().number == 1
