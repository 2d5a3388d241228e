"""Fingerprints, and the vectors of words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soulcaster.domain.clustering.features.lexical import DIMENSIONS, Lexicon, fingerprints, stem
from soulcaster.domain.text.wordless import wordless
from soulcaster.domain.text.words import words

steady = settings(deadline=None)
texts = st.text(st.characters(codec="utf-8"), max_size=60)
sentences = st.lists(st.sampled_from(["card", "late", "Login", "über", "refund", "again", "x"]), max_size=8).map(
    " ".join
)


@steady
@given(texts)
def test_a_fingerprint_is_never_zero_and_fits_64_bits(text: str) -> None:
    assert all(0 < print_ < 2**64 for print_ in fingerprints(text))
    assert fingerprints(text) == fingerprints(text)


@steady
@given(st.lists(st.text("abcÄß", min_size=1, max_size=5), min_size=1, max_size=6), st.sampled_from([" ", "\n", " \t "]))
def test_case_and_white_space_do_not_count(parts: list[str], space: str) -> None:
    plain = fingerprints(" ".join(parts))
    assert fingerprints(f" {space.join(parts)}{space}") == plain
    assert fingerprints(" ".join(parts).upper()) == plain


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("order 17 is late", "order 4711 is late"),
        ("since 09:30, v1.2.3", "since 17:05, v10.0.1"),
        ("at 10.0.0.1", "at 192.168.1.77"),
        ("paid 3,50 euros", "paid 12.000,99 euros"),
        (
            "session 6f1d6a1e-3a52-5d0c-9d2e-0f6f3f2a7c11 ended",
            "session 00000000-0000-4000-8000-00000000000A ended",
        ),
        ("no file /var/log/app.log here", "no file /home/me/x/y.txt here"),
        (r"no file C:\Users\me\x.doc here", r"no file D:\tmp\y here"),
        ("from me@example.org", "from someone.else+tag@mail.example.com"),
        ("see https://example.org/a?b=1", "see http://example.com"),
        ("commit deadbeef01 broke it", "commit 0123456789abcdef broke it"),
        ("fault at 0xDEADBEEF", "fault at 0x0"),
        ("me@example.org opened www.example.org/a/b at 0x1F", "you@example.com opened https://x.org at 0x2"),
        ("see www.example.org", "see www.example.com/x"),
    ],
)
def test_what_varies_is_masked(one: str, other: str) -> None:
    assert fingerprints(one)[0] != fingerprints(other)[0]
    assert fingerprints(one)[1] == fingerprints(other)[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("order 17 is late", "order 17 is lost"),
        ("order 17 is late", "order is late"),
        ("effaced", "defaced"),
        ("the facade", "the decade"),
        ("yes/no", "on/off"),
    ],
)
def test_words_are_not_masked(one: str, other: str) -> None:
    assert fingerprints(one)[1] != fingerprints(other)[1]


@steady
@given(st.text("abc def", max_size=30))
def test_where_nothing_varies_both_are_equal(text: str) -> None:
    exact, masked = fingerprints(text)
    assert exact == masked


@steady
@given(st.text(st.characters(max_codepoint=127)))
def test_plain_ascii_is_read_as_any_other_text(text: str) -> None:
    accented = f"é {text}"
    assert (fingerprints(text)[0] == fingerprints(text)[1]) == (fingerprints(accented)[0] == fingerprints(accented)[1])


def test_masked_is_never_taken_for_exact() -> None:
    # The text that a mask leaves is another's very words.
    assert fingerprints("order 5")[1] not in (*fingerprints("order \0"), *fingerprints("order"))


@steady
@given(st.lists(sentences, min_size=1, max_size=12))
def test_vectors_are_unit_rows_or_zero(given_texts: list[str]) -> None:
    vectors = Lexicon().add(given_texts).vectors
    assert vectors.shape == (len(given_texts), DIMENSIONS)
    lengths = np.linalg.norm(vectors, axis=1)
    for text, length in zip(given_texts, lengths, strict=True):
        # Two words may fall on one place with opposite signs and leave nothing; one alone does not.
        found = set() if wordless(text) else set(words(text))
        lengths_there_may_be = {0: (0,), 1: (1,)}.get(len(found), (0, 1))
        assert min(abs(length - there) for there in lengths_there_may_be) < 1e-5


def test_equal_texts_of_one_call_have_equal_vectors_and_word_order_does_not_count() -> None:
    one, two, three = Lexicon().add(["card is late", "CARD is late", "late card is"]).vectors
    assert one == pytest.approx(two)
    assert one == pytest.approx(three)


def test_a_word_counts_by_its_beginning() -> None:
    assert stem("deliveries") == stem("delivery") == "deliv"
    one, two = Lexicon().add(["deliveries", "delivery"]).vectors
    assert one == pytest.approx(two)


def test_rare_words_weigh_more() -> None:
    lexicon = Lexicon()
    lexicon.add([f"card word{n}" for n in range(30)] + ["unicorn card"])
    card, unicorn, never = lexicon.rarity(["card", "unico", "zebra"])
    assert card == pytest.approx(np.log(32 / 31.5))
    assert unicorn == pytest.approx(np.log(32 / 1.5))
    assert never == pytest.approx(np.log(32 / 0.5))
    mixed, of_unicorns, of_cards = lexicon.add(["unicorn card", "unicorn", "card"]).vectors
    assert mixed @ of_unicorns > 2 * abs(mixed @ of_cards)


def test_a_frequency_counts_texts_not_words() -> None:
    lexicon = Lexicon()
    lexicon.add(["card card card", "card", "late"])
    assert lexicon.seen == 3
    assert lexicon.rarity(["card", "late"]) == pytest.approx([np.log(4 / 2.5), np.log(4 / 1.5)])


@steady
@given(st.lists(st.lists(sentences, max_size=5), max_size=6), st.lists(sentences, min_size=1, max_size=5))
def test_a_lexicon_that_is_loaded_goes_on_as_the_one_that_was_dumped(before: list[list[str]], after: list[str]) -> None:
    known = Lexicon()
    blobs: dict[bytes, bytes] = {}
    for some in before:
        known.add(some)
        blobs.update(known.dump())
    assert dict(known.dump()) == {}
    loaded = Lexicon()
    loaded.load(known.seen, blobs)
    copied = known.copy()
    expected = known.add(after)
    again = loaded.add(after)
    assert np.array_equal(again.vectors, expected.vectors)
    assert again.words == expected.words
    assert dict(loaded.dump()) == dict(known.dump())
    assert np.array_equal(copied.add(after).vectors, expected.vectors)


def test_a_number_tells_much_where_numbers_are_rare_and_little_in_a_stream_of_templates() -> None:
    errors = Lexicon()
    errors.add(["the card is late", "no refund", "login is down", "dark mode please", "map wrong"] * 20)
    one, other = errors.add(["error 404", "error 500"]).vectors
    assert one @ other < 0.7
    templates = Lexicon()
    templates.add([f"{say} {n}" for n in range(100) for say in ("disk almost full", "login refused", "job ended")])
    one, other = templates.add(["disk almost full 404", "disk almost full 500"]).vectors
    assert one @ other > 0.95
