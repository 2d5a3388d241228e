"""Projects take turns in the queue of an agent."""

from collections import defaultdict, deque
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_a_cleared_queue_is_empty() -> None:
    queue: TakingTurns[Record] = TakingTurns()
    queue.append(Record(0, b"a", 1))
    queue.clear()
    assert not queue
    queue.append(Record(1, b"b", 1))
    assert queue.popleft().number == 1
