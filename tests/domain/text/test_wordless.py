"""Texts that say nothing in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.feedback.items import compared_item
from soulcaster.domain.text.wordless import wordless
from tests.support.make import item


@pytest.mark.parametrize(
    "same",
    [
        ["🎉", "🎉🎉", "🎉 🎉 🎉", "🎉\ufe0f"],
        ["👋", "👋🏿", "👋🏻👋🏼"],
        ["🖤", "🖤\ufe0f🖤\ufe0f"],
        ["🏴\u200d☠\ufe0f", "🏴\u200d☠\ufe0f🏴\u200d☠\ufe0f"],
        ["🇧🇷", "🇧🇷🇧🇷"],
        ["?", "??", "????"],
        ["8/10", "8 / 10", "8/10!"],
        ["3 Sterne", "3 sterne!!"],
        [":-(", ":-((("],
    ],
)
def test_the_same_is_said_once_or_often(same: list[str]) -> None:
    assert len({wordless(text) for text in same}) == 1
    assert None not in map(wordless, same)


@pytest.mark.parametrize(
    "different",
    [
        ["👏", "🙅", "🇧🇷", "🇵🇹", "🇧🇷🇵🇹"],
        ["!", "?", "。", ":-)", ":-("],
        ["8/10", "1/10", "10/8", "0/10", "-8", "+8", "8"],
        ["★★★★★", "★", "★★★★☆", "⭐"],
        ["5 stars", "1 star", "2 out of 5 stars"],
        ["12 12", "1212", "1️⃣", "2️⃣"],
    ],
)
def test_what_differs_stays_different(different: list[str]) -> None:
    said = [wordless(text) for text in different]
    assert len(set(said)) == len(different)
    assert None not in said


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "慢",
        "差评",
        "👏 nice",
        "error 500",
        "5 stars but it is slow",
        "stars",
        "Да",
        "4 نجوم",
        "." * 500 + "ok",
    ],
)
def test_words_are_words(text: str) -> None:
    assert wordless(text) is None


@given(st.text(st.characters(), max_size=60) | st.text("👏🏿\u200d★1/!. :)", max_size=30))
def test_a_short_form_is_its_own_short_form(text: str) -> None:
    short = wordless(text)
    if short is not None and text.strip():
        assert wordless(short) == short


def test_an_item_is_compared_by_the_short_form_and_shown_as_it_is() -> None:
    made = compared_item(item(title="🎉🎉🎉", body="🎉🎉🎉"))
    assert (made.title, made.text) == ("🎉🎉🎉", "🎉")
    assert compared_item(item(title="Login", body="🎉🎉🎉")).text == "Login\n🎉🎉🎉"
