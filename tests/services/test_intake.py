"""The border: whatever the bytes are, each item in them is accepted or refused with a reason, and none is lost."""

import codecs
import json
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soulcaster.domain.ids import item_id
from soulcaster.domain.text.normalize import CUT
from soulcaster.ports.messaging import Record
from soulcaster.services.intake import (
    ALONE,
    AUTHOR_CHARS,
    METADATA_CHARS,
    Accepted,
    Refusal,
    masked,
    read,
)
from soulcaster.services.item_watch import ITEM_SECONDS, TooSlow
from soulcaster.wire.feedback import MAX_ITEM_BYTES, ItemsEnvelope, items_envelopes
from soulcaster.wire.fields import MAX_DEPTH
from soulcaster.wire.topics import ENVELOPE_BYTES, MAX_MESSAGE_BYTES
from tests.support.item_watch import watch_of

AT_MS = 1_796_000_000_123
GOOD: dict[str, Any] = {"project_id": "p1", "source": "github", "external_id": "7", "title": "Late", "body": "Card."}


def record(value: Any, *, offset: int = 5, partition: int = 3, at_ms: int = AT_MS) -> Record:
    data = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    return Record("feedback.raw", partition, offset, at_ms, None, data)


def one(value: Any) -> Accepted:
    accepted, refused, _ = read(record(value))
    assert refused == []
    [single] = accepted
    return single


def refusal(value: Any) -> Refusal:
    accepted, refused, _ = read(record(value))
    assert accepted == []
    [single] = refused
    assert single.reason
    return single


def travel(accepted: list[Accepted]) -> None:
    """The next agent reads an accepted item exactly as it is here."""
    for project in {a.item.project_id for a in accepted}:
        mine = [a for a in accepted if a.item.project_id == project]
        envelopes = list(items_envelopes(project, [a.json for a in mine]))
        back = [item for e in envelopes for item in ItemsEnvelope.model_validate_json(e).items]
        assert back == [a.item for a in mine]


text = st.text(st.characters(), max_size=30)  # surrogates too: json.dumps escapes them


def values(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | st.integers() | numbers | text | st.sampled_from([10**40, -(10**400), 1e300]),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=10,
    )


anything = values(st.floats())  # NaN and infinity too: json.dumps writes them, though JSON has none
json_values = values(st.floats(allow_nan=False, allow_infinity=False))
likely = st.fixed_dictionaries(
    {"project_id": st.sampled_from(["p1", "p2"]) | text, "source": st.sampled_from(["github", "Reddit"]) | text},
    optional={
        "title": text,
        "body": text | json_values,
        "external_id": text | st.integers(),
        "created_at": st.datetimes().map(str)
        | st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat())
        | st.integers()
        | st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01", ""]),
        "author": text | json_values,
        "url": text,
        "github_repo_url": text,
        "metadata": st.dictionaries(text, json_values, max_size=4) | json_values,
        "unknown": json_values,
        "items": st.lists(st.fixed_dictionaries({"sku": text}), max_size=2) | json_values,
        "vendor": text | json_values,
        "headers": st.just({}) | json_values,
        "payload": json_values,
        "schema_version": st.sampled_from([1, 2, 0, "1", True, None, 1.0]),
    },
)
envelope = st.fixed_dictionaries(
    {"items": st.lists(likely | anything | st.just(GOOD), max_size=8) | anything},
    optional={"schema_version": st.sampled_from([1, 2, "1"]), "project_id": text},
)


@settings(deadline=None, max_examples=300)
@given(st.none() | st.binary(max_size=200) | anything | likely | envelope)
def test_nothing_raises_and_nothing_is_dropped(value: Any) -> None:
    accepted, refused, _ = read(record(value))
    assert all(r.reason and isinstance(r.value, bytes) for r in refused)
    travel(accepted)
    places = [r.index for r in refused]
    if len(accepted) + len(refused) == 1:
        assert places in ([], [None], [0])
    else:
        assert len(accepted) + len(refused) == len(value["items"]) > 1
        assert places == sorted({p for p in places if p is not None and 0 <= p < len(value["items"])})
    for a in accepted:
        said = {"project_id": "p", "source": "s", "title": a.item.title, "body": a.item.body, "author": a.item.author}
        normal = one(said).item
        assert (normal.title, normal.body, normal.author) == (a.item.title, a.item.body, a.item.author)
    again, _, _ = read(record(value, at_ms=AT_MS))
    assert again == accepted  # read again after a crash: the same items, ids and all
    for a in accepted:
        assert UUID(a.item.id).version == 5
        assert a.item.title
        assert a.item.body
        assert a.item.id == item_id(a.item.project_id, a.item.source, a.item.external_id)
        assert a.item.created_at.astimezone(UTC)


@settings(deadline=None, max_examples=100)
@given(st.lists(likely | json_values, max_size=6), st.data())
def test_good_items_between_bad_ones_survive(others: list[Any], data: st.DataObject) -> None:
    parts = list(others)
    good = [GOOD | {"external_id": f"good {n}"} for n in range(3)]
    for g in good:
        parts.insert(data.draw(st.integers(0, len(parts))), g)
    accepted, refused, _ = read(record({"items": parts}))
    assert len(accepted) + len(refused) == len(parts)
    assert {g["external_id"] for g in good} <= {a.item.external_id for a in accepted}
    travel(accepted)


BAD: list[Any] = [0, "", None, [], {}, {"project_id": "p1"}, {"project_id": "p1", "source": "x"}]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("more", [0, 1, 5_000])
def test_many_refused_items_are_set_aside_at_once_and_good_ones_go_on(bad: Any, more: int) -> None:
    goods = [GOOD | {"external_id": f"good {n}"} for n in range(3)]
    envelope = record({"items": [goods[0], *[bad] * ALONE, goods[1], *[bad] * more, goods[2]]})
    accepted, refused, _ = read(envelope)
    assert [a.item.external_id for a in accepted] == ["good 0", "good 1", "good 2"]
    if more:
        [whole] = refused
        assert (whole.value, whole.index) == (envelope.value, None)
        assert whole.reason.startswith(f"{ALONE + more:,} of {ALONE + more + 3:,} items are refused; the first, 1: ")
    else:
        assert [(json.loads(r.value), r.index) for r in refused] == [
            (bad, n) for n in range(1, ALONE + 3) if n != ALONE + 1
        ][: len(refused)]
        assert len(refused) == ALONE


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.binary(max_size=9) | json_values.map(lambda v: json.dumps(v).encode()) | st.just(b"1e15"), max_size=60)
)
def test_what_is_set_aside_is_never_more_than_what_came(entries: list[bytes]) -> None:
    value = b'{"items":[' + b",".join(entries) + b"]}"
    refused = read(record(value)).refused
    assert sum(len(one.value) for one in refused) <= len(value)
    assert len(refused) <= ALONE


def test_a_delivery_with_very_many_headers_is_refused_with_a_short_reason() -> None:
    headers = {str(n): n for n in range(100_000)}
    assert len(refusal({"project_id": "p1", "vendor": "github", "payload": {}, "headers": headers}).reason) < 200


def test_an_item_as_it_is_documented() -> None:
    given = GOOD | {
        "created_at": "2026-11-20T10:00:00+02:00",
        "author": "someone",
        "url": "https://example.org/7",
        "github_repo_url": "https://github.com/a/b",
        "metadata": {"stars": 3, "deep": {"a": [1, None, True]}},
    }
    item = one(given).item
    assert (item.project_id, item.source, item.external_id) == ("p1", "github", "7")
    assert (item.title, item.body, item.author) == ("Late", "Card.", "someone")
    assert item.created_at.isoformat() == "2026-11-20T08:00:00+00:00"
    assert item.received_at == datetime(2026, 11, 30, 0, 53, 20, 123000, tzinfo=UTC)
    assert item.metadata == given["metadata"]
    assert (item.url, item.github_repo_url) == ("https://example.org/7", "https://github.com/a/b")
    assert item.id == item_id("p1", "github", "7")


def test_personal_data_are_masked() -> None:
    given = GOOD | {"title": None, "body": "Write to kim@example.com", "author": "kim@example.com"}
    given |= {"metadata": {"ip": "83.12.4.17"}, "url": "https://example.com/7"}
    item = masked(one(given)).item
    assert (item.title, item.body, item.author) == ("Write to [email]", "Write to [email]", "[email]")
    assert (item.metadata, item.url) == ({"ip": "[ip]"}, "https://example.com/7")
    travel([masked(one(given))])
    assert one(given).item.body == "Write to kim@example.com"


def test_an_item_is_as_large_as_it_was_given() -> None:
    """Otherwise an agent, which knows the project's settings, would refuse what the web server accepted."""
    addresses = "a@b.cc " * ((MAX_ITEM_BYTES - 1000) // 7)
    assert "bytes" in refusal(GOOD | {"body": addresses * 2}).reason
    assert len(masked(one(GOOD | {"body": addresses})).json) > MAX_ITEM_BYTES


def test_the_language_is_told() -> None:
    assert one(GOOD | {"body": "Warum ist meine Karte noch nicht angekommen?"}).item.language == "de"
    assert one(GOOD).item.language is None


def test_without_a_time_that_of_receipt() -> None:
    item = one(GOOD).item
    assert item.created_at == item.received_at == datetime.fromtimestamp(AT_MS / 1000, UTC)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-11-20 10:00", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T10:00:00", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T10:00:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T10:00:00.5-05:00", datetime(2026, 11, 20, 15, 0, 0, 500000, tzinfo=UTC)),
        (1_700_000_000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
    ],
)
def test_times(given: str | int, expected: datetime) -> None:
    assert one(GOOD | {"created_at": given}).item.created_at == expected


@pytest.mark.parametrize("given", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "soon", 1e300, True])
def test_times_that_cannot_be(given: Any) -> None:
    assert "created_at" in refusal(GOOD | {"created_at": given}).reason


def test_without_an_id_each_place_is_an_item_of_its_own() -> None:
    words = {"project_id": "p1", "source": "manual", "body": "The same words"}
    ids = {one(words).item.id}
    for other in (record(words, offset=6), record(words, partition=2), record(words, at_ms=AT_MS + 1)):
        [single], _, _ = read(other)
        ids.add(single.item.id)
    accepted, _, _ = read(record({"items": [words, words, words]}))
    ids |= {a.item.id for a in accepted}
    assert len(ids) == 6  # a single one and the first of an envelope stand at the same place of their topic
    assert one(words) == one(words)


def test_the_same_id_is_the_same_item_wherever_it_comes() -> None:
    [a], _, _ = read(record(GOOD, offset=1))
    [b], _, _ = read(record(GOOD | {"body": "changed"}, offset=2, at_ms=AT_MS + 5))
    assert a.item.id == b.item.id
    assert one(GOOD | {"source": "GitHub"}).item.id == a.item.id
    assert one(GOOD | {"project_id": "p2"}).item.id != a.item.id
    assert one(GOOD | {"source": "manual"}).item.id != a.item.id


@pytest.mark.parametrize(
    "own",
    [
        {"items": []},
        {"items": [{"sku": "A1", "title": "Blue shirt"}, 3]},
        {"items": {"count": 2}},
        {"vendor": "Acme"},
        {"vendor": "github", "payload": {"action": "opened"}},
        {"headers": {}, "payload": "x"},
    ],
)
def test_what_has_words_of_its_own_is_an_item_whatever_other_fields_it_has(own: dict[str, Any]) -> None:
    for words in ({"body": "Two things are missing"}, {"title": "Two things are missing", "body": None}):
        assert one(GOOD | own | words).item.body == "Two things are missing"


def test_a_byte_order_mark_is_skipped() -> None:
    accepted, refused, _ = read(record(codecs.BOM_UTF8 + json.dumps(GOOD).encode()))
    assert (len(accepted), refused) == (1, [])


def test_an_envelope_of_several_projects() -> None:
    parts = [
        GOOD,
        GOOD | {"project_id": "p2"},
        {"project_id": "p3"},
        7,
        GOOD | {"project_id": "p4", "external_id": "8"},
    ]
    accepted, refused, _ = read(record({"schema_version": 1, "items": parts}))
    assert [(a.item.project_id, a.item.external_id) for a in accepted] == [("p1", "7"), ("p2", "7"), ("p4", "8")]
    assert [(r.index, json.loads(r.value)) for r in refused] == [(2, {"project_id": "p3"}), (3, 7)]
    assert "source" in refused[0].reason
    travel(accepted)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"hello", "not JSON"),
        (b"\x00\xff\xfe", "not JSON"),
        (b'{"a": 1', "not JSON"),
        (b"[]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (json.dumps(GOOD | {"schema_version": 2}).encode(), "schema_version 2"),
        (json.dumps(GOOD | {"schema_version": True}).encode(), "schema_version True"),
        (json.dumps({"schema_version": "1", "items": [GOOD]}).encode(), "schema_version '1'"),
        (json.dumps({"items": GOOD}).encode(), "items is not a list"),
        (json.dumps({"items": []}).encode(), "items is empty"),
        (json.dumps(GOOD | {"items": [GOOD]}).encode(), "send one of the two"),
        (json.dumps(GOOD | {"vendor": "github", "headers": {}, "payload": {}}).encode(), "send one of the two"),
        (json.dumps({"project_id": "p1", "vendor": "github", "payload": {}}).encode(), "headers"),
        (b'{"project_id":"p1","source":"x","body":"b","metadata":{"a":NaN}}', "not JSON"),
        (b'{"project_id":"p1","source":"x","body":"b","metadata":{"a":-Infinity}}', "not JSON"),
        (b'{"project_id":"p1","source":"x","body":"\\ud800","metadata":{"a":NaN}}', "not JSON"),
        (b'{"project_id":"p1","source":"x","body":"b","metadata":{"a":1e999}}', "finite"),
        (json.dumps(GOOD | {"body": "", "title": None}).encode(), "title or a body"),
        (json.dumps(GOOD | {"body": "\x00\u200b", "title": " "}).encode(), "no text"),
        (json.dumps(GOOD | {"project_id": "a b"}).encode(), "project_id"),
        (json.dumps(GOOD | {"project_id": "x|y"}).encode(), "project_id"),
        (json.dumps(GOOD | {"project_id": "p1\n"}).encode(), "project_id"),
        (json.dumps(GOOD | {"project_id": "jobs"}).encode(), "choose another"),
        (json.dumps(GOOD | {"source": ""}).encode(), "source"),
        (json.dumps(GOOD | {"source": "\u200b"}).encode(), "source"),
        (json.dumps(GOOD | {"source": 3}).encode(), "source"),
        (json.dumps(GOOD | {"source": "x" * 101}).encode(), "source"),
        (json.dumps(GOOD | {"source": "App Store", "external_id": "x" * 503}).encode(), "502 characters"),
        (json.dumps(GOOD | {"external_id": ""}).encode(), "external_id"),
        (json.dumps(GOOD | {"external_id": "x" * 513}).encode(), "external_id"),
        (json.dumps(GOOD | {"metadata": [1]}).encode(), "metadata"),
    ],
)
def test_refused_as_a_whole(value: bytes | None, reason: str) -> None:
    refused = refusal(value)
    assert reason in refused.reason
    assert (refused.value, refused.index) == (value or b"", None)


@pytest.mark.parametrize(
    "text", ["\u200b", "\u200e\u200f", "\ufe0f", "\u2800 \u3164", "\x1b[31m", "\u202e\n\x00", "\U000e0041"]
)
def test_what_nobody_sees_alone_is_no_item(text: str) -> None:
    assert "nothing that can be read" in refusal(GOOD | {"title": text, "body": text}).reason


def test_every_text_of_an_item_is_cleaned() -> None:
    hostile = "a\x1b[31mb\x9b2J\u202ec\r\nd"
    names = ("title", "body", "author", "url", "github_repo_url")
    item = one(GOOD | dict.fromkeys(names, hostile) | {"metadata": {hostile: [hostile, {"n": 1}]}}).item
    assert (item.title, item.body) == ("abc", "abc\nd")
    assert {item.author, item.url, item.github_repo_url} == {"abc d"}
    assert item.metadata == {"abc\nd": ["abc\nd", {"n": 1}]}


@pytest.mark.parametrize("source", ["App Store", "../x", "应用商店", "a" * 41, "-x", "x y"])
def test_a_source_of_another_form_is_kept_as_generic(source: str) -> None:
    item = one(GOOD | {"source": source, "metadata": {"stars": 1}}).item
    assert (item.source, item.metadata) == ("generic", {"source": source, "stars": 1})
    assert item.id == item_id("p1", "generic", item.external_id)
    assert one(GOOD | {"source": source.upper()}).item.id == item.id


def test_two_sources_of_another_form_do_not_share_their_ids() -> None:
    assert one(GOOD | {"source": "App Store"}).item.id != one(GOOD | {"source": "Play Store"}).item.id
    assert one(GOOD | {"source": "App Store"}).item.id != one(GOOD | {"source": "generic"}).item.id


def test_what_metadata_says_of_the_source_stays() -> None:
    assert one(GOOD | {"source": "App Store", "metadata": {"source": 3}}).item.metadata == {"source": 3}


def test_a_source_is_cleaned_before_its_form_is_looked_at() -> None:
    assert one(GOOD | {"source": " GitHub\u200b "}).item == one(GOOD).item


@pytest.mark.parametrize(
    "depth", [*range(1, 12), *range(60, 70), *range(190, 260), 300, 480, 500, 990, 1000, 5000, 10**5]
)
def test_any_depth_is_accepted_and_travels_or_is_refused(depth: int) -> None:
    deep = b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}" if depth > 1 else b'{"a":1}'
    part = b'{"project_id":"p1","source":"x","external_id":"d","body":"b","metadata":' + deep + b"}"
    good = json.dumps(GOOD).encode()
    for value in (part, b'{"items":[' + good + b"," + part + b"," + good + b"]}"):
        accepted, refused, _ = read(record(value))
        travel(accepted)
        if depth <= MAX_DEPTH:
            assert refused == []
        else:
            assert [a.item.external_id for a in accepted] in ([], ["7", "7"])
            assert len(refused) == 1


@pytest.mark.parametrize("digits", [1, 18, 19, 20, 40, 4000, 4300, 4301, 100_000])
def test_integers_of_any_length(digits: int) -> None:
    number = b"9" * digits
    for value in (
        b'{"project_id":"p1","source":"x","body":"b","metadata":{"a":%s}}' % number,
        b'{"items":[{"project_id":"p1","source":"x","body":"b","metadata":{"a":%s}},{"a":%s}]}' % (number, number),
        b'{"project_id":"p1","source":"x","body":"\\ud800","metadata":{"a":%s}}' % number,
        b'{"schema_version":%s}' % number,
        b'{"project_id":"p1","source":"x","body":"b","created_at":%s}' % number,
    ):
        accepted, refused, _ = read(record(value))
        assert accepted or refused
        travel(accepted)


def test_half_an_emoji_is_mended_wherever_it_is() -> None:
    broken = json.dumps(
        GOOD | {"body": "cut \ud83d", "author": "\ude42", "metadata": {"\ud800": ["\udfff", {"x": "ok"}]}}
    )
    item = one(broken.encode()).item
    assert (item.body, item.author) == ("cut \ufffd", "\ufffd")
    assert item.metadata == {"\ufffd": ["\ufffd", {"x": "ok"}]}
    assert one(json.dumps(GOOD | {"body": "whole \U0001f642"}).encode()).item.body == "whole 🙂"


def test_an_item_may_be_large_but_not_too_large() -> None:
    assert one(GOOD | {"body": "x" * (MAX_ITEM_BYTES - 2_000)}).item.body
    large = refusal(GOOD | {"body": "x" * 2 * 1024 * 1024})
    assert re.search(r"2,097,\d\d\d bytes.*262,144", large.reason)
    # It is the bytes that count, and metadata count too.
    assert "bytes" in refusal(GOOD | {"body": "🙂" * (MAX_ITEM_BYTES // 4)}).reason
    assert "bytes" in refusal(GOOD | {"metadata": {"a": ["x" * 20_000] * 14}}).reason
    accepted, refused, _ = read(record({"items": [GOOD, GOOD | {"body": "x" * 2 * 1024 * 1024}, GOOD]}))
    assert (len(accepted), [r.index for r in refused]) == (2, [1])


def test_a_message_that_was_larger_than_its_topic_takes_is_refused_before_it_is_read() -> None:
    whole = json.dumps(GOOD).encode()
    most = whole + b" " * (MAX_MESSAGE_BYTES - len(whole))
    assert one(most).item == one(GOOD).item
    assert "4,194,305 bytes" in refusal(most + b" ").reason


@pytest.mark.parametrize(
    "filling", ["🙂" * 900_000, [1] * 1_800_000, [1e15] * 170_000, "\x01" * 600_000, "\u2028" * 10**6]
)
def test_a_dead_letter_is_no_larger_than_the_message(filling: Any) -> None:
    value = json.dumps({"items": [{"a": filling}]}, ensure_ascii=False, separators=(",", ":")).encode()
    assert len(value) < MAX_MESSAGE_BYTES
    [refused] = read(record(value))[1]
    assert len(refused.value) <= len(value)


def test_numbers_that_grow_when_they_are_written_out_make_no_larger_letter() -> None:
    value = b'{"items":[{"a":[' + b",".join([b"1e15"] * 700_000) + b"]}]}"
    [refused] = read(record(value))[1]
    assert len(refused.value) <= len(value) < MAX_MESSAGE_BYTES


def test_envelopes_of_items_stay_small() -> None:
    accepted, _, _ = read(record({"items": [GOOD | {"external_id": str(n), "body": "x" * 5_000} for n in range(300)]}))
    envelopes = list(items_envelopes("p1", [a.json for a in accepted]))
    assert len(envelopes) == 4
    assert all(len(e) <= ENVELOPE_BYTES for e in envelopes)
    travel(accepted)


def test_an_item_that_takes_too_long_is_refused_and_the_others_are_not() -> None:
    envelope = record({"schema_version": 1, "items": [GOOD, {**GOOD, "external_id": "8"}]})
    accepted, refused, _ = read(envelope, watch_of(1, 1.1, 2, 2.1 + ITEM_SECONDS))
    assert [one.item.external_id for one in accepted] == ["7"]
    [slow] = refused
    assert slow.index == 1
    assert "CPU time" in slow.reason


def test_a_delivery_that_takes_too_long_is_refused() -> None:
    payload = {"action": "opened", "issue": {"id": 1, "number": 2, "title": "Late", "body": "Card."}}
    delivery = {"schema_version": 1, "project_id": "p1", "vendor": "github", "headers": {"x-github-event": "issues"}}
    value = record({**delivery, "payload": payload})
    assert read(value, watch_of(1, 1.1)).refused == []
    accepted, [slow], _ = read(value, watch_of(1, 1.1 + ITEM_SECONDS))
    assert accepted == []
    assert slow.index is None


def test_masking_takes_no_longer_than_an_item_may() -> None:
    assert masked(one(GOOD), watch_of(1, 1 + ITEM_SECONDS)) == one(GOOD)
    with pytest.raises(TooSlow):
        masked(one(GOOD), watch_of(1, 1.1 + ITEM_SECONDS))


def test_a_long_author_and_long_texts_of_metadata_are_cut() -> None:
    given = GOOD | {"author": "a" * 100_000, "metadata": {"log": ["b" * 100_000, 3], "short": "c"}}
    item = one(given).item
    assert item.author == "a" * (AUTHOR_CHARS - 1) + CUT
    assert item.metadata == {"log": ["b" * (METADATA_CHARS - 1) + CUT, 3], "short": "c"}
