"""What may be committed of records that are done in any order."""

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agents.runtime.progress import Position, Progress

HERE, THERE = ("t", 0), ("t", 1)


def delivered(*offsets: int) -> Progress:
    progress = Progress()
    for offset in offsets:
        progress.delivered(HERE, offset, float(offset))
    return progress


def test_nothing_is_committed_before_the_first_record_is_done() -> None:
    progress = delivered(5, 6, 7)
    assert progress.committable(HERE) is None
    progress.done(HERE, 6)
    progress.done(HERE, 7)
    assert progress.committable(HERE) is None  # Faust commits past one record at the head
    assert progress.positions() == {HERE: Position(5, 5.0)}
    progress.done(HERE, 5)
    assert progress.committable(HERE) == 8
    assert progress.committable(THERE) is None


def test_offsets_that_are_no_record_are_not_waited_for() -> None:
    progress = delivered(2, 9, 20)
    progress.done(HERE, 2)
    assert progress.committable(HERE) == 9
    progress.done(HERE, 9)
    progress.done(HERE, 20)
    assert progress.committable(HERE) == 21


def test_a_record_that_is_delivered_again_is_to_be_done_again() -> None:
    progress = delivered(1, 2, 3)
    for offset in (1, 2, 3):
        progress.done(HERE, offset)
    progress.delivered(HERE, 2, 2.0)
    assert progress.committable(HERE) == 2
    progress.done(HERE, 2)
    assert progress.committable(HERE) == 4


def test_a_record_that_was_committed_is_not_waited_for_when_it_is_delivered_again() -> None:
    progress = delivered(3, 4)
    progress.done(HERE, 3)
    assert progress.committable(HERE) == 4
    progress.delivered(HERE, 3, 3.0)  # read again from an offset before, and dropped
    progress.done(HERE, 4)
    assert progress.committable(HERE) == 5


def test_a_record_before_the_first_is_waited_for() -> None:
    progress = delivered(100)
    progress.done(HERE, 100)
    assert progress.committable(HERE) == 101
    progress.delivered(HERE, 90, 90.0)
    assert progress.committable(HERE) is None
    progress.done(HERE, 90)
    assert progress.committable(HERE) == 101


def test_what_was_forgotten_is_done_for_nobody() -> None:
    progress = delivered(1, 2)
    progress.forget(HERE)
    progress.done(HERE, 1)
    assert progress.committable(HERE) is None
    progress.delivered(HERE, 1, 1.0)
    assert progress.committable(HERE) is None


@given(st.lists(st.integers(0, 10_000), unique=True, min_size=1), st.randoms())
def test_when_all_is_done_all_is_committed(offsets: list[int], chance: object) -> None:
    progress = delivered(*sorted(offsets))
    for offset in offsets:
        progress.done(HERE, offset)
    assert progress.committable(HERE) == max(offsets) + 1


class Partition(RuleBasedStateMachine):
    """A partition whose records are delivered, dropped, done and read again from the committed offset."""

    def __init__(self) -> None:
        super().__init__()
        self.progress = Progress()
        self.end = 3
        self.next = 3
        self.committed = 3
        self.at_work: list[int] = []
        self.records: set[int] = set()
        self.processed: set[int] = set()

    @rule(gap=st.integers(0, 3))
    def a_record_comes(self, gap: int) -> None:
        self.end += gap
        self.records.add(self.end)
        self.end += 1

    @precondition(lambda self: any(offset >= self.next for offset in self.records))
    @rule(dropped=st.booleans())
    def one_is_delivered(self, dropped: bool) -> None:
        offset = min(offset for offset in self.records if offset >= self.next)
        self.progress.delivered(HERE, offset, float(offset))
        self.next = offset + 1
        if not dropped:
            self.at_work.append(offset)

    @precondition(lambda self: self.at_work)
    @rule(data=st.data())
    def one_is_done(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(self.at_work))
        self.at_work.remove(offset)
        self.processed.add(offset)
        self.progress.done(HERE, offset)

    @rule()
    def it_is_committed(self) -> None:
        offset = self.progress.committable(HERE)
        if offset is not None and offset > self.committed:
            self.committed = offset

    @rule(forgotten=st.booleans(), queue_is_kept=st.booleans())
    def it_is_read_again(self, forgotten: bool, queue_is_kept: bool) -> None:
        if forgotten:
            self.progress.forget(HERE)
        if not queue_is_kept:
            self.at_work.clear()
        self.next = self.committed

    @invariant()
    def nothing_is_passed_over(self) -> None:
        assert {offset for offset in self.records if offset < self.committed} <= self.processed

    def teardown(self) -> None:
        """Whatever happened: after one more reading all is committed."""
        self.it_is_read_again(forgotten=False, queue_is_kept=False)
        for offset in sorted(offset for offset in self.records if offset >= self.next):
            self.progress.delivered(HERE, offset, float(offset))
            self.progress.done(HERE, offset)
        self.it_is_committed()
        assert self.committed == max(self.records, default=2) + 1


TestPartition = Partition.TestCase
TestPartition.settings = hypothesis_settings(max_examples=60, stateful_step_count=40)
