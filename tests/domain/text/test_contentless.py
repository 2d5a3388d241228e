"""Texts that say nothing in words."""

import pytest

from soulcaster.domain.text.contentless import contentless
from soulcaster.domain.text.wordless import wordless


@pytest.mark.parametrize(
    "text",
    [
        "It still does not work.",
        "same here!",
        "Any news?",
        "No, it didn't help",
        "Geht leider immer noch nicht",
        "Toujours le même problème",
        "Sigue sin funcionar",
        "Non funziona ancora",
        "Não funciona, mesmo problema",
        "Werkt nog steeds niet",
        "Fungerar fortfarande inte",
        "Nadal nie działa",
        "Всё ещё не работает",
        "Hala çalışmıyor",
    ],
)
def test_it_says_nothing_and_its_form_is_its_own(text: str) -> None:
    form = contentless(text)
    assert form is not None
    assert contentless(form) == form
    assert wordless(text) == form


@pytest.mark.parametrize(
    "text",
    [
        "Login does not work",
        "The export still fails here",
        "Paying again does not help",
        "Drucken geht immer noch nicht",
        "La recherche ne marche pas",
        "Вход не работает",
        "who are you",
        "what is it",
        "",
    ],
)
def test_it_says_what(text: str) -> None:
    assert contentless(text) is None


def test_the_same_words_have_the_same_form() -> None:
    assert contentless("Still not working!!") == contentless("still  not working")
    assert contentless("Still not working") != contentless("Not working")
