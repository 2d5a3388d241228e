from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.api_keys import SCOPES, KeyScope
from soulcaster.domain.ids import default_project_id_for, user_id_for, users_project_id_for
from soulcaster.domain.members import ROLES, GitHubPerson, Membership, Role, higher, leaves_no_owner, may
from tests.support.make import NOW

MAY: dict[Role, set[KeyScope]] = {
    "owner": {"ingest", "poll", "read", "write", "launch", "admin"},
    "member": {"ingest", "read", "write", "launch"},
    "viewer": {"read"},
}


def test_what_a_role_may() -> None:
    assert {role: {scope for scope in SCOPES if may(role, scope)} for role in ROLES} == MAY
    assert set(MAY) == set(get_args(Role))


@given(st.lists(st.sampled_from(ROLES), min_size=1))
def test_the_higher_of_roles_may_what_any_of_them_may(roles: list[Role]) -> None:
    assert {scope for scope in SCOPES if may(higher(roles), scope)} == set().union(*(MAY[role] for role in roles))


@given(
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from(ROLES)),
    st.sampled_from("abcd"),
    st.sampled_from([*ROLES, None]),
)
def test_a_project_that_has_an_owner_keeps_one(members: dict[str, Role], user: str, role: Role | None) -> None:
    before = [Membership("p1", user_id, held, NOW) for user_id, held in members.items()]
    after = {user_id: held for user_id, held in members.items() if user_id != user} | ({user: role} if role else {})
    lost = "owner" in members.values() and "owner" not in after.values()
    assert leaves_no_owner(before, user, role) == lost


def test_ids_of_people() -> None:
    assert len({user_id_for("github", "x"), user_id_for("email", "x"), user_id_for("login", "x")}) == 3
    assert user_id_for("email", "Ada@Example.com") == user_id_for("email", "ada@example.COM")
    made = [default_project_id_for("u"), users_project_id_for("u", "a"), users_project_id_for("u", "b")]
    assert len(set(made)) == len(made)
    assert all(UUID(one).version == 5 for one in [*made, user_id_for("github", "1")])


@pytest.mark.parametrize("emails", [(), ("a@x",), ("a@x", "b@x")])
def test_a_person_was_invited_by_any_of_their_addresses(emails: tuple[str, ...]) -> None:
    person = GitHubPerson("4711", "Octocat", None, emails)
    expected = {user_id_for("login", "octocat")} | {user_id_for("email", email) for email in emails}
    assert set(person.invited_as()) == expected
    assert user_id_for("github", "4711") not in expected
