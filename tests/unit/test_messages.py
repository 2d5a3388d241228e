"""The wire: what is written is read, what is newer is read as far as it is known, what is strange is refused."""

import base64
import itertools
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from soulcaster.domain.events import ClusterChanged, ClusterEvent, ItemAssigned
from soulcaster.domain.feedback import BRIEF_CHARS, Brief
from soulcaster.messages import (
    ClusterCommand,
    ClusterEvents,
    EmbeddedEnvelope,
    EmbedderId,
    FixCommand,
    ItemsEnvelope,
    JobEvent,
    Message,
    ProjectDefined,
    RawEnvelope,
    RawFeedback,
    embedded_envelopes,
    event_envelopes,
    pack_vectors,
    split_by_bytes,
)
from soulcaster.topics import ENVELOPE_BYTES
from tests.unit.make import NOW, brief, item, step, uid

EMBEDDER = EmbedderId(name="m", version="1", dimensions=3)
EVENTS: tuple[ClusterEvent, ...] = (
    ItemAssigned(uid(1), NOW, uid("c"), "opened", -1.0, 0.75),
    ItemAssigned(uid(2), NOW, uid("c"), "joined", 0.9, 0.75, uid("d"), 0.5),
    ClusterChanged(uid("c"), "Title", "Summary", 2, ("github", "manual"), NOW, NOW + timedelta(hours=1)),
)
MESSAGES: list[Message] = [
    RawEnvelope(items=(RawFeedback(project_id="p1", source="manual", body="b", metadata={"a": [1, None]}),)),
    ItemsEnvelope(project_id="p1", items=(item("1"), item("2", author="a", url="u", metadata={"n": 1.5}))),
    EmbeddedEnvelope(
        project_id="p1",
        embedder=EMBEDDER,
        items=(brief(1), brief(2)),
        vectors=pack_vectors(np.eye(2, 3, dtype=np.float32)),
    ),
    ClusterEvents(project_id="p1", events=EVENTS),
    ClusterCommand(id="c1", type="start_fix", project_id="p1", cluster_id="c", requested_by="owner", requested_at=NOW),
    FixCommand(job_id="j", project_id="p1", cluster_id="c", cluster_title="T", requested_by="owner", requested_at=NOW),
    JobEvent(job_id="j", project_id="p1", cluster_id="c", seq=3, status="running", at=NOW, log="l", pr_url="u"),
    ProjectDefined(id="p1", name="Demo", created_at=NOW),
]
every_message = pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)


@every_message
def test_what_is_written_is_read(message: Message) -> None:
    assert type(message).model_validate_json(message.to_bytes()) == message
    assert json.loads(message.to_bytes())["schema_version"] == 1


@every_message
def test_fields_of_a_newer_minor_version_are_passed_over(message: Message) -> None:
    def newer(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: newer(part) for key, part in value.items()} | {"added_later": {"x": 1}}
        return [newer(part) for part in value] if isinstance(value, list) else value

    sent = newer(json.loads(message.to_bytes()))
    got = type(message).model_validate_json(json.dumps(sent))
    if not isinstance(message, ItemsEnvelope | RawEnvelope):  # metadata is anyone's: a field added to it is data
        assert got == message


@every_message
@pytest.mark.parametrize("version", [0, 2, "2", None, [1]])
def test_an_unknown_version_is_refused(message: Message, version: Any) -> None:
    sent = json.loads(message.to_bytes()) | {"schema_version": version}
    with pytest.raises(ValidationError, match="schema_version"):
        type(message).model_validate_json(json.dumps(sent))


@every_message
def test_without_a_version_it_is_the_first(message: Message) -> None:
    sent = json.loads(message.to_bytes())
    del sent["schema_version"]
    assert type(message).model_validate_json(json.dumps(sent)) == message


@every_message
@pytest.mark.parametrize("value", [b"", b"null", b"[]", b"{}", b"\xff", b'{"schema_version":1}'])
def test_what_is_no_message_is_refused(message: Message, value: bytes) -> None:
    with pytest.raises(ValidationError):
        type(message).model_validate_json(value)


def test_messages_of_the_domain() -> None:
    command = MESSAGES[4]
    assert isinstance(command, ClusterCommand)
    assert (command.start_fix().id, command.start_fix().cluster_id) == ("c1", "c")
    fix = MESSAGES[5]
    assert isinstance(fix, FixCommand)
    assert (fix.fix().job_id, fix.fix().cluster_title, fix.fix().requested_at) == ("j", "T", NOW)
    one = step(4, "failed", log="l", error="boom")
    event = JobEvent(
        job_id=one.job_id,
        project_id=one.project_id,
        cluster_id=one.cluster_id,
        seq=4,
        status="failed",
        at=one.at,
        log="l",
        error="boom",
    )
    assert event.step() == one


@given(
    st.lists(st.lists(st.floats(-1, 1, width=16), min_size=3, max_size=3), max_size=20),
)
def test_vectors_travel_as_halves(rows: list[list[float]]) -> None:
    matrix = np.array(rows, np.float32).reshape(len(rows), 3)
    sent = EmbeddedEnvelope(
        project_id="p1",
        embedder=EMBEDDER,
        items=tuple(brief(n) for n in range(len(rows))),
        vectors=pack_vectors(matrix),
    )
    got = EmbeddedEnvelope.model_validate_json(sent.to_bytes()).matrix()
    assert got.dtype == np.float32
    assert np.array_equal(got, matrix)


def test_a_half_is_near_enough_and_little_endian() -> None:
    vectors = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    items = tuple(brief(n) for n in range(50))
    sent = EmbeddedEnvelope(project_id="p1", embedder=EMBEDDER, items=items, vectors=pack_vectors(vectors))
    assert np.abs(sent.matrix() - vectors).max() < 2**-11
    assert base64.b64decode(pack_vectors(np.ones((1, 1), np.float32))) == b"\x00\x3c"


@pytest.mark.parametrize(
    "vectors",
    ["", "AAAA", pack_vectors(np.ones((3, 3), np.float32)), "not base64!"],
)
def test_vectors_that_do_not_fit_are_refused(vectors: str) -> None:
    with pytest.raises(ValidationError):
        EmbeddedEnvelope(project_id="p1", embedder=EMBEDDER, items=(brief(1), brief(2)), vectors=vectors)
    with pytest.raises(ValidationError, match="dimensions"):
        EmbedderId(name="m", version="1", dimensions=0)


@pytest.mark.parametrize(
    ("count", "chars", "text"),
    [(2_000, 40, "x"), (300, BRIEF_CHARS, "🙂"), (300, BRIEF_CHARS, '"'), (2_000, 0, "🙂")],
)
def test_embedded_envelopes_stay_small_and_keep_rows_together(count: int, chars: int, text: str) -> None:
    items = [Brief(uid(n), "manual", text * 500, text * chars, NOW) for n in range(count)]
    wide = EmbedderId(name="m", version="1", dimensions=256)
    vectors = np.repeat(np.arange(count, dtype=np.float32)[:, None], 256, axis=1)
    envelopes = list(embedded_envelopes("p1", wide, items, vectors))
    assert len(envelopes) > 1
    assert max(map(len, envelopes)) <= ENVELOPE_BYTES
    read = [EmbeddedEnvelope.model_validate_json(e) for e in envelopes]
    assert [i for e in read for i in e.items] == items
    assert np.array_equal(np.concatenate([e.matrix() for e in read]), vectors)
    assert all(e.embedder == wide and e.project_id == "p1" for e in read)


def test_event_envelopes_stay_small_and_in_order() -> None:
    long = ClusterChanged(uid("c"), "🙂" * 500, "🙂" * 280, 9, tuple(f"{n:040}" for n in range(200)), NOW, NOW)
    events: list[ClusterEvent] = [*EVENTS * 100, *[long] * 300]
    envelopes = list(event_envelopes("p1", events))
    assert len(envelopes) > 1
    assert max(map(len, envelopes)) <= ENVELOPE_BYTES
    assert [e for v in envelopes for e in ClusterEvents.model_validate_json(v).events] == events
    assert list(event_envelopes("p1", [])) == []


@settings(max_examples=200)
@given(st.lists(st.integers(0, 30), max_size=30), st.integers(1, 60))
def test_splitting(sizes: list[int], limit: int) -> None:
    runs = list(split_by_bytes([(n, size) for n, size in enumerate(sizes)], limit))
    assert [n for run in runs for n in run] == list(range(len(sizes)))
    assert all(runs)
    for run in runs:
        assert sum(sizes[n] for n in run) <= limit or len(run) == 1
    for run, following in itertools.pairwise(runs):
        assert sum(sizes[n] for n in run) + sizes[following[0]] > limit


@pytest.mark.parametrize("project", ["", "a b", "a|b", "a/b", "x" * 65, "p\n", "é", "jobs", "all"])
def test_project_ids_that_cannot_be(project: str) -> None:
    with pytest.raises(ValidationError):
        ProjectDefined(id=project, name="Demo", created_at=NOW)
    assert ProjectDefined(id="A-z_09", name=" Demo ", created_at=NOW).name == "Demo"


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_project_names_that_cannot_be(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        ProjectDefined(id="p1", name=name, created_at=NOW)


@example(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))))
@example(datetime(9999, 12, 31, 23, 59, tzinfo=timezone(-timedelta(hours=14))))
@given(st.datetimes(timezones=st.integers(-23 * 60, 23 * 60).map(lambda m: timezone(timedelta(minutes=m)))))
def test_a_time_that_is_taken_can_be_worked_with(at: datetime) -> None:
    try:
        defined = ProjectDefined(id="p1", name="Demo", created_at=at)
    except ValidationError:
        with pytest.raises(OverflowError):
            at.astimezone(UTC)
    else:
        assert defined.created_at == at.astimezone(UTC)
        assert ProjectDefined.model_validate_json(defined.to_bytes()) == defined
