"""What people said, and what follows for each group."""

import pytest

from soulcaster.domain.clustering.constraints import Constraint, Constraints
from soulcaster.errors import BadInput


def constraints(*words: Constraint) -> Constraints:
    made = Constraints()
    for word in words:
        made.add(word)
    return made


def merge(order: int, *groups: int) -> Constraint:
    return Constraint(f"c{order}", "merge", order, must_link=list(groups), before=dict.fromkeys(groups, 0))


def split(order: int, one: list[int], other: list[int]) -> Constraint:
    return Constraint(
        f"c{order}", "split", order, must_link=list(one), one_side=one, other_side=other, before=dict.fromkeys(one, 0)
    )


def bonds(of: Constraints) -> list[set[int]]:
    return [{g for g, bond in of.must_link.items() if bond == b} for b in sorted(set(of.must_link.values()))]


def test_nothing_said_nothing_follows() -> None:
    assert (constraints().must_link, constraints().cannot_link) == ({}, {})
    constraints().check_together([1, 2, 3])


def test_what_is_merged_is_bonded_and_bonds_that_meet_are_one() -> None:
    assert bonds(constraints(merge(1, 1, 2), merge(2, 3, 4))) == [{1, 2}, {3, 4}]
    assert bonds(constraints(merge(1, 1, 2), merge(2, 3, 4), merge(3, 2, 3))) == [{1, 2, 3, 4}]


def test_what_is_split_off_leaves_its_bonds_and_is_apart() -> None:
    said = constraints(merge(1, 1, 2, 3), split(2, [3, 4], [1, 2, 5]))
    assert bonds(said) == [{1, 2}, {3, 4}]
    for groups in ([3, 1], [4, 5], [9, 3, 2]):
        with pytest.raises(BadInput, match="c2"):
            said.check_together(groups)
    said.check_together([1, 2, 5, 9])
    said.check_together([3, 4, 9])


def test_what_is_undone_leaves_nothing() -> None:
    first, second = merge(1, 1, 2, 3), split(2, [3], [1, 2])
    said = constraints(first, second)
    assert bonds(said.without("c2")) == [{1, 2, 3}]
    assert bonds(said.without("c1")) == [{3}]
    assert said.without("c2").cannot_link == {}
    assert bonds(said) == [{1, 2}, {3}]
    assert said.without("unknown").by_command == said.by_command


def test_words_count_in_their_order_however_they_are_given() -> None:
    words = [merge(1, 1, 2, 3), split(2, [3], [1, 2]), merge(3, 3, 4)]
    again = Constraints(reversed(words))
    assert (again.must_link, again.cannot_link) == (constraints(*words).must_link, constraints(*words).cannot_link)
    assert again.next_order() == 4


def test_what_is_carved_out_of_a_group_is_wherever_that_was() -> None:
    said = constraints(merge(1, 1, 2), split(2, [3], [4]))
    assert {word.command_id for word in said.inherit({10: 1})} == {"c1"}
    assert {word.command_id for word in said.inherit({30: 3, 40: 4})} == {"c2"}
    assert said.inherit({70: 7}) == []
    assert bonds(said) == [{1, 2, 10}, {3, 30}]
    assert said.by_command["c1"].before == {1: 0, 2: 0, 10: 0}
    with pytest.raises(BadInput, match="c2"):
        said.check_together([30, 40])
    said.check_together([3, 30])
