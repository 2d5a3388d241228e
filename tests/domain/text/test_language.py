import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.text.language import language_of
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


@given(st.text(st.characters(), max_size=60))
def test_any_text_has_a_code_or_none(text: str) -> None:
    code = language_of(clean(text))
    assert code is None or (len(code) == 2 and code.isalpha())
