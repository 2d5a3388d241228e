"""What people decided, and what follows for each micro-cluster."""

import pytest

from soulcaster.domain.clustering.clusterer.constraints import Constraint, Constraints
from soulcaster.errors import BadInput


def constraints(*given: Constraint) -> Constraints:
    made = Constraints()
    for constraint in given:
        made.add(constraint)
    return made


def merge(order: int, *slots: int) -> Constraint:
    return Constraint(f"c{order}", "merge", order, must_link=list(slots), before=dict.fromkeys(slots, 0))


def split(order: int, one: list[int], other: list[int]) -> Constraint:
    return Constraint(
        f"c{order}", "split", order, must_link=list(one), one_side=one, other_side=other, before=dict.fromkeys(one, 0)
    )


def links(of: Constraints) -> list[set[int]]:
    return [{slot for slot, link in of.must_link.items() if link == one} for one in sorted(set(of.must_link.values()))]


def test_nothing_said_nothing_follows() -> None:
    assert (constraints().must_link, constraints().cannot_link) == ({}, {})
    constraints().check_together([1, 2, 3])


def test_what_is_merged_is_bonded_and_bonds_that_meet_are_one() -> None:
    assert links(constraints(merge(1, 1, 2), merge(2, 3, 4))) == [{1, 2}, {3, 4}]
    assert links(constraints(merge(1, 1, 2), merge(2, 3, 4), merge(3, 2, 3))) == [{1, 2, 3, 4}]


def test_what_is_split_off_leaves_its_bonds_and_is_apart() -> None:
    found = constraints(merge(1, 1, 2, 3), split(2, [3, 4], [1, 2, 5]))
    assert links(found) == [{1, 2}, {3, 4}]
    for slots in ([3, 1], [4, 5], [9, 3, 2]):
        with pytest.raises(BadInput, match="c2"):
            found.check_together(slots)
    found.check_together([1, 2, 5, 9])
    found.check_together([3, 4, 9])


def test_what_is_undone_leaves_nothing() -> None:
    first, second = merge(1, 1, 2, 3), split(2, [3], [1, 2])
    found = constraints(first, second)
    assert links(found.without("c2")) == [{1, 2, 3}]
    assert links(found.without("c1")) == [{3}]
    assert found.without("c2").cannot_link == {}
    assert links(found) == [{1, 2}, {3}]
    assert found.without("unknown").by_command == found.by_command


def test_words_count_in_their_order_however_they_are_given() -> None:
    given = [merge(1, 1, 2, 3), split(2, [3], [1, 2]), merge(3, 3, 4)]
    again = Constraints(reversed(given))
    assert (again.must_link, again.cannot_link) == (constraints(*given).must_link, constraints(*given).cannot_link)
    assert again.next_order() == 4


def test_what_is_carved_out_of_a_group_is_wherever_that_was() -> None:
    found = constraints(merge(1, 1, 2), split(2, [3], [4]))
    assert {constraint.command_id for constraint in found.inherit({10: 1})} == {"c1"}
    assert {constraint.command_id for constraint in found.inherit({30: 3, 40: 4})} == {"c2"}
    assert found.inherit({70: 7}) == []
    assert links(found) == [{1, 2, 10}, {3, 30}]
    assert found.by_command["c1"].before == {1: 0, 2: 0, 10: 0}
    with pytest.raises(BadInput, match="c2"):
        found.check_together([30, 40])
    found.check_together([3, 30])
