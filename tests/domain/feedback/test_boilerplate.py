"""What many items share word for word is left out of what is compared."""

import re
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from soulcaster.domain.feedback.boilerplate import FEWEST, FEWEST_OF_END, SETS, WAYS, Boilerplate, _segments
from soulcaster.domain.feedback.dedupe import Seen
from soulcaster.domain.feedback.items import ComparedItem
from soulcaster.domain.feedback.versions import MARK_BYTES
from soulcaster.domain.segments import Segments
from tests.support.make import compared_item, item

MACRO = (
    "Good day, and thank you for choosing Kettle House. Please descale the kettle and leave it open for an hour."
    " If it stays cold, write down the number below it and call our workshop.\nKettle House, Mill Lane 9, 4021 Linz"
)
SAID = [
    "The lid does not close.",
    "My parcel went to a neighbour.",
    "It switches itself off.",
    "I was charged twice!",
    "The handle gets hot.",
    "When is the red one back?",
    "No sound when it boils.",
    "The voucher is refused.",
    "It leaks below.",
    "I want to send it back.",
    "The light is broken.",
    "Delivery is late.",
]


def compared(texts: Sequence[str], source: str = "mail", known: Boilerplate | None = None) -> list[str]:
    items = [compared_item(n, text=text, source=source) for n, text in enumerate(texts)]
    return [one.text for one in (known or Boilerplate()).without(items, [True] * len(items))]


def test_an_end_that_several_items_share_goes() -> None:
    found = compared([f"{said}\n\n{MACRO}" for said in SAID])
    assert found[FEWEST_OF_END - 1 :] == SAID[FEWEST_OF_END - 1 :]
    assert found[0].endswith(MACRO)


def test_an_end_on_the_same_line_goes() -> None:
    assert compared([f"{said} {MACRO}" for said in SAID])[5:] == SAID[5:]


def test_an_end_goes_though_few_items_of_many_have_it() -> None:
    many = [f"Shelf {n} of the shop has the wrong colour {n * 7}." for n in range(100)]
    texts = [text for said, ten in zip(SAID, range(0, 100, 8), strict=False) for text in (*many[ten : ten + 8], said)]
    found = compared([f"{text}\n{MACRO}" if text in SAID else text for text in texts])
    assert found[-1] == SAID[-1]


def test_a_common_line_in_the_middle_goes() -> None:
    asked = "Which colour is it, and where did you buy it?"
    found = compared([f"{said}\n{asked}\n{SAID[-n]}" for n, said in enumerate(SAID)])
    assert asked in found[FEWEST - 2]
    assert not any(asked in text for text in found[FEWEST - 1 :])


def test_another_source_has_its_own_boilerplate() -> None:
    known = Boilerplate()
    compared([f"{said}\n\n{MACRO}" for said in SAID], "mail", known)
    assert compared([f"{SAID[0]}\n\n{MACRO}"], "survey", known) == [f"{SAID[0]}\n\n{MACRO}"]


def test_a_problem_in_the_same_words_is_no_boilerplate() -> None:
    complaint = "The kettle stays cold."
    for texts in (
        [complaint] * 40,
        [f"{complaint}\n{said}" for said in SAID],
        [f"Hello,\n{complaint}\n{said}" for said in SAID],
        [text for said in SAID for text in (complaint, f"{said}\n{complaint}")],
    ):
        assert compared(texts) == texts


def test_an_error_in_the_same_words_is_no_boilerplate() -> None:
    for printed in (
        "FATAL EXCEPTION: main java.lang.IllegalStateException: heater not ready",
        "heaterService.start() returned without a result and the display stayed dark for the whole time",
        "Acme\\Kernel->handle index.php",
        "Acme.Web.Kettle.show/2 kettle.ex",
        "Error: the heater does not answer, please try again later or ask the shop that has sold the kettle",
    ):
        texts = [f"{said}\n{printed}" for said in SAID]
        assert compared(texts) == texts


def test_what_is_cited_is_no_boilerplate() -> None:
    words = "The water tank cannot be found. Put it back and press the left button twice, then wait until it beeps."
    texts = [f"{said}\nIt shows this:\n{words}" for said in SAID[: FEWEST - 1]]
    assert compared(texts) == texts


def test_an_item_that_is_nothing_else_stays_whole() -> None:
    known = Boilerplate()
    compared([f"{said}\n\n{MACRO}" for said in SAID], known=known)
    assert compared([MACRO], known=known) == [MACRO]


def test_versions_of_an_item_do_not_count() -> None:
    known = Boilerplate()
    versions = [compared_item("one", text=f"{said}\n\n{MACRO}") for said in SAID]
    found = known.without(versions, [True, *[False] * (len(versions) - 1)])
    assert [one.text for one in found] == [one.text for one in versions]


texts = st.lists(st.sampled_from([*SAID, *MACRO.split(". "), "Hello,", "", "-"]), max_size=5).map("\n".join)


@settings(max_examples=60, deadline=None)
@given(st.lists(texts, max_size=60), st.lists(st.integers(1, 9), min_size=60, max_size=60))
def test_batches_and_restarts_change_nothing(given_texts: list[str], sizes: list[int]) -> None:
    items = [compared_item(n, text=text) for n, text in enumerate(given_texts)]
    whole = Boilerplate().without(items, [True] * len(items))
    blobs: dict[bytes, bytes] = {}
    parts: list[ComparedItem] = []
    for size in sizes:
        part = items[len(parts) : len(parts) + size]
        known = Boilerplate(blobs)
        parts += known.without(part, [True] * len(part))
        blobs |= known.take_changes()
    assert parts == whole[: len(parts)]


def test_it_takes_bounded_room() -> None:
    known = Boilerplate()
    for n in range(3_000):
        compared([f"{SAID[n % 12]} {n}\nword{chr(97 + n % 26)}{'x' * (n // 26)} is here.\nIt is."], known=known)
    assert sum(map(len, known.take_changes().values())) < SETS * WAYS * 24 + 100


def test_it_is_stored_with_what_was_seen() -> None:
    rows: dict[str, bytes] = {}

    def arrive(numbers: range) -> list[str]:
        seen = Seen(Segments(MARK_BYTES, rows))
        judged = seen.judge([item(n, title=SAID[n], body=f"{SAID[n]}\n\n{MACRO}") for n in numbers])
        found = [one.text for one in seen.compared(judged, None)]
        for change in seen.remember(judged):
            if change.value is None:
                rows.pop(change.key, None)
            else:
                rows[change.key] = change.value
        return found

    arrive(range(FEWEST_OF_END - 1))
    assert arrive(range(FEWEST_OF_END - 1, 6)) == SAID[FEWEST_OF_END - 1 : 6]


PLAIN_ENDS = re.compile(r"(?<![.!?])[.!?]+\s+|[\u3002\uff01\uff1f]+\s*|\n+")


@given(st.text("a1.!? \n\t\u3002\uff01", max_size=14))
def test_the_quick_pattern_parts_a_text_where_the_plain_one_does(text: str) -> None:
    ends = [0, *(end.end() for end in PLAIN_ENDS.finditer(text)), len(text)]
    parts = [text[begin:end] for begin, end in pairwise(ends) if begin < end]
    assert [one.text for one in _segments(compared_item("x", text=text))] == parts
