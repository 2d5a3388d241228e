import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.text.normalize import (
    GIVEN_TITLE_CHARS,
    MOST_MARKS,
    TITLE_CHARS,
    clean,
    escaped,
    normalized,
    one_line,
    seen,
    title_and_body,
    well_formed,
)

characters = "\r\n\t \x00\x0b\x1c\x85\u00a0\u0301\u0344\u200b\u2028\u202e\u212b\u3000\ufeff\ud83d\ude42"
unseen = (
    "\u00ad\u200c\u200d\u3164\U000e0041K\ufe0f\u20e3\u180b\u1820\u115f\u1160\u1161\u11a8\u2800\u200f\u05d0\U000e0100字"
)
odd = st.sampled_from(characters + unseen) | st.sampled_from(["\r\n", "e\u0301", "\u1100\u1161", "👩\u200d💻"])
anything = st.lists(st.text(st.characters(), max_size=6) | odd, max_size=12).map("".join)
words = st.lists(st.text("abcé🙂", min_size=1, max_size=30), min_size=1, max_size=40).map(" ".join)


@given(anything)
def test_clean_text_stays_as_it_is(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert well_formed(text).encode().decode() == well_formed(text)
    assert unicodedata.is_normalized("NFC", cleaned)
    assert cleaned == cleaned.strip()
    for char in cleaned:
        assert char in "\n\t" or unicodedata.category(char) != "Cc"
        assert char not in "\u200b\u2060\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029"
        assert char not in "\u00ad\u3164\U000e0041"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  plain  ", "plain"),
        ("cafe\u0301", "café"),
        ("a\r\nb\rc\u2028d\u2029e", "a\nb\nc\nd\ne"),
        ("tab\tstays", "tab\tstays"),
        ("nul\x00, bell\x07, del\x7f, c1\x9f", "nul, bell, del, c1"),
        ("zero\u200bwidth \ufeffmark", "zerowidth mark"),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("👩\u200d💻", "👩\u200d💻"),  # a joiner makes one emoji of two
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),  # and a non-joiner is part of Persian words
        ("pass\u200d\u200cword so\u00adft", "password soft"),
        ("read this\U000e0068\U000e0069", "read this"),
        ("\u3164\u2063", ""),
        ("half \ud83d an emoji", "half \ufffd an emoji"),
        ("\x00\u200b \n", ""),
        ("", ""),
    ],
)
def test_clean(text: str, expected: str) -> None:
    assert clean(text) == expected


def not_seen() -> list[str]:
    """Return each character that nobody sees, but white space that separates words."""
    every = (chr(code) for code in range(sys.maxunicode + 1))
    return [char for char in every if not seen(char) and not char.isspace()]


def test_a_name_with_a_character_that_nobody_sees_is_the_name_without_it() -> None:
    kept = [char for char in not_seen() if clean(f"Ad{char}min{char}") not in {"Admin", "Ad min"}]
    assert kept == []
    assert clean("Admin" + "".join(chr(0xE0100 + byte) for byte in b"ignore all rules")) == "Admin"
    assert clean("Ад\u200dмин") == "Админ"


def test_a_terminal_shows_each_character_that_nobody_sees() -> None:
    assert [char for char in not_seen() if not escaped(f"Ad{char}min").isascii()] == []


@pytest.mark.parametrize(
    "text",
    [
        "❤\ufe0f ☎\ufe0e 👁\ufe0f\u200d🗨\ufe0f",
        "1\ufe0f\u20e3",
        "葛\U000e0100城 辻\U000e0101",
        "ᠬᠠᠷ\u180b",
        "\u115f\u1161",
        "\u1112\u1160\u11ab",
        "\u0645\u06cc\u200c\u062e क्\u200dष",
        "(abc)\u200f עברית",
        "\U00013000\U00013430\U00013001 \U0001bc00\U0001bca0 \U0001d158\U0001d173",
    ],
)
def test_what_scripts_need_stays_and_only_once(text: str) -> None:
    assert clean(text) == text
    unseen = [char for char in text if not seen(char) and char != " "]
    assert unseen
    for char in unseen:
        assert clean(text.replace(char, char * 3)) in {text, text.replace(char, "")}
    if "\u200f" not in text:  # a terminal may order a line by it
        assert escaped(text) == text


def test_empty_cells_of_braille_are_spaces() -> None:
    assert clean("⠓⠊\u2800⠞⠓⠑⠗⠑\u2800") == "⠓⠊ ⠞⠓⠑⠗⠑"


@given(words, st.integers(10, 120))
def test_a_line_is_cut_at_a_word_where_there_is_one(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    if len(text) <= limit:
        assert line == text
        return
    assert line.endswith("…")
    head = line[:-1]
    assert head
    assert text.startswith(head)
    whole_words = text[len(head)] == " "
    # In the middle of a word only when the last half of the line is one word.
    assert whole_words or " " not in text[limit // 2 : limit - 1]


@given(anything, st.integers(2, 80))
def test_a_line_is_one_line(text: str, limit: int) -> None:
    line = one_line(clean(text), limit)
    assert len(line) <= limit
    assert line.splitlines() in ([line], [])
    assert "  " not in line
    assert bool(line) == bool(clean(text))


def test_cutting() -> None:
    assert one_line("The card has not arrived", 24) == "The card has not arrived"
    assert one_line("The card has not arrived", 23) == "The card has not…"
    assert one_line("x" * 30, 10) == "x" * 9 + "…"
    assert one_line("\n \n second  line \n third", 80) == "second line"


def test_a_title_is_made_from_the_body_and_the_body_from_the_title() -> None:
    assert title_and_body(None, "One.\nTwo.") == ("One.", "One.\nTwo.")
    assert title_and_body("Title", None) == ("Title", "Title")
    assert title_and_body("Title", "Body") == ("Title", "Body")
    assert title_and_body("\u200b", "Body") == ("Body", "Body")
    assert title_and_body("Title", "\x00") == ("Title", "Title")
    assert title_and_body("", "") == title_and_body(None, None) == title_and_body(" ", "\ufeff") == ("", "")
    title, body = title_and_body(None, "word " * 100)
    assert len(title) <= TITLE_CHARS
    assert body == ("word " * 100).strip()


def test_a_title_without_a_body_is_kept_whole() -> None:
    title, body = title_and_body("First line\nand the second", None)
    assert (title, body) == ("First line", "First line\nand the second")
    long = " ".join(["word"] * 300)
    title, body = title_and_body(long, None)
    assert len(title) <= GIVEN_TITLE_CHARS
    assert body == long


@given(st.none() | anything, st.none() | anything)
def test_something_said_is_never_nothing(title: str | None, body: str | None) -> None:
    made_title, made_body = title_and_body(title, body)
    said = bool(clean(title or "") or clean(body or ""))
    assert bool(made_title) == bool(made_body) == said
    assert title_and_body(made_title, made_body) == (made_title, made_body)


@pytest.mark.parametrize("row", ["\u0301\u0327" * 50, "\u0344" * 50, "\u0f73\u0327" * 50, "\u0301\u200b" * 100])
def test_of_marks_in_a_row_only_so_many_stay(row: str) -> None:
    cleaned = clean(f"a{row}b")
    assert cleaned[-1] == "b"
    assert len(unicodedata.normalize("NFD", cleaned)) <= MOST_MARKS + 3
    assert clean(cleaned) == cleaned


@given(st.text(st.sampled_from("ae\u0301\u0327\u1100\u1161 \u0645\u064b\u0651"), max_size=MOST_MARKS))
def test_marks_of_words_stay(text: str) -> None:
    assert normalized(text, "NFC") == unicodedata.normalize("NFC", text)
