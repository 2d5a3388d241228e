"""The states of a table's rows, by partition and project: loaded from rows, discarded, reloaded."""

from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.segments import RowChange, Segments
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
def test_each_place_has_its_own_rows(steps: list[tuple[Place, int, str]]) -> None:
    rows: dict[bytes, bytes] = {}
    states = table(rows)
    expected: dict[Place, dict[bytes, bytes]] = {}
    for (partition, project), n, what in steps:
        state = states.state(partition, project)
        if what == "lost":  # changed in memory, but never written
            state.commit({key(n): b"xx"}, {})
            states.forget(partition, project)
        elif what == "reload":
            states.reload()
        elif what == "forget":
            states.forget(partition, project)
        else:
            value = bytes([partition, n])
            states.write(partition, project, state.commit({key(n): value}, {}))
            expected.setdefault((partition, project), {})[key(n)] = value
        for place in {(partition, project), *expected}:
            assert states.state(*place).records() == expected.get(place, {})
            assert table(rows).state(*place).records() == expected.get(place, {})


def test_a_state_is_one_object_until_it_is_forgotten() -> None:
    states = table({})
    first = states.state(0, "p1")
    assert states.state(0, "p1") is first
    assert states.state(1, "p1") is not first
    states.forget(0, "p1")
    assert states.state(0, "p1") is not first
    states.forget(5, "never seen")


def test_rows_that_moved_away_are_gone_after_a_reload() -> None:
    rows: dict[bytes, bytes] = {}
    states = table(rows)
    for partition in (0, 1):
        states.write(partition, "p1", states.state(partition, "p1").commit({key(partition): b"ab"}, {}))
    assert {partition_of(row) for row in rows} == {0, 1}
    for row in [row for row in rows if partition_of(row) == 1]:
        del rows[row]
    states.reload()
    assert states.state(0, "p1").records() == {key(0): b"ab"}
    assert states.state(1, "p1").records() == {}
    # The partition returns with rows that another worker wrote meanwhile.
    other: dict[bytes, bytes] = {}
    elsewhere = table(other)
    elsewhere.write(1, "p1", elsewhere.state(1, "p1").commit({key(7): b"zz"}, {}))
    rows |= other
    states.reload()
    assert states.state(1, "p1").records() == {key(7): b"zz"}


def test_a_row_that_is_not_there_is_deleted_without_a_word() -> None:
    states = table({})
    states.write(0, "p1", [RowChange("000000000000-000000000000", None)])


def test_rows_are_deleted_from_the_table_when_they_are_merged() -> None:
    rows: dict[bytes, bytes] = {}
    states = table(rows)
    for n in range(64):
        states.write(2, "p1", states.state(2, "p1").commit({key(n): b"ab"}, {}))
    assert len(rows) == 1
    assert table(rows).state(2, "p1").records() == {key(n): b"ab" for n in range(64)}
