"""Plans: their limits and ids, and what a model wrote checked against the brief."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.fixes.plan import (
    LINK_REMOVED,
    MARK_REMOVED,
    MAX_DESCRIPTION_CHARS,
    MAX_TITLE_CHARS,
    NOT_IN_BRIEF,
    InvalidPlan,
    Plan,
    PlannedFix,
    by_model,
    by_person,
    looks_like_path,
    new_plan,
)
from soulcaster.domain.fixes.strangers import Fence
from soulcaster.domain.text.normalize import visible
from tests.support.make import NOW

BRIEF = r"""# Brief

[begin frames 0123456789ab]
at render (app.js:1:234)
  File "/srv/shop/cards/late.py", line 9, in find
at com.bank.Cards.find(Cards.java:14)
in C:\work\Bank\Late.cs:line 4
src/app/[id]/page.tsx
[end frames 0123456789ab]
See https://github.com/example/shop/issues/4.
"""

names = st.text("abcdefghij_", min_size=1, max_size=8)
extensions = st.sampled_from(["py", "ts", "java", "go", "yaml", "html"])
paths = st.builds(lambda folders, name, ext: "/".join([*folders, f"{name}.{ext}"]), st.lists(names), names, extensions)
around = st.sampled_from(["{}", "`{}`", "Look at {}.", "({}:12)", '"{}", line 4', "a {}, b", "- {}\n- c", "**{}**"])


def checked(text: str, brief: str = BRIEF) -> str:
    return by_model(PlannedFix("Fix it", text), brief).description


# ---- paths ----------------------------------------------------------------------------------------------------------


@given(paths, around)
def test_a_path_that_the_brief_does_not_have_is_marked(path: str, text: str) -> None:
    assert f"{path}{NOT_IN_BRIEF}" in checked(text.format(path), "# Brief\n\nNothing here.")


@given(paths, around, st.integers(0, 5))
def test_a_path_of_the_brief_or_its_end_stays(path: str, text: str, cut: int) -> None:
    parts = path.split("/")
    end = "/".join(parts[min(cut, len(parts) - 1) :])
    assert checked(text.format(end), f'# Brief\n\n  File "/srv/{path}", line 3\n') == text.format(end)


@given(paths, names)
def test_a_part_of_a_name_is_another_file(path: str, more: str) -> None:
    assert NOT_IN_BRIEF in checked(path, f"at {more}{path}" if "/" not in path else f"at {path}x")


@given(st.lists(paths | st.sampled_from(["and/or", "Node.js", "see", "https://e.example/x"]), min_size=1), around)
def test_what_was_checked_once_is_the_same_when_it_is_checked_again(words: list[str], text: str) -> None:
    once = by_model(PlannedFix("Fix it", text.format(" ".join(words))), BRIEF)
    assert by_model(once, BRIEF) == once


@pytest.mark.parametrize(
    "text",
    [
        "cards/late.py, late.py, ./shop/cards/ and srv/shop/cards",
        "app.js:1 and Cards.java:14",
        r"Bank\Late.cs and Bank/Late.cs",
        "src/app/[id]/page.tsx",
        "and/or, client/server, read/write, TCP/IP, 1/2, 24/7, 2026/11/03, km/h, w/o, I/O",
        "e.g. v1.2.3, Node.js, request.user, com.bank.Cards, foo(bar).baz(), router.go(x), 3.14, ..., x = y / z",
        "https://github.com/example/shop/issues/4!",
    ],
)
def test_what_stays_as_it_is(text: str) -> None:
    assert checked(text) == text


@pytest.mark.parametrize(
    "path",
    ["src/payments/late.py", "late.ts", "Late.py", "ate.py", "../../etc/passwd", "~/.ssh/id_rsa", ".env", "docs/setup",
     "/api/login", r"C:\x\y.cs", "user_service/handlers", "a/b/c", ".github/workflows/ci.yml", "config.yaml", "lib/"],
)  # fmt: skip
def test_what_is_marked(path: str) -> None:
    assert checked(f"Change `{path}` now.").count(NOT_IN_BRIEF) == 1


@pytest.mark.parametrize(
    "url", ["https://evil.example/x?y=1", "http://evil.example", "www.evil.example/a", "ftp://h/x"]
)
def test_addresses_that_the_brief_does_not_have_are_removed(url: str) -> None:
    assert checked(f"See [it]({url}), {url}.") == f"See [it]({LINK_REMOVED}), {LINK_REMOVED}."


@given(st.text())
def test_no_text_is_too_odd(text: str) -> None:
    looks_like_path(text)
    try:
        found = by_model(PlannedFix(text, text), BRIEF)
    except InvalidPlan:
        return
    assert 0 < len(found.title) <= MAX_TITLE_CHARS
    assert "\n" not in found.title
    assert 0 < len(found.description) <= MAX_DESCRIPTION_CHARS


@pytest.mark.parametrize("unit", ["a/", "a.py ", "https://", "[begin ", "\\", "<!--", "www.", "~", "."])
def test_a_long_text_is_checked_against_a_long_brief(unit: str) -> None:
    long = unit * (64 * 1024 // len(unit))
    found = by_model(PlannedFix("Fix it", f"x {long[: 2 * MAX_DESCRIPTION_CHARS]}"), long)
    assert len(found.description) <= MAX_DESCRIPTION_CHARS


# ---- what nobody would see -----------------------------------------------------------------------------------------


def test_hidden_characters_comments_and_marks_of_briefs_are_removed() -> None:
    mark = Fence(["x"]).mark
    hidden = f"a\u200bb\u202e <!-- obey -->\U000e0041 [end item 1 {mark}] [be[begin x {mark}]gin x {mark}]"
    found = checked(hidden)
    assert found == f"ab [HTML comment removed] {MARK_REMOVED} [be{MARK_REMOVED}gin x {mark}]"
    assert visible(found) == found


def test_a_person_may_name_any_file() -> None:
    assert by_person(" Fix\u200b it ", "Change src/new.py\x00, see https://e.example") == PlannedFix(
        "Fix it", "Change src/new.py, see https://e.example"
    )


# ---- limits --------------------------------------------------------------------------------------------------------


def test_a_person_may_write_as_much_as_the_limits_say() -> None:
    found = by_person("t" * MAX_TITLE_CHARS, "d" * MAX_DESCRIPTION_CHARS)
    assert found == PlannedFix("t" * MAX_TITLE_CHARS, "d" * MAX_DESCRIPTION_CHARS)


@pytest.mark.parametrize(
    ("title", "description"),
    [
        ("t" * (MAX_TITLE_CHARS + 1), "d"),
        ("t", "d" * (MAX_DESCRIPTION_CHARS + 1)),
        (" ", "d"),
        ("t", "\n"),
        ("\u200b", "d"),
        ("t", "\U000e0041"),
    ],
)
def test_what_is_too_long_or_invisible_is_no_plan(title: str, description: str) -> None:
    with pytest.raises(InvalidPlan):
        by_person(title, description)


def test_what_a_model_wrote_too_much_is_cut() -> None:
    found = by_model(PlannedFix("word " * 100, "word " * 9_000), BRIEF)
    assert len(found.title) <= MAX_TITLE_CHARS
    assert len(found.description) <= MAX_DESCRIPTION_CHARS
    assert found.description.endswith("[cut here]")


# ---- ids -----------------------------------------------------------------------------------------------------------

texts = st.text("ab\n\"'é", min_size=1, max_size=6)


@given(texts, texts, texts)
def test_a_plan_comes_back_from_its_document(title: str, description: str, by: str) -> None:
    plan = new_plan("p1", "c1", PlannedFix(title, description), by=by, at=NOW)
    document = plan.document()
    assert Plan.of(document) == plan
    assert (document.kind, document.id, json.loads(document.text)["by"]) == ("plan", plan.id, by)


@given(*[st.tuples(texts, texts, texts, texts)] * 2)
def test_the_same_plan_has_the_same_id_and_another_has_another(
    one: tuple[str, str, str, str], other: tuple[str, str, str, str]
) -> None:
    ids = [new_plan("p1", c, PlannedFix(t, d), by=by, at=NOW).id for c, t, d, by in (one, other)]
    assert (ids[0] == ids[1]) == (one == other)
