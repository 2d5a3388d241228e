"""Segments against a dict: whatever is committed, merged, reloaded or cut off by a crash."""

import itertools
import math
from collections.abc import Mapping
from uuid import uuid5

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from soulcaster.domain import segments
from soulcaster.domain.ids import NAMESPACE
from soulcaster.domain.segments import FANOUT, RowChange, Segments
from soulcaster.errors import BadInput

WIDTH = 8
SMALL = 4096

# Ids that share their first half, or their second, and some that share nothing.
IDS = [bytes([i % 4]) * 8 + bytes([i // 4]) * 8 for i in range(16)] + [bytes(8) + b"\xff" * 8, b"\xff" * 16]
BLOB_KEYS = [b"%d" % i for i in range(6)] + [b"", b"core\0" + b"k" * 40]

ids = st.sampled_from(IDS)
records = st.dictionaries(ids, st.integers(0, 2**64 - 1).map(lambda n: n.to_bytes(WIDTH, "big")), max_size=12)
blob = st.one_of(
    st.just(b""),
    st.binary(max_size=40),
    st.tuples(st.sampled_from([200, 900, 2500, SMALL, 2 * SMALL]), st.integers(0, 255)).map(
        lambda pair: bytes([pair[1]]) * pair[0]
    ),
)
blobs = st.dictionaries(st.sampled_from(BLOB_KEYS), blob, max_size=4)


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT_BYTES", SMALL)


def write(table: dict[str, bytes], changes: list[RowChange]) -> None:
    for change in changes:
        if change.value is None:
            del table[change.key]
        else:
            table[change.key] = change.value


def span(key: str) -> tuple[int, int]:
    first, last = key.split("-")
    return int(first), int(last)


def row_bound(rows: Mapping[str, bytes], commits: int, crashes: int) -> float:
    """Seven rows a height, and of those that are full no two neighbours would fit into one."""
    heights = 1 + math.log(commits + 1, FANOUT)
    return FANOUT * heights + 3 * sum(map(len, rows.values())) / SMALL + FANOUT * crashes


class SegmentsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.table: dict[str, bytes] = {}
        self.deleted: dict[str, bytes] = {}
        self.records: dict[bytes, bytes] = {}
        self.blobs: dict[bytes, bytes] = {}
        self.state = Segments(WIDTH)
        self.commits = 0
        self.crashes = 0

    def tell(self, changes: list[RowChange]) -> None:
        for change in changes:
            if change.value is None:
                self.deleted[change.key] = self.table[change.key]
            write(self.table, [change])

    def believe(self, given_records: Mapping[bytes, bytes], given_blobs: Mapping[bytes, bytes]) -> None:
        self.commits += 1
        self.records.update(given_records)
        self.blobs.update(given_blobs)
        self.blobs = {key: value for key, value in self.blobs.items() if value}

    @rule(records=records, blobs=blobs)
    def commit(self, records: dict[bytes, bytes], blobs: dict[bytes, bytes]) -> None:
        changes = self.state.commit(records, blobs)
        assert bool(changes) == bool(records or blobs)
        self.tell(changes)
        self.believe(records, blobs)

    @rule(count=st.integers(2, 30), seed=st.integers(0, 10**6), size=st.sampled_from([0, 30, 700]))
    def commit_many(self, count: int, seed: int, size: int) -> None:
        for n in range(seed, seed + count):
            records = {IDS[(n * k) % len(IDS)]: (n * k).to_bytes(WIDTH, "big") for k in (1, 5)}
            blobs = {BLOB_KEYS[n % len(BLOB_KEYS)]: bytes([n % 256]) * size}
            self.tell(self.state.commit(records, blobs))
            self.believe(records, blobs)

    @rule()
    def reload(self) -> None:
        self.state = Segments(WIDTH, self.table)

    @rule(records=records, blobs=blobs, share=st.floats(0, 1))
    def crash(self, records: dict[bytes, bytes], blobs: dict[bytes, bytes], share: float) -> None:
        changes = self.state.commit(records, blobs)
        told = changes[: math.floor(share * len(changes))]
        self.tell(told)
        if told:  # the row of the commit itself comes first: with it the commit is there, whole
            self.believe(records, blobs)
        self.crashes += 1
        self.state = Segments(WIDTH, self.table)

    @rule(pick=st.lists(st.integers(0, 10**6), min_size=1, max_size=12))
    def left_over_rows_come_back(self, pick: list[int]) -> None:
        gone = sorted(self.deleted.keys() - self.table.keys())
        if gone:
            left_over = {gone[n % len(gone)] for n in pick}
            self.state = Segments(WIDTH, self.table | {key: self.deleted[key] for key in left_over})

    @invariant()
    def says_what_was_committed(self) -> None:
        asked = [*IDS, *reversed(IDS)]
        assert self.state.get(asked) == [self.records.get(i) for i in asked]
        assert self.state.records() == self.records
        assert [one.tobytes() for one in self.state.columns()[0]] == sorted(self.records)
        assert self.state.blobs() == self.blobs

    @invariant()
    def a_fresh_load_says_the_same(self) -> None:
        loaded = Segments(WIDTH, self.table)
        assert loaded.records() == self.records
        assert loaded.blobs() == self.blobs
        assert loaded.get(IDS) == [self.records.get(i) for i in IDS]

    @invariant()
    def rows_stay_few_and_apart(self) -> None:
        spans = sorted(span(row.key) for row in self.state._rows)
        assert all(before[1] < after[0] for before, after in itertools.pairwise(spans))
        assert len(self.state) <= row_bound(self.table, self.commits, self.crashes)
        if not self.crashes:
            assert {row.key: row.raw for row in self.state._rows} == self.table
            assert self.state.nbytes == sum(map(len, self.table.values()))


TestSegments = SegmentsMachine.TestCase
TestSegments.settings = settings(
    max_examples=100, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_many_records_are_few_rows_and_few_bytes() -> None:
    table: dict[str, bytes] = {}
    state = Segments(WIDTH)
    count = 20_000
    for start in range(0, count, 20):
        given = {uuid5(NAMESPACE, str(n)).bytes: n.to_bytes(WIDTH, "big") for n in range(start, start + 20)}
        write(table, state.commit(given, {}))
    assert len(table) <= row_bound(table, count // 20, 0)
    assert sum(map(len, table.values())) <= (16 + WIDTH) * count + 64 * len(table)
    assert all(len(raw) <= SMALL for raw in table.values())
    some = range(0, count, 7)
    asked = [uuid5(NAMESPACE, str(n)).bytes for n in some]
    assert Segments(WIDTH, table).get(asked) == [n.to_bytes(WIDTH, "big") for n in some]


@pytest.mark.parametrize("size", [50, 600, 3000])
def test_blobs_written_over_and_over_do_not_pile_up(size: int) -> None:
    table: dict[str, bytes] = {}
    state = Segments(WIDTH)
    keys = [b"%d" % n for n in range(20)]
    most = 0
    for n in range(1_200):
        write(table, state.commit({}, {keys[n * n % 20]: n.to_bytes(2, "big") * (size // 2)}))
        if n > 300:
            most = max(most, sum(map(len, table.values())))
    live = sum(len(key) + len(value) for key, value in state.blobs().items())
    assert most <= 2 * live + FANOUT * FANOUT * (SMALL + size)
    assert Segments(WIDTH, table).blobs() == state.blobs()


@pytest.mark.parametrize("each", ["in turn", "by chance"])
def test_many_blobs_that_are_written_over_do_not_pile_up(each: str) -> None:
    """Rows of which less than half is outdated do not keep those from being rewritten of which more is."""
    state = Segments(WIDTH)
    chance = np.random.default_rng(1)
    count = 4_000
    for n in range(1_500):
        some = range(16 * n, 16 * n + 16) if each == "in turn" else chance.integers(0, count, 16).tolist()
        state.commit({uuid5(NAMESPACE, str(n)).bytes: bytes(WIDTH)}, {b"%d" % (of % count): bytes(60) for of in some})
    live = sum(len(key) + len(value) for key, value in state.blobs().items()) + (16 + WIDTH) * 1_500
    assert state.nbytes <= 2 * live + FANOUT * SMALL


def test_nothing_to_commit_is_no_row() -> None:
    state = Segments(WIDTH)
    assert state.commit({}, {}) == []
    assert len(state) == 0
    assert state.get([]) == []
    assert state.get([bytes(16)]) == [None]
    assert state.records() == {}
    assert state.blobs() == {}


def test_a_merge_writes_before_it_deletes() -> None:
    state = Segments(WIDTH)
    changes: list[RowChange] = []
    for n in range(FANOUT):
        changes = state.commit({bytes([n]) * 16: bytes(WIDTH)}, {})
    assert [change.value is None for change in changes] == [False, False, *[True] * FANOUT]
    assert span(changes[1].key) == (0, FANOUT - 1)


@pytest.mark.parametrize("raw", [b"", b"SEG1", b"\0" * 40, b"not a segment, but long enough"])
def test_a_row_that_is_no_segment_is_refused(raw: bytes) -> None:
    with pytest.raises(BadInput, match="not a segment"):
        Segments(WIDTH, {"000000000000-000000000000": raw})


def test_a_row_of_another_width_is_refused() -> None:
    [change] = Segments(16).commit({bytes(16): bytes(16)}, {})
    assert change.value is not None
    with pytest.raises(BadInput, match="width 8"):
        Segments(WIDTH, {change.key: change.value})
