import pytest

from soulcaster.domain.lost_records import lost_records, lost_table


@pytest.mark.parametrize(
    ("committed", "first", "end", "count"),
    [
        (None, 0, 0, None),  # a new partition
        (None, 0, 9, None),  # a new group
        (5, 0, 9, None),
        (5, 5, 9, None),  # all before it was read, then deleted
        (9, 9, 9, None),
        (5, 6, 9, 1),
        (None, 4, 9, 4),  # a new group, or one that Kafka has forgotten
        (0, 4, 4, 4),
        (5, 0, 4, 0),  # deleted and made again
    ],
)
def test_what_is_lost_follows_from_offsets(committed: int | None, first: int, end: int, count: int | None) -> None:
    lost = lost_records("feedback.raw", 3, committed=committed, first=first, end=end)
    assert (None if lost is None else lost.count) == count


@pytest.mark.parametrize(
    ("read", "first", "end", "lost"),
    [
        (False, 0, 0, False),  # a new table
        (True, 0, 1, False),  # the mark is there
        (False, 0, 5, False),
        (True, 0, 0, True),
        (True, 3, 5, True),  # a changelog is never deleted from
        (False, 3, 3, True),
    ],
)
def test_a_table_has_lost_rows_if_its_changelog_begins_later_or_is_gone(
    read: bool, first: int, end: int, lost: bool
) -> None:
    assert (lost_table("app-seen-changelog", 0, read=read, first=first, end=end) is not None) == lost
