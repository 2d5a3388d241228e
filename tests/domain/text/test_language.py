import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soulcaster.domain.text.language import foreign_languages, language_of
from soulcaster.domain.text.normalize import clean


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I still have not received my new card", "en"),
        ("I STILL HAVE NOT RECEIVED MY NEW CARD", "en"),
        ("Warum ist meine Karte noch nicht angekommen?", "de"),
        ("L'application se ferme dès que je me connecte", "fr"),
        ("¿Por qué no ha llegado mi tarjeta todavía?", "es"),
        ("ログインするとアプリが落ちます", "ja"),
        ("로그인하면 앱이 종료됩니다", "ko"),
        ("Приложение закрывается при входе в систему", "ru"),
        ("<p>Warum ist meine <b>Karte</b> noch nicht\nangekommen?</p>", "de"),
        ("What do you base your exchange rates on?", "en"),
        ("Mein Freund sagt: to be or not to be, und die App stürzt ab, wenn ich das eingebe", "de"),
        ("", None),
        ("crash", None),
        ("12 345 678 90", None),
    ],
)
def test_languages(text: str, expected: str | None) -> None:
    assert language_of(text) == expected


@settings(deadline=None)
@given(st.text(st.characters(), max_size=60))
def test_any_text_has_a_code_or_none(text: str) -> None:
    code = language_of(clean(text))
    assert code is None or (len(code) == 2 and code.isalpha())


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Geht nicht", "de"),
        ("Öffnet nicht", "de"),
        ("Le mode sombre, s'il vous plaît", "fr"),
        ("Приложение закрывается", "ru"),
        ("로그인 안 돼요", "ko"),
        ("WiFi 总是连不上", "zh"),
    ],
)
def test_a_foreign_text_is_found_without_doubt(text: str, language: str) -> None:
    best, probability = max(foreign_languages(text, frozenset({"en"})), key=lambda likely: likely[1])
    assert best == language
    assert probability > 0.9


def test_another_script_is_no_known_language() -> None:
    probabilities = [probability for _, probability in foreign_languages("WiFi 总是连不上", frozenset({"en"}))]
    assert sum(probabilities) == pytest.approx(1)
    assert "en" not in dict(foreign_languages("我的手机 app crash", frozenset({"en"})))


@pytest.mark.parametrize(
    "text", ["login", "crash", "dark mode", "refund", "great app", "The label says 한국어 instead"]
)
def test_a_short_english_text_is_perhaps_english(text: str) -> None:
    assert sum(probability for _, probability in foreign_languages(text, frozenset({"en"}))) < 0.95


def test_a_known_language_is_not_among_the_foreign_ones() -> None:
    assert not foreign_languages("I still have not received my new card", frozenset({"en"}))
    for text, language in (("Geht nicht", "de"), ("로그인 안 돼요", "ko"), ("Приложение закрывается", "ru")):
        likely = foreign_languages(text, frozenset({"en", language}))
        assert language not in dict(likely)
        assert sum(probability for _, probability in likely) < 0.1


@settings(deadline=None)
@given(st.text(st.characters(), max_size=60))
def test_probabilities_are_at_most_one_together(text: str) -> None:
    likely = foreign_languages(clean(text), frozenset({"en"}))
    assert all(0 <= probability <= 1 for _, probability in likely)
    assert sum(probability for _, probability in likely) <= 1.001
