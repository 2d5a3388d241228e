"""What every source promises, held against each payload under fixtures/ and against whatever JSON there may be."""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soulcaster.domain.sources import SOURCES, Delete, Nothing, SourceChange, Upsert
from soulcaster.wire.feedback import RawFeedback
from tests.support.captured import CAPTURED, FIXTURES, PRIVATE, Captured, as_written

WORDS = [
    "",
    " ",
    "\u200b",
    "[deleted]",
    "created",
    "issues",
    "7",
    "-1",
    "9" * 400,
    "2026-11-16T08:00:00Z",
    "0001-01-01",
]
WORDS += [
    "https://sentry.io/issues/7/",
    "javascript:alert(1)",
    "<div class='md'><p>",
    '<div class="md"><a href="',
    "x" * 600,
]
NUMBERS = [0, -1, 7, 2**63, 10**400, 1e308, -0.5, True, False]

scalars = (
    st.none() | st.sampled_from(NUMBERS) | st.sampled_from(WORDS) | st.integers() | st.floats() | st.text(max_size=20)
)
names = st.sampled_from(
    sorted({"data", "issue", "event", "error", "exception", "values", "id", "title", "kind", "content"})
)
anything = st.recursive(
    scalars,
    lambda part: st.lists(part, max_size=4) | st.dictionaries(names | st.text(max_size=8), part, max_size=5),
    max_leaves=20,
)


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, as keys and indexes."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(path for key, part in inside for path in paths(part, (*here, key)))]


@st.composite
def damaged(draw: st.DrawFn, payload: Any) -> Any:
    """A payload with up to four of its parts gone, or something else in their place."""
    payload = deepcopy(payload)
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(paths(payload)))
        if not path:
            return draw(anything)
        parent = payload
        for step in path[:-1]:
            parent = parent[step]
        if draw(st.booleans()):
            del parent[path[-1]]
        else:
            parent[path[-1]] = draw(anything)
    return payload


def outcomes(source: str, headers: Mapping[str, str], payload: Any) -> Sequence[SourceChange] | str:
    """What a parser makes of a payload, or why it refuses it; anything else that it raises fails the test."""
    try:
        return SOURCES[source].parse(headers, payload)
    except ValueError as error:
        return str(error)


def hold_to_contract(source: str, headers: Mapping[str, str], payload: Any) -> None:
    before = deepcopy(payload)
    got = outcomes(source, headers, payload)
    assert as_text(payload) == as_text(before), "the parser changed its payload"
    assert as_text(outcomes(source, headers, before)) == as_text(got), "the same payload gave something else"
    assert got, "at least one outcome, or a reason why not"
    if isinstance(got, str):
        return
    assert isinstance(got, tuple)
    for outcome in got:
        match outcome:
            case Upsert():
                hold_upsert(source, outcome)
            case Delete(external_id, version):
                assert isinstance(external_id, str)
                assert 0 < len(external_id) <= 512
                in_utc(version)
            case Nothing(reason):
                assert reason.strip()


def hold_upsert(source: str, upsert: Upsert) -> None:
    raw = RawFeedback(project_id="p1", **upsert.fields())
    assert raw.source == upsert.source == source
    assert raw.external_id == upsert.external_id
    for said in (upsert.title, upsert.body, upsert.author):
        assert said is None or said.strip()
    for address in (upsert.url, upsert.github_repo_url):
        assert address is None or address.startswith(("https://", "http://"))
    assert upsert.words in ("own", "sample", "summary")
    assert upsert.occurrence_id is None or upsert.words == "sample", "an occurrence is a sample of its item"
    assert not upsert.metadata.keys() & upsert.volatile.keys()
    assert raw.metadata == {**upsert.metadata, **upsert.volatile}
    for value in raw.metadata.values():
        assert not isinstance(value, bool)
        assert not isinstance(value, int) or 0 <= value < 2**63, "a number that every reader of JSON can hold"
    assert json.loads(json.dumps(raw.metadata)) == raw.metadata
    in_utc(upsert.created_at)
    in_utc(upsert.version)


def in_utc(when: datetime | None) -> None:
    assert when is None or when.utcoffset() == timedelta(0)


def as_text(value: Any) -> str:
    return repr(value)  # nan is not equal to itself, but says the same


def test_every_source_has_fixtures_and_every_fixture_a_source() -> None:
    assert {path.name for path in FIXTURES.iterdir() if path.is_dir()} == set(SOURCES)


@pytest.mark.parametrize("source", SOURCES)
def test_fixtures_of_a_source_show_an_item_and_a_refusal(source: str) -> None:
    of_source = [captured.expected for captured in CAPTURED if captured.source == source]
    assert any("error" in expected for expected in of_source)
    assert any("upsert" in one for expected in of_source if isinstance(expected, list) for one in expected)


@pytest.mark.parametrize("captured", CAPTURED, ids=lambda captured: f"{captured.source}-{captured.name}")
def test_fixture(captured: Captured) -> None:
    assert captured.about
    assert set(captured.headers) <= set(SOURCES[captured.source].headers)
    got = outcomes(captured.source, captured.headers, captured.payload)
    assert ({"error": got} if isinstance(got, str) else as_written(got)) == captured.expected
    hold_to_contract(captured.source, captured.headers, captured.payload)
    assert not [private for private in PRIVATE if private in as_text(got)]


@pytest.mark.parametrize("captured", CAPTURED, ids=lambda captured: f"{captured.source}-{captured.name}")
def test_other_headers_change_nothing(captured: Captured) -> None:
    headers = captured.headers | {"user-agent": "x", "date": "today", "x-issue": "7"}
    assert outcomes(captured.source, headers, captured.payload) == outcomes(
        captured.source, captured.headers, captured.payload
    )


@pytest.mark.parametrize("source", SOURCES)
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_json(source: str, data: st.DataObject) -> None:
    names = st.sampled_from(SOURCES[source].headers) if SOURCES[source].headers else st.nothing()
    headers = data.draw(st.dictionaries(names, st.sampled_from(WORDS) | st.text(max_size=8)))
    hold_to_contract(source, headers, data.draw(anything))


@pytest.mark.parametrize("source", SOURCES)
@given(data=st.data())
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_damaged_fixtures(source: str, data: st.DataObject) -> None:
    captured = data.draw(st.sampled_from([captured for captured in CAPTURED if captured.source == source]))
    hold_to_contract(source, captured.headers, data.draw(damaged(captured.payload)))


@pytest.mark.parametrize("captured", CAPTURED, ids=lambda captured: f"{captured.source}-{captured.name}")
def test_each_part_is_something_else(captured: Captured) -> None:
    deep: Any = []
    for _ in range(10_000):  # deeper than Python can go
        deep = [deep]
    others: list[Any] = [None, [], {}, True, 10**400, "x" * 600, deep]
    for path in paths(captured.payload)[1:]:
        parent = payload = deepcopy(captured.payload)
        for step in path[:-1]:
            parent = parent[step]
        for other in others:
            parent[path[-1]] = other
            got = outcomes(captured.source, captured.headers, payload)
            assert got
            for outcome in got:
                if isinstance(outcome, Upsert):
                    hold_upsert(captured.source, outcome)
