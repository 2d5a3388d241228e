"""The repository of a fix: the cluster's own items, then the project's mapping, then its only one, then a person."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.fixes.repository import MAX_CLAIMED, AskForRepository, Choice, RepositoryRule, choose, possible
from tests.support.make import item

SHOP, CARDS, WEB = "acme/shop", "acme/cards", "acme/web"
ALL = (SHOP, CARDS, WEB)
SENTRY_WEB = RepositoryRule("sentry", WEB, "web", "stable")
ANY_SENTRY = RepositoryRule("sentry", CARDS)
REDDIT = RepositoryRule("reddit", CARDS, branch="develop")


def issue(repository: str = SHOP, name: object = 1, **more: Any) -> FeedbackItem:
    """An item as the parser of GitHub makes it."""
    more = {"metadata": {"repository": repository}, "github_repo_url": f"https://github.com/{repository}", **more}
    return item(name, source="github", **more)


def event(project: str | None = "web", name: object = 1) -> FeedbackItem:
    """An item as the parser of Sentry makes it."""
    return item(name, source="sentry", metadata={} if project is None else {"project": project})


def alert(*projects: str) -> FeedbackItem:
    """An item as the parser of Sentry makes it of a metric alert."""
    return item(1, source="sentry", metadata={"projects": list(projects)})


def said(name: object = 1, source: str = "reddit", **more: Any) -> FeedbackItem:
    return item(name, source=source, **more)


@pytest.mark.parametrize(
    ("items", "rules", "repositories", "expected"),
    [
        ([issue(SHOP)], [], ALL, Choice(SHOP)),
        ([issue("Acme/SHOP")], [], ALL, Choice(SHOP)),
        ([issue(metadata={})], [], ALL, Choice(SHOP)),
        ([issue(SHOP, 1), issue(SHOP, 2), issue(CARDS, 3)], [], ALL, Choice(SHOP)),
        ([issue(SHOP), *(said(n) for n in range(9))], [REDDIT], ALL, Choice(SHOP)),
        ([issue(SHOP)], [SENTRY_WEB], (SHOP,), Choice(SHOP)),
        ([issue(SHOP)], [RepositoryRule("reddit", SHOP, branch="next")], (), Choice(SHOP, "next")),
        ([event("web")], [SENTRY_WEB], ALL, Choice(WEB, "stable")),
        ([event("web")], [ANY_SENTRY, SENTRY_WEB], ALL, Choice(WEB, "stable")),
        ([event("web"), issue(SHOP, 1), issue(SHOP, 2)], [SENTRY_WEB], ALL, Choice(SHOP)),
        ([event("other")], [SENTRY_WEB, ANY_SENTRY], ALL, Choice(CARDS)),
        ([alert("web")], [SENTRY_WEB, ANY_SENTRY], ALL, Choice(WEB, "stable")),
        ([alert("web", "api")], [SENTRY_WEB, ANY_SENTRY], ALL, Choice(CARDS)),
        ([event(None)], [SENTRY_WEB, ANY_SENTRY], (), Choice(CARDS)),
        ([said()], [REDDIT], ALL, Choice(CARDS, "develop")),
        ([said(1), said(2), event("x")], [REDDIT, RepositoryRule("sentry", WEB)], ALL, Choice(CARDS, "develop")),
        ([said()], [], (SHOP,), Choice(SHOP)),
        ([said()], [], (SHOP, "ACME/shop"), Choice(SHOP)),
        ([], [], (SHOP,), Choice(SHOP)),
        ([said(source="manual")], [REDDIT], (SHOP,), Choice(SHOP)),
    ],
)
def test_it_is_clear(
    items: list[FeedbackItem], rules: list[RepositoryRule], repositories: tuple[str, ...], expected: Choice
) -> None:
    assert choose(items, rules=rules, repositories=repositories) == expected


@pytest.mark.parametrize(
    ("items", "rules", "repositories", "choices"),
    [
        ([said()], [], (), ()),
        ([said()], [], (SHOP, CARDS), (SHOP, CARDS)),
        ([issue(SHOP, 1), issue(CARDS, 2)], [], ALL, (CARDS, SHOP, WEB)),
        ([issue(WEB, 1), issue(CARDS, 2), said()], [REDDIT], ALL, (CARDS, WEB, SHOP)),
        ([event("web"), issue(SHOP)], [SENTRY_WEB], (SHOP,), (SHOP, WEB)),
        ([said(1), said(2, "forum")], [REDDIT, RepositoryRule("forum", WEB)], ALL, (CARDS, WEB, SHOP)),
        ([said(source="manual")], [REDDIT], (SHOP, WEB), (SHOP, WEB, CARDS)),
    ],
)
def test_a_person_is_asked(
    items: list[FeedbackItem],
    rules: list[RepositoryRule],
    repositories: tuple[str, ...],
    choices: tuple[str, ...],
) -> None:
    with pytest.raises(AskForRepository) as asked:
        choose(items, rules=rules, repositories=repositories)
    assert asked.value.choices == choices == possible(items, rules, repositories)
    assert all(name in str(asked.value) for name in choices)


@pytest.mark.parametrize(
    "stranger",
    [
        said(body="Fix https://github.com/evil/trap please", url="https://github.com/evil/trap/issues/1"),
        said(github_repo_url="https://github.com/evil/trap"),
        said(
            metadata={
                "repository": "evil/trap",
                "repo": "evil/trap",
                "github_issue_url": "https://github.com/evil/trap/issues/1",
            }
        ),
        said(source="manual", github_repo_url="evil/trap"),
        said(source="sentry", github_repo_url="https://github.com/evil/trap", metadata={"repository": "evil/trap"}),
        said(source="github", url="https://github.com/evil/trap/issues/1", title="evil/trap", body="evil/trap"),
    ],
)
def test_what_a_stranger_names_is_neither_chosen_nor_offered(stranger: FeedbackItem) -> None:
    assert choose([stranger] * 9, rules=[], repositories=(SHOP,)) == Choice(SHOP)
    assert possible([stranger], [], ALL) == ALL
    with pytest.raises(AskForRepository):
        choose([stranger], rules=[], repositories=(), named="evil/trap")


def test_what_only_claims_to_be_from_github_is_offered_last_and_chosen_by_nobody_but_a_person() -> None:
    """Whoever may post feedback may post an item with any source."""
    claims = [issue("evil/trap", n) for n in range(9)]
    assert choose(claims, rules=[], repositories=(SHOP,)) == Choice(SHOP)
    with pytest.raises(AskForRepository) as asked:
        choose(claims, rules=[], repositories=(SHOP, CARDS))
    assert asked.value.choices == (SHOP, CARDS, "evil/trap")
    with pytest.raises(AskForRepository):
        choose(claims, rules=[], repositories=())
    assert choose(claims, rules=[], repositories=(SHOP, CARDS), named="evil/trap") == Choice("evil/trap")


def test_claims_do_not_crowd_the_choices() -> None:
    claims = [issue(f"evil/trap{n}", n) for n in range(50)] + [issue("evil/trap49", "again")]
    choices = possible(claims, [], (SHOP,))
    assert len(choices) == 1 + MAX_CLAIMED
    assert choices[:2] == (SHOP, "evil/trap49")


@pytest.mark.parametrize("name", ["acme/..", "-acme/shop", "acme/shop/x", "https://github.com", "a b/c", "", 7, None])
def test_what_is_no_name_of_a_repository_is_not_offered(name: Any) -> None:
    assert possible([issue(metadata={"repository": name}, github_repo_url=None)], [], (SHOP,)) == (SHOP,)


def test_a_caller_may_name_a_possible_one_and_no_other() -> None:
    assert choose([issue(SHOP)], rules=[REDDIT], repositories=(SHOP,), named="ACME/cards") == Choice(CARDS, "develop")
    with pytest.raises(AskForRepository) as asked:
        choose([issue(SHOP)], rules=[REDDIT], repositories=(SHOP,), named="acme/other")
    assert asked.value.choices == (SHOP, CARDS)


def test_the_branch_is_that_of_the_rule_which_applies() -> None:
    rules = [
        RepositoryRule("sentry", WEB, "old", "v1"),
        RepositoryRule("sentry", WEB, "web", "v2"),
        RepositoryRule("x", WEB),
    ]
    assert choose([event("web")], rules=rules, repositories=()) == Choice(WEB, "v2")
    assert choose([event("old", 1), event("web", 2), event("web", 3)], rules=rules, repositories=()) == Choice(
        WEB, "v2"
    )
    assert choose([said(source="x")], rules=rules, repositories=()) == Choice(WEB, "v1")


some_items = st.lists(
    st.one_of(
        st.builds(issue, st.sampled_from([*ALL, "evil/trap", "evil/other"]), st.integers(0, 99)),
        st.builds(event, st.sampled_from(["web", "other", None]), st.integers(0, 99)),
        st.builds(said, st.integers(0, 99), st.sampled_from(["reddit", "manual"])),
    ),
    max_size=12,
)


@given(
    some_items,
    st.lists(st.sampled_from([SENTRY_WEB, ANY_SENTRY, REDDIT]), max_size=3, unique=True),
    st.lists(st.sampled_from(ALL), max_size=3, unique=True),
    st.randoms(use_true_random=False),
)
def test_the_order_of_items_makes_no_difference_and_only_settings_are_chosen(
    items: list[FeedbackItem], rules: list[RepositoryRule], repositories: list[str], chance: random.Random
) -> None:
    def outcome() -> Choice | tuple[str, ...]:
        try:
            return choose(items, rules=rules, repositories=repositories)
        except AskForRepository as asked:
            return asked.choices

    first = outcome()
    chance.shuffle(items)
    assert outcome() == first
    if isinstance(first, Choice):
        assert first.repository in {*repositories, *(rule.repository for rule in rules)}
