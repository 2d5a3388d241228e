"""Which project a dead letter belongs to, and that anything on the topic is either read or ignored."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.errors import Conflict
from soulcaster.ports.dead_letters import DeadLetter
from soulcaster.ports.messaging import Record
from soulcaster.services.dead_letters import DeadLetterReplay, dead_letter, project_of, read_dead_letter, replayed
from soulcaster.services.intake import read
from soulcaster.wire.topics import DEAD_LETTERS, MAX_MESSAGE_BYTES, TOPICS
from tests.support.publisher import RecordingPublisher
from tests.support.web import FakeDeadLetters

GOOD = {"project_id": "p1", "source": "reviews", "title": "Late"}

json_values = st.recursive(
    st.none() | st.integers() | st.sampled_from(["p1", "p2", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["project_id", "items", "external_id"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def set_aside(original: Record, index: int | None = None) -> DeadLetter | None:
    sent = dead_letter(original, "because", index=index)
    return read_dead_letter(Record(sent.topic, 3, 4, 1_000, sent.key, sent.value), sent.headers)


def named(value: bytes) -> list[Any]:
    """Return the project that each part of a message names."""
    try:
        message = json.loads(value)
    except ValueError:
        return []
    items = message.get("items") if isinstance(message, dict) else None
    parts = [message, *(items if isinstance(items, list) else ())]
    return [part.get("project_id") for part in parts if isinstance(part, dict)]


@given(
    st.sampled_from([t.name for t in TOPICS]),
    st.sampled_from([None, b"p1", b"p2", b"\xff", b""]),
    json_values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20),
    st.none() | st.integers(0, 3),
)
def test_whatever_is_set_aside_is_read_back_and_can_be_sent_again(
    topic: str, key: bytes | None, value: bytes, index: int | None
) -> None:
    original = Record(topic, 1, -1, 3, key, value)
    letter = set_aside(original, index)
    assert letter is not None
    assert (letter.id, letter.original, letter.index, letter.size) == ("3-4", original, index, len(value))
    message = replayed(letter)
    assert (message.topic, message.key) == (topic, key)
    if letter.project_id == "p1":
        assert "p2" not in named(value)
        assert project_of(Record(topic, 1, -1, 3, key, message.value)) == "p1"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["topic", "partition", "offset", "timestamp", "reason", "index"]),
            st.none() | st.binary(max_size=3) | st.integers().map(lambda n: str(n).encode()),
        )
    ),
    st.integers(-(2**63), 2**63 - 1),
)
def test_headers_of_somebody_elses_make_no_letter_and_no_error(
    headers: list[tuple[str, bytes | None]], timestamp_ms: int
) -> None:
    whole = dead_letter(Record("feedback.raw", 0, 0, 1, None, b""), "because").headers
    for all_of_them in (headers, [*whole, *headers]):
        read_dead_letter(Record(DEAD_LETTERS.name, 0, 0, timestamp_ms, None, None), all_of_them)


@pytest.mark.parametrize("index", [None, 0, 3])
def test_an_item_that_was_refused_becomes_the_item_it_would_have_been(index: int | None) -> None:
    envelope: Any = GOOD if index is None else {"items": [{}] * index + [GOOD]}
    [then], _, _ = read(Record("feedback.raw", 5, 17, 99, b"k", json.dumps(envelope).encode()))
    letter = set_aside(Record("feedback.raw", 5, 17, 99, b"k", json.dumps(GOOD).encode()), index)
    assert letter is not None
    [late], _, _ = read(Record("feedback.raw", 0, 1, 2, b"k", replayed(letter).value))
    assert (late.item.id, late.item.external_id) == (then.item.id, then.item.external_id)


@pytest.mark.parametrize("key", [None, b"k", b"k" * 10**6])
@pytest.mark.parametrize("more", [0, 1, 20 * 1024 * 1024])
def test_a_letter_is_never_larger_than_its_topic_takes(key: bytes | None, more: int) -> None:
    value = b"x" * (MAX_MESSAGE_BYTES + more)
    letter = dead_letter(Record("feedback.raw", 2, 7, 1, key, value), "\U0001f642" * 10_000, index=3)
    headers = dict(letter.headers)
    told = sum(len(name) + len(text) + 20 for name, text in headers.items())
    size = len(letter.key or b"") + len(letter.value) + told
    assert size < DEAD_LETTERS.max_bytes - 10_000
    if more:
        assert value.startswith(letter.value)
        assert headers["size"] == str(len(value)).encode()
        assert headers["sha256"] == hashlib.sha256(value).hexdigest().encode()
    else:
        assert letter.value == value


async def test_what_was_cut_is_told_with_its_size_and_is_not_sent_again() -> None:
    letters, publisher = FakeDeadLetters(), RecordingPublisher()
    for topic in ("feedback.raw", "feedback.items"):
        letters.put(Record(topic, 2, 7, 1, b"p1", b"x" * 5_000_000))
    raw, items = letters.letters
    assert (raw.size, raw.project_id, items.project_id) == (5_000_000, None, "p1")
    with pytest.raises(Conflict, match=r"5,000,000 bytes. feedback.items\[2\]@7"):
        await DeadLetterReplay(letters, publisher).find("p1", items.id)
    assert publisher.sent == []


def test_a_header_says_whose_a_letter_is_and_one_without_it_is_read() -> None:
    """So a letter of another project is passed over without reading what it holds."""
    sent = dead_letter(Record("feedback.raw", 1, 2, 3, b"key", json.dumps(GOOD).encode()), "because")
    assert dict(sent.headers)["project"] == b"p1"
    other = Record(sent.topic, 3, 4, 1_000, sent.key, json.dumps({**GOOD, "project_id": "p2"}).encode())
    told = read_dead_letter(other, sent.headers)
    read_by_value = read_dead_letter(other, [one for one in sent.headers if one[0] != "project"])
    assert told is not None
    assert read_by_value is not None
    assert (told.project_id, read_by_value.project_id) == ("p1", "p2")
