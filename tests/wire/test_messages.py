"""The wire: what is written is read, what is newer is read as far as it is known, what is strange is refused."""

import base64
import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from soulcaster.domain.commands import (
    MAX_IDS,
    ApproveFix,
    Cleanup,
    Command,
    CommandKind,
    Configure,
    Merge,
    Move,
    Mute,
    NotePullRequest,
    Pin,
    Rebalance,
    Rename,
    Reopen,
    Reset,
    Resolve,
    RoundFinished,
    Split,
    StartFix,
    Undo,
)
from soulcaster.domain.events import (
    ClusterChanged,
    ClusterEvent,
    ClusteringConfigured,
    ClusteringStatus,
    ClusterMerged,
    ClusterPullRequest,
    ClusterRegressed,
    ClusterReopened,
    ClusterRestored,
    ClusterSplit,
    CommandDone,
    ItemAssigned,
    ItemRemoved,
    Proposal,
    ProposalsChanged,
)
from soulcaster.domain.feedback.items import COMPARED_CHARS, ComparedItem, Deleted
from soulcaster.domain.fixes.document import Document, content_id
from soulcaster.domain.fixes.fix import FixOptions
from soulcaster.domain.fixes.limits import FixLimits
from soulcaster.domain.fixes.outcome import FixOutcome, TestSummary
from soulcaster.domain.fixes.plan import PlannedFix, new_plan
from soulcaster.domain.splitting import split_by_bytes
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.cluster_events import MAX_PROPOSALS, ClusterEvents, event_envelopes
from soulcaster.wire.control import (
    ControlMessage,
    KeyDefined,
    ProjectConfigured,
    ProjectDefined,
    RepositorySynced,
    SourceKicked,
    SourceReported,
    WebhookSecretDefined,
    control_message,
)
from soulcaster.wire.documents import MAX_DOCUMENT_CHARS, JobDocument
from soulcaster.wire.embedded import EmbeddedEnvelope, EmbedderId, embedded_envelopes, pack_vectors
from soulcaster.wire.feedback import ItemsEnvelope, RawEnvelope, RawFeedback
from soulcaster.wire.fields import NO_NAME
from soulcaster.wire.jobs import FixCommand, JobEvent
from soulcaster.wire.message import Message
from soulcaster.wire.project_config import ProjectConfig, RedditConfig, SourcesConfig
from soulcaster.wire.topics import ENVELOPE_BYTES
from tests.support.make import NOW, compared_item, item, step, uid

EMBEDDER = EmbedderId(name="m", version="1", dimensions=3)
EVENTS: tuple[ClusterEvent, ...] = (
    ItemAssigned(uid(1), NOW, uid("c"), change="opened", score=-1.0, threshold=0.75),
    ItemAssigned(
        uid(2), NOW, uid("c"), change="joined", score=0.9, threshold=0.75, runner_up_id=uid("d"), runner_up_score=0.5
    ),
    ItemAssigned(
        uid(3),
        NOW,
        uid("c"),
        change="moved",
        score=0.9,
        threshold=0.75,
        runner_up_id=None,
        runner_up_score=None,
        rule="person",
        calibration=4,
        round=7,
        embedder="static@1",
        reason="somebody moved it here",
    ),
    ClusterChanged(uid("c"), "Title", "Summary", 2, ("github", "manual"), NOW, NOW + timedelta(hours=1)),
    ClusterChanged(uid("d"), "T", "S", 2, (), NOW, NOW, ("late", "card"), 0.5, "person", True, uid("c"), "muted"),
    ItemRemoved(uid(1), uid("c"), NOW, "k1"),
    ItemRemoved(uid(2), None, NOW),
    ClusterReopened(uid("c"), "it came back", NOW),
    ClusterRegressed(uid("c"), "it came back", NOW),
    ClusterPullRequest(uid("c"), "merged", "o/n#1 is merged", "https://github.com/o/n/pull/1", NOW, "k3"),
    ClusterMerged(uid("d"), uid("c"), "consolidation", "they say the same", 7),
    ClusterSplit(uid("e"), uid("c"), "person", "asked for", 7, NOW, "k1"),
    ClusterRestored(uid("d"), "the merge was undone", NOW, "k2"),
    CommandDone("k1", "refused", "it is pinned", NOW, "split", (uid("c"),)),
    ProposalsChanged((Proposal(uid("p"), "merge", (uid("c"), uid("d")), 0.8, "near each other"),)),
    ClusteringStatus("idle", 7, "nothing to do", NOW, 0.5, 100, 90, 8, 0.01, 0.62, 4),
    ClusteringConfigured(0.5, "finer", NOW, "k1"),
)
ASKED: dict[str, Any] = {"id": "k1", "requested_by": "owner", "requested_at": NOW}
COMMANDS: dict[CommandKind, tuple[dict[str, Any], Command | RoundFinished]] = {
    "start_fix": (
        {"cluster_id": "c", "options": FixOptions("ecs"), "limits": FixLimits(1, 2, 3.0), "approved": False},
        StartFix(**ASKED, cluster_id="c", options=FixOptions("ecs"), limits=FixLimits(1, 2, 3.0), approved=False),
    ),
    "approve_fix": ({"job_id": "j", "stop_at": "branch"}, ApproveFix(**ASKED, job_id="j", stop_at="branch")),
    "merge": ({"cluster_id": "c", "cluster_ids": ("d", "e")}, Merge(**ASKED, cluster_id="c", cluster_ids=("d", "e"))),
    "split": (
        {"cluster_id": "c", "item_ids": ("i",), "title": " Grüße "},
        Split(**ASKED, cluster_id="c", item_ids=("i",), title="Grüße"),
    ),
    "move": ({"cluster_id": "c", "item_ids": ("i", "j")}, Move(**ASKED, item_ids=("i", "j"), cluster_id="c")),
    "rename": ({"cluster_id": "c", "title": "T"}, Rename(**ASKED, cluster_id="c", title="T")),
    "pin": ({"cluster_id": "c", "pinned": False}, Pin(**ASKED, cluster_id="c", pinned=False)),
    "mute": ({"cluster_id": "c"}, Mute(**ASKED, cluster_id="c")),
    "resolve": ({"cluster_id": "c"}, Resolve(**ASKED, cluster_id="c")),
    "reopen": ({"cluster_id": "c"}, Reopen(**ASKED, cluster_id="c")),
    "note_pull_request": (
        {
            "cluster_id": "c",
            "pull_request": "o/n#1",
            "pr_url": "https://github.com/o/n/pull/1",
            "news": "merged",
            "happened_at": NOW,
            "resolves": True,
        },
        NotePullRequest(
            **ASKED,
            cluster_id="c",
            pull_request="o/n#1",
            pr_url="https://github.com/o/n/pull/1",
            news="merged",
            happened_at=NOW,
            resolves=True,
        ),
    ),
    "undo": ({"command_id": "k0"}, Undo(**ASKED, command_id="k0")),
    "rebalance": ({}, Rebalance(**ASKED)),
    "cleanup": ({"proposal_ids": ("p",)}, Cleanup(**ASKED, proposal_ids=("p",))),
    "reset": ({}, Reset(**ASKED)),
    "configure": (
        {"threshold": 0.5, "granularity": "finer"},
        Configure(**ASKED, threshold=0.5, granularity="finer"),
    ),
    "round_finished": ({}, RoundFinished(**ASKED)),
}
OUTCOME = FixOutcome(
    ("a.py",), 3, 1, TestSummary("failed", 9, 1), TestSummary("passed", 11), shows_bug=True, tokens_in=7
)

MESSAGES: list[Message] = [
    RawEnvelope(items=(RawFeedback(project_id="p1", source="manual", body="b", metadata={"a": [1, None]}),)),
    ItemsEnvelope(project_id="p1", items=(item("1"), item("2", author="a", url="u", metadata={"n": 1.5}))),
    ItemsEnvelope(project_id="p1", items=(), deleted=(Deleted(uid(1), NOW, "k1"), Deleted(uid(2), NOW))),
    EmbeddedEnvelope(
        project_id="p1",
        embedder=EMBEDDER,
        items=(compared_item(1), compared_item(2)),
        vectors=pack_vectors(np.eye(2, 3, dtype=np.float32)),
    ),
    ClusterEvents(project_id="p1", events=EVENTS),
    *(ClusterCommand(type=kind, project_id="p1", **ASKED, **fields) for kind, (fields, _) in COMMANDS.items()),
    FixCommand(job_id="j", project_id="p1", cluster_id="c", cluster_title="T", requested_by="owner", requested_at=NOW),
    JobDocument.of(Document(content_id("Grüße\n"), "p1", "c", "brief", "Grüße\n", NOW, ("i1", "i2"))),
    JobEvent(job_id="j", project_id="p1", cluster_id="c", seq=3, status="running", at=NOW, log="l", pr_url="u"),
    JobEvent.of(replace(step(1, "success"), pr_state="merged", outcome=OUTCOME)),
    ProjectDefined(id="p1", name="Demo", created_at=NOW),
    KeyDefined(id="k1", project_id="p1", name="CI", hash="a" * 64, scopes=("read",), created_at=NOW, created_by="me"),
    ProjectConfigured(
        project_id="p1",
        version=3,
        config=ProjectConfig(repositories=("a/b",), sources=SourcesConfig(reddit=RedditConfig(subreddits=("one",)))),
        updated_at=NOW,
        updated_by="me",
    ),
    WebhookSecretDefined(
        id="w1", project_id="p1", source="sentry", sealed="gAAA", last4="abcd", created_at=NOW, created_by="me"
    ),
    SourceReported(
        project_id="p1",
        source="reddit",
        cursor={"one/new": ["t3_a", 1.5]},
        status="failing",
        reported_at=NOW,
        last_error="429",
    ),
    SourceKicked(project_id="p1", source="reddit", kicked_at=NOW),
    RepositorySynced(
        project_id="p1",
        repository="acme/shop",
        connected_at=NOW,
        since=NOW,
        whole=True,
        etag='W/"1"',
        status="blocked",
        reported_at=NOW,
        synced_at=NOW,
        last_error="no such repository",
        last_error_at=NOW,
    ),
]
every_message = pytest.mark.parametrize(
    "message", MESSAGES, ids=lambda m: f"{type(m).__name__} {getattr(m, 'type', '')}".strip()
)


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
    # Metadata and cursors are anyone's: a field added to them is data.
    if not isinstance(message, ItemsEnvelope | RawEnvelope | SourceReported):
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


@pytest.mark.parametrize("message", [m for m in MESSAGES if isinstance(m, get_args(ControlMessage))], ids=repr)
def test_control_tells_its_messages_apart(message: Message) -> None:
    assert control_message(message.to_bytes()) == message


@pytest.mark.parametrize("cursor", [{"x": "y" * 16_384}, {"x": float("inf")}, {"x": "é" * 8_192}, [], None])
def test_a_cursor_is_a_small_document(cursor: Any) -> None:
    SourceReported(project_id="p1", source="reddit", cursor={"x": "y" * 16_000}, status="ok", reported_at=NOW)
    with pytest.raises(ValidationError, match="cursor"):
        SourceReported(project_id="p1", source="reddit", cursor=cursor, status="ok", reported_at=NOW)


def test_messages_of_the_domain() -> None:
    [fix] = [message for message in MESSAGES if isinstance(message, FixCommand)]
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
    known_by_what_it_says = event.step().id
    assert event.step() == replace(one, id=known_by_what_it_says)
    assert event.model_copy(update={"at": NOW + timedelta(days=1)}).step().id == known_by_what_it_says
    assert event.model_copy(update={"log": "other"}).step().id != known_by_what_it_says
    assert event.model_copy(update={"id": "own"}).step().id == "own"


@pytest.mark.parametrize(
    "wrong",
    [
        {"document_id": content_id("Grüße")},
        {"text": "Grüße"},
        {"text": "x" * (MAX_DOCUMENT_CHARS + 1)},
        {"kind": "letter"},
        {"document_id": ""},
        {"cluster_id": None},
    ],
)
def test_a_brief_whose_id_does_not_match_its_text_is_refused(wrong: dict[str, Any]) -> None:
    document = Document(content_id("Grüße\n"), "p1", "c", "brief", "Grüße\n", NOW, ("i1",))
    sent = json.loads(JobDocument.of(document).to_bytes())
    assert JobDocument.model_validate(sent).document() == document
    with pytest.raises(ValidationError):
        JobDocument.model_validate(sent | wrong)


OPTIONAL = {"title", "threshold", "options", "limits", "approved", "stop_at"}


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_command_is_the_domains_and_says_no_more_than_it_has(kind: CommandKind) -> None:
    fields, expected = COMMANDS[kind]
    sent = ClusterCommand(type=kind, project_id="p1", **ASKED, **fields)
    assert sent.command == expected
    assert set(json.loads(sent.to_bytes())) == {"schema_version", "type", "project_id", *ASKED, *fields}
    for name in set(fields) - OPTIONAL:
        with pytest.raises(ValidationError, match=f"{kind} needs {name}"):
            ClusterCommand(type=kind, project_id="p1", **ASKED, **{k: v for k, v in fields.items() if k != name})


def test_what_a_command_may_leave_out() -> None:
    def command(kind: CommandKind, **fields: Any) -> Command | RoundFinished:
        return ClusterCommand(type=kind, project_id="p1", **ASKED, **fields).command

    assert command("rename", cluster_id="c") == Rename(**ASKED, cluster_id="c", title=None)
    assert command("split", cluster_id="c", item_ids=("i",)) == Split(**ASKED, cluster_id="c", item_ids=("i",))
    assert command("configure", granularity="auto") == Configure(**ASKED, granularity="auto")


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("merge", "cluster_ids", ()),
        ("merge", "cluster_ids", ("",)),
        ("merge", "cluster_ids", ("x" * 65,)),
        ("split", "item_ids", tuple(map(str, range(MAX_IDS + 1)))),
        ("rename", "title", " "),
        ("rename", "title", "x" * 201),
        ("configure", "threshold", 1.1),
        ("configure", "threshold", -0.1),
        ("configure", "threshold", float("nan")),
        ("configure", "granularity", "coarse"),
        ("pin", "cluster_id", ""),
        ("undo", "command_id", "x" * 65),
        ("reset", "id", ""),
        ("reset", "type", "explode"),
        ("reset", "requested_by", "x" * 201),
    ],
)
def test_commands_that_cannot_be(kind: CommandKind, name: str, value: Any) -> None:
    given = {"type": kind, "project_id": "p1", **ASKED, **COMMANDS[kind][0]}
    ClusterCommand(**given)
    with pytest.raises(ValidationError, match=name):
        ClusterCommand(**given | {name: value})


@given(
    st.lists(st.lists(st.floats(-1, 1, width=16), min_size=3, max_size=3), max_size=20),
)
def test_vectors_travel_as_halves(rows: list[list[float]]) -> None:
    matrix = np.array(rows, np.float32).reshape(len(rows), 3)
    sent = EmbeddedEnvelope(
        project_id="p1",
        embedder=EMBEDDER,
        items=tuple(compared_item(n) for n in range(len(rows))),
        vectors=pack_vectors(matrix),
    )
    got = EmbeddedEnvelope.model_validate_json(sent.to_bytes()).matrix()
    assert got.dtype == np.float32
    assert np.array_equal(got, matrix)


def test_a_half_is_near_enough_and_little_endian() -> None:
    vectors = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    items = tuple(compared_item(n) for n in range(50))
    sent = EmbeddedEnvelope(project_id="p1", embedder=EMBEDDER, items=items, vectors=pack_vectors(vectors))
    assert np.abs(sent.matrix() - vectors).max() < 2**-11
    assert base64.b64decode(pack_vectors(np.ones((1, 1), np.float32))) == b"\x00\x3c"


@pytest.mark.parametrize(
    "vectors",
    ["", "AAAA", pack_vectors(np.ones((3, 3), np.float32)), "not base64!"],
)
def test_vectors_that_do_not_fit_are_refused(vectors: str) -> None:
    with pytest.raises(ValidationError):
        EmbeddedEnvelope(
            project_id="p1", embedder=EMBEDDER, items=(compared_item(1), compared_item(2)), vectors=vectors
        )
    with pytest.raises(ValidationError, match="dimensions"):
        EmbedderId(name="m", version="1", dimensions=0)


@pytest.mark.parametrize(
    ("count", "chars", "text"),
    [(2_000, 40, "x"), (300, COMPARED_CHARS, "🙂"), (300, COMPARED_CHARS, '"'), (2_000, 0, "🙂")],
)
def test_embedded_envelopes_stay_small_and_keep_rows_together(count: int, chars: int, text: str) -> None:
    items = [ComparedItem(uid(n), "manual", text * 500, text * chars, NOW) for n in range(count)]
    wide = EmbedderId(name="m", version="1", dimensions=256)
    vectors = np.repeat(np.arange(count, dtype=np.float32)[:, None], 256, axis=1)
    envelopes = list(embedded_envelopes("p1", wide, items, vectors))
    assert len(envelopes) > 1
    assert max(map(len, envelopes)) <= ENVELOPE_BYTES
    read = [EmbeddedEnvelope.model_validate_json(e) for e in envelopes]
    assert [i for e in read for i in e.items] == items
    assert np.array_equal(np.concatenate([e.matrix() for e in read]), vectors)
    assert all(e.embedder == wide and e.project_id == "p1" for e in read)


def test_tombstones_come_after_the_items_in_envelopes_of_their_own() -> None:
    gone = [Deleted(uid(n), NOW, "k" * 64) for n in range(3_000)]
    vectors = np.eye(2, 3, dtype=np.float32)
    envelopes = list(embedded_envelopes("p1", EMBEDDER, [compared_item(1), compared_item(2)], vectors, gone))
    assert max(map(len, envelopes)) <= ENVELOPE_BYTES
    first, *read = [EmbeddedEnvelope.model_validate_json(e) for e in envelopes]
    assert (len(first.items), first.deleted) == (2, ())
    assert len(read) > 1
    assert [one for e in read for one in e.deleted] == gone
    assert all(e.matrix().shape == (0, 3) for e in read)


def test_an_event_from_before_clusters_could_be_muted_is_read() -> None:
    old = {"type": "changed", "cluster_id": "c", "title": "T", "summary": "S", "size": 1, "sources": []}
    times = {"created_at": NOW.isoformat(), "updated_at": NOW.isoformat()}
    told = ClusterEvents.model_validate({"project_id": "p1", "events": [old | times]})
    [event] = told.events
    assert isinstance(event, ClusterChanged)
    assert event.triage == "open"


@pytest.mark.parametrize("text", ["x", "🙂", '"', "\x00"])
def test_event_envelopes_stay_small_and_in_order(text: str) -> None:
    large: list[ClusterEvent] = [
        ClusterChanged(
            uid("c"), text * 500, text * 280, 9, tuple(f"{n:040}" for n in range(200)), NOW, NOW, (text * 80,) * 9
        ),
        ItemAssigned(uid(1), NOW, uid("c"), change="moved", score=0.9, threshold=0.75, reason=text * 500),
        ClusterMerged(uid("d"), uid("c"), "person", text * 500, 7),
    ]
    events = [*EVENTS * 100, *large * 300]
    envelopes = list(event_envelopes("p1", events))
    assert len(envelopes) > 1
    assert max(map(len, envelopes)) <= ENVELOPE_BYTES
    assert [e for v in envelopes for e in ClusterEvents.model_validate_json(v).events] == events
    assert list(event_envelopes("p1", [])) == []


def test_the_likeliest_proposals_travel() -> None:
    many = tuple(Proposal(uid(n), "merge", (uid("c"), uid("d")), 0.8, "🙂" * 500) for n in range(MAX_PROPOSALS + 1))
    [envelope] = event_envelopes("p1", [ProposalsChanged(many)])
    assert len(envelope) <= ENVELOPE_BYTES
    assert ClusterEvents.model_validate_json(envelope).events == (ProposalsChanged(many[:-1]),)


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


def test_project_names_that_cannot_be() -> None:
    with pytest.raises(ValidationError, match="name"):
        ProjectDefined(id="p1", name="x" * 201, created_at=NOW)


def test_a_project_whose_name_cannot_be_read_is_still_a_project() -> None:
    assert ProjectDefined(id="p1", name="\u200b", created_at=NOW).name == NO_NAME
    assert ProjectDefined(id="p1", name="Shop\x1b[31m\nred", created_at=NOW).name == "Shop red"


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


def test_the_id_of_a_plan_derives_from_what_it_says() -> None:
    document = new_plan("p1", "c1", PlannedFix("Send it", "Find where it waits."), by="kim", at=NOW).document()
    message = JobDocument.of(document)
    assert JobDocument.model_validate_json(message.to_bytes()).document() == document
    for field in ("project_id", "cluster_id", "text"):
        with pytest.raises(ValidationError, match="the id of a plan"):
            JobDocument.model_validate({**message.model_dump(), field: "another"})
