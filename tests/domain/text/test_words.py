import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from soulcaster.domain.text.stop_words import stop_words
from soulcaster.domain.text.words import words

steady = settings(deadline=None)

TYPESET = "\u2019\xb4\u201c\u201d\u201e\u2013\u2014\u2026\xa0\xa3\u20ac"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I didn't see the bank's e-mail, we'll wait", "i didn't see the bank e mail we wait"),
        ("I didn\u2019t, really", "i didn't really"),
        ("l\u2019application n'a pas démarré", "l application n a pas démarré"),
        ("é example.com:80 v3.5 user_id a/b", "é example com 80 v3 5 user_id a b"),
        ("मेरा क्रेडिट कार्ड नहीं चलता", "मेरा क्रेडिट कार्ड नहीं चलता"),
        ("ไม่สามารถชำระเงินด้วยบัตรเครดิตได้", "ไม่ สามารถ ชำระ เงิน ด้วย บัตร เครดิต ได้"),
        ("我的信用卡被拒绝了", "我的 信用卡 被 拒绝 了"),
        ("카드가 거절되었습니다", "카드가 거절되었습니다"),
        ("Карта не проходит", "карта не проходит"),
        ("بطاقتي مرفوضة", "بطاقتي مرفوضة"),
        ("a\ud83d bé", "a bé"),
    ],
)
def test_words_are_whole_in_every_script(text: str, expected: str) -> None:
    assert words(text) == expected.split()


@steady
@given(st.text(st.characters(max_codepoint=127) | st.sampled_from(TYPESET)))
@example("x.don't a'b n't' n't't it's's")
@example("can\u2019t\u2026wait\u2014\xa35.50\u20ac")
def test_plain_english_is_read_as_any_other_text(text: str) -> None:
    assert words(f"é {text}") == ["é", *words(text)]


@steady
@given(st.text())
def test_every_letter_is_in_a_word(text: str) -> None:
    assert bool(words(text)) == any(char.isalnum() or char == "_" for char in text.lower())


def test_stop_words_have_what_is_left_of_contractions() -> None:
    assert {"which", "didn't", "didnt", "didn", "haven"} <= stop_words("en")
    assert not {"order", "page", "open", "help", "t", ""} & stop_words("en")
    assert "nicht" in stop_words("de")
    assert stop_words("eo") == frozenset()
