"""Ids are for ever: a release that changed one would take every item for a new one."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.ids import NAMESPACE, cluster_id_for, item_id, job_id_for, project_id_for

text = st.text(st.characters(), max_size=20)  # surrogates too


def test_pinned() -> None:
    assert str(NAMESPACE) == "6f1d6a1e-3a52-5d0c-9d2e-0f6f3f2a7c11"
    assert item_id("p1", "github", "42") == "d2bfccfa-6788-5348-b36f-7f53cecb3b25"
    assert item_id("p1", "manual", "Grüße 🙂") == "ba2f10cc-47f0-59fd-9dea-a1c8afc9245d"
    assert project_id_for("Demo") == "130be381-4a5a-5fce-ab98-481453977bf1"
    assert cluster_id_for("p1", "i1") == "4eee7939-29bb-5c1d-97ce-c1af46a32b09"
    assert job_id_for("c1") == "98623e48-6c9e-56bf-a1e9-761b9f044d4d"


@given(a=st.tuples(text, text, text), b=st.tuples(text, text, text))
def test_an_item_id_is_of_all_three_parts_and_where_they_part(a: tuple[str, str, str], b: tuple[str, str, str]) -> None:
    assert (item_id(*a) == item_id(*b)) == (a == b)
    assert UUID(item_id(*a)).version == 5


def test_parts_do_not_run_into_each_other() -> None:
    assert item_id("p", "a", "bc") != item_id("p", "ab", "c")
    assert item_id("p", "", "x") != item_id("p", "x", "")
    kinds = {project_id_for("x"), job_id_for("x"), cluster_id_for("x", "y"), item_id("x", "y", "")}
    assert len(kinds) == 4
