"""The states of a table's rows, by partition and project: loaded from rows, discarded, reloaded."""

import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.segments import RowChange, Segments
from soulcaster.wire.topics import MAX_MESSAGE_BYTES
from tables import parts
from tables.segmented import SegmentedTable, partition_of

WIDTH = 2
Place = tuple[int, str]
places = st.tuples(st.integers(0, 3), st.sampled_from(["p1", "p", "p11", "1"]))


def table(rows: dict[bytes, bytes]) -> SegmentedTable[Segments]:
    return SegmentedTable(rows, WIDTH, lambda _project, segments: segments)


def key(n: int) -> bytes:
    return n.to_bytes(16, "big")


@given(
    st.lists(st.tuples(places, st.integers(0, 5), st.sampled_from(["write", "forget", "reload", "lost"])), max_size=60)
)
async def test_each_place_has_its_own_rows(steps: list[tuple[Place, int, str]]) -> None:
    rows: dict[bytes, bytes] = {}
    states = table(rows)
    expected: dict[Place, dict[bytes, bytes]] = {}
    for (partition, project), n, what in steps:
        state = await states.state(partition, project)
        if what == "lost":  # changed in memory, but never written
            state.commit({key(n): b"xx"}, {})
            states.forget(partition, project)
        elif what == "reload":
            await states.reload()
        elif what == "forget":
            states.forget(partition, project)
        else:
            value = bytes([partition, n])
            states.write(partition, project, state.commit({key(n): value}, {}))
            expected.setdefault((partition, project), {})[key(n)] = value
        for place in {(partition, project), *expected}:
            assert (await states.state(*place)).records() == expected.get(place, {})
            assert (await table(rows).state(*place)).records() == expected.get(place, {})


async def test_a_state_is_one_object_until_it_is_forgotten() -> None:
    states = table({})
    first = await states.state(0, "p1")
    assert await states.state(0, "p1") is first
    assert await states.state(1, "p1") is not first
    states.forget(0, "p1")
    assert await states.state(0, "p1") is not first
    states.forget(5, "never seen")


async def test_rows_that_moved_away_are_gone_after_a_reload() -> None:
    rows: dict[bytes, bytes] = {}
    states = table(rows)
    for partition in (0, 1):
        states.write(partition, "p1", (await states.state(partition, "p1")).commit({key(partition): b"ab"}, {}))
    assert {partition_of(row) for row in rows} == {0, 1}
    for row in [row for row in rows if partition_of(row) == 1]:
        del rows[row]
    await states.reload()
    assert (await states.state(0, "p1")).records() == {key(0): b"ab"}
    assert (await states.state(1, "p1")).records() == {}
    # The partition returns with rows that another worker wrote meanwhile.
    other: dict[bytes, bytes] = {}
    elsewhere = table(other)
    elsewhere.write(1, "p1", (await elsewhere.state(1, "p1")).commit({key(7): b"zz"}, {}))
    rows |= other
    await states.reload()
    assert (await states.state(1, "p1")).records() == {key(7): b"zz"}


def test_a_row_that_is_not_there_is_deleted_without_a_word() -> None:
    states = table({})
    states.write(0, "p1", [RowChange("000000000000-000000000000", None)])


async def test_rows_are_deleted_from_the_table_when_they_are_merged() -> None:
    rows: dict[bytes, bytes] = {}
    states = table(rows)
    for n in range(64):
        states.write(2, "p1", (await states.state(2, "p1")).commit({key(n): b"ab"}, {}))
    assert len(rows) == 1
    assert (await table(rows).state(2, "p1")).records() == {key(n): b"ab" for n in range(64)}


class Crash(Exception):
    """The process ends."""


class Kafka(dict[bytes, bytes]):
    """A changelog: it takes so many changes, then the process ends. It refuses a row that no message holds."""

    takes = 1_000_000

    def __setitem__(self, key: bytes, value: bytes) -> None:
        assert len(key) + len(value) < MAX_MESSAGE_BYTES - 1024
        self._take()
        super().__setitem__(key, value)

    def __delitem__(self, key: bytes) -> None:
        self._take()
        super().__delitem__(key)

    def _take(self) -> None:
        if not self.takes:
            raise Crash
        self.takes -= 1


def large(seed: int, size: int) -> dict[bytes, bytes]:
    return {b"blob": random.Random(seed).randbytes(size)}


async def test_a_commit_of_any_size_is_written_and_read_back() -> None:
    rows = Kafka()
    states = table(rows)
    blobs = large(0, 9_000_000) | {b"small": b"s"}
    states.write(0, "p1", (await states.state(0, "p1")).commit({key(1): b"ab"}, blobs))
    for n in range(2, 40):  # it is merged with others, and rewritten
        states.write(0, "p1", (await states.state(0, "p1")).commit({key(n): b"ab"}, {b"small": bytes([n])}))
    for found in (states, table(rows)):
        assert (await found.state(0, "p1")).blobs() == blobs | {b"small": bytes([39])}
        assert len((await found.state(0, "p1")).records()) == 39
    states.write(0, "p1", (await states.state(0, "p1")).commit({}, {b"blob": b""}))
    assert (await table(rows).state(0, "p1")).blobs() == {b"small": bytes([39])}
    assert len(rows) < 8, "the parts are deleted with their row"


@pytest.mark.parametrize("sizes", [(5, 5), (5, 2), (2, 5), (5, 0), (0, 5)])
async def test_a_crash_between_parts_leaves_all_or_nothing(
    monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, int]
) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 1000)
    first, second = (large(n, 1000 * size + 1) for n, size in enumerate(sizes))
    outcomes = set()
    for takes in range(7):
        rows = Kafka()
        states = table(rows)
        states.write(0, "p1", (await states.state(0, "p1")).commit({key(1): b"ab"}, {b"before": b"x"}))
        rows.takes = takes
        with suppress(Crash):
            states.write(0, "p1", (await states.state(0, "p1")).commit({key(2): b"cd"}, first))
        old = {b"before": b"x"} | (first if takes > sizes[0] else {})
        for again in range(20):  # the step is done again, comes out differently, and the process ends again
            after = Kafka(rows)
            after.takes = again
            states = table(after)
            assert (await states.state(0, "p1")).blobs() == old
            with suppress(Crash):
                states.write(0, "p1", (await states.state(0, "p1")).commit({key(3): b"ef"}, second))
            found = (await table(dict(after)).state(0, "p1")).blobs()
            assert found in (old, old | second)
            outcomes.add((takes > sizes[0], found == old | second))
    assert len(outcomes) == 4
