from copy import deepcopy
from typing import Any

import pytest

from soulcaster.domain.sources import Upsert
from soulcaster.domain.sources.sentry import parse
from tests.support.captured import load

HOOK = {"sentry-hook-resource": "error"}


def only(headers: dict[str, str], payload: Any) -> Upsert:
    (outcome,) = parse(headers, payload)
    assert isinstance(outcome, Upsert)
    return outcome


def event() -> dict[str, Any]:
    payload: dict[str, Any] = deepcopy(load("sentry", "error_created").payload)
    return payload


def another_event() -> dict[str, Any]:
    """The same error of the same issue: another time, user, page and everything else that is each event's own."""
    payload = event()
    error = payload["data"]["error"]
    error |= {
        "event_id": "2" * 32,
        "datetime": "2026-11-19T23:59:59Z",
        "timestamp": 1795132799.0,
        "received": 1795132800.0,
        "release": "shop-api@4.3.0",
        "user": {"email": "other@example.com"},
        "breadcrumbs": {"values": []},
        "request": {"url": "https://shop.example/other"},
        "tags": [["environment", "staging"], ["url", "https://shop.example/other"]],
        "environment": "staging",
        "web_url": error["web_url"].replace(error["event_id"], "2" * 32),
    }
    return payload


def test_events_of_an_issue_differ_in_what_is_volatile_alone() -> None:
    one, other = only(HOOK, event()), only(HOOK, another_event())
    assert one.occurrence_id != other.occurrence_id
    assert (one.external_id, one.title, one.body, one.url) == (other.external_id, other.title, other.body, other.url)
    assert one.metadata == other.metadata
    assert (one.volatile, other.volatile) == (
        {"release": "shop-api@4.2.0", "environment": "production"},
        {"release": "shop-api@4.3.0", "environment": "staging"},
    )
    assert one.version is not None
    assert other.version is not None
    assert one.version < other.version


def test_an_issue_and_its_events_are_one_item_and_tell_the_same_where_both_tell() -> None:
    issue = load("sentry", "issue_created")
    told, sampled = only(issue.headers, issue.payload), only(HOOK, event())
    assert told.external_id == sampled.external_id
    assert {key: told.metadata[key] for key in sampled.metadata} == sampled.metadata
    assert (told.words, sampled.words) == ("summary", "sample")


def test_states_follow_the_action_where_the_issue_has_no_status() -> None:
    issue = load("sentry", "issue_created")
    states = {}
    for action in ("created", "resolved", "archived", "unresolved", "assigned"):
        payload = deepcopy(issue.payload) | {"action": action}
        del payload["data"]["issue"]["status"]
        states[action] = only(issue.headers, payload).metadata.get("state")
    assert states == {
        "created": "unresolved",
        "resolved": "resolved",
        "archived": "ignored",
        "unresolved": "unresolved",
        "assigned": None,
    }


def frames_of(*frames: tuple[str, bool | None]) -> list[str]:
    """The lines about frames in a body, of frames given as (function, in_app), oldest first."""
    trace = [{"filename": "a.py", "lineno": 1, "function": name, "in_app": in_app} for name, in_app in frames]
    payload = {"event_id": "1", "exception": {"values": [{"type": "E", "stacktrace": {"frames": trace}}]}}
    return [line.rpartition(" ")[2] for line in (only({}, payload).body or "").splitlines() if line.startswith("at ")]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([("f1", None), ("f2", None), ("f3", None), ("f4", None)], ["f4", "f3", "f2"]),
        ([("f1", True), ("lib1", False), ("lib2", False), ("lib3", False)], ["f1", "lib3", "lib2"]),
        ([("f1", True), ("f2", True), ("lib", False), ("f3", True), ("f4", True)], ["f4", "f3", "f2"]),
        ([("f1", False)], ["f1"]),
        ([], []),
    ],
)
def test_the_three_frames_that_matter(frames: list[tuple[str, bool | None]], expected: list[str]) -> None:
    assert frames_of(*frames) == expected


def test_the_newest_exception_is_named_and_its_causes_follow() -> None:
    values = [{"type": name, "value": name.lower()} for name in ("A", "B", "C", "D")]
    upsert = only({}, {"event_id": "1", "exception": {"values": values}})
    assert upsert.title == "D: d"
    assert upsert.body == "D: d\ncaused by C: c\ncaused by B: b"


def group(*members: tuple[str, str], kind: str = "ExceptionGroup") -> dict[str, Any]:
    """An event of a group, as the SDKs list it: innermost first."""
    head = {"type": kind, "value": "unhandled errors", "mechanism": {"exception_id": 0, "is_exception_group": True}}
    values: list[dict[str, Any]] = [head]
    for number, (name, function) in enumerate(members):
        one = {
            "type": name,
            "value": name.lower(),
            "stacktrace": {"frames": [{"filename": "shop.py", "function": function, "in_app": True}]},
            "mechanism": {"exception_id": number + 1, "parent_id": 0, "source": f"exceptions[{number}]"},
        }
        values.append(one)
    return {"event_id": "1", "exception": {"values": values[::-1]}}


def test_of_a_group_of_exceptions_each_member_counts() -> None:
    upsert = only({}, group(("KeyError", "total"), ("ConnectionError", "load")))
    assert upsert.title == "KeyError: keyerror (and 1 more)"
    assert (
        upsert.body == "KeyError: keyerror\nat shop.py in total\nConnectionError: connectionerror\nat shop.py in load"
    )
    ids = {
        only({}, group(*members)).external_id
        for members in (
            [("KeyError", "total")],
            [("ConnectionError", "load")],
            [("KeyError", "total"), ("ConnectionError", "load")],
        )
    }
    assert len(ids) == 3
    again = only({}, group(("ConnectionError", "load"), ("KeyError", "total"), ("KeyError", "total")))
    assert again.external_id == only({}, group(("KeyError", "total"), ("ConnectionError", "load"))).external_id


def test_a_group_of_one_is_the_problem_that_its_member_is_alone() -> None:
    alone = group(("KeyError", "total"))
    del alone["exception"]["values"][1]
    del alone["exception"]["values"][0]["mechanism"]
    one, other = only({}, group(("KeyError", "total"), kind="AggregateError")), only({}, alone)
    assert (one.external_id, one.title) == (other.external_id, "KeyError: keyerror")


def test_a_group_in_a_group_and_the_causes_of_members() -> None:
    def one(name: str, identity: int, parent: int | None, source: str, *, is_group: bool = False) -> dict[str, Any]:
        about = {"exception_id": identity, "parent_id": parent, "source": source, "is_exception_group": is_group}
        return {"type": name, "value": name.lower(), "mechanism": about}

    values = [
        one("Outer", 0, None, "", is_group=True),
        one("Inner", 1, 0, "exceptions[0]", is_group=True),
        one("A", 2, 1, "exceptions[0]"),
        one("CauseOfA", 3, 2, "__cause__"),
        one("B", 4, 0, "exceptions[1]"),
        one("CauseOfOuter", 5, 0, "__cause__"),
    ]
    upsert = only({}, {"event_id": "1", "exception": {"values": values[::-1]}})
    assert upsert.body == "A: a\ncaused by CauseOfA: causeofa\nB: b\nCauseOfOuter: causeofouter"


def test_exceptions_that_point_at_each_other_are_read() -> None:
    about = [{"exception_id": 1, "parent_id": 2}, {"exception_id": 2, "parent_id": 1}]
    values = [{"type": "A", "value": "a", "mechanism": one} for one in about]
    head = {"type": "G", "mechanism": {"exception_id": 0, "is_exception_group": True}}
    assert only({}, {"event_id": "1", "exception": {"values": [*values, head]}}).title == "A: a (and 1 more)"


WORDS = "The coupon field is gone since Monday."


def test_what_a_person_reports_is_that_persons_words_alone() -> None:
    issue = deepcopy(load("sentry", "issue_created").payload)
    issue["data"]["issue"] |= {
        "title": "User Feedback: Coupon field",
        "culprit": "user",
        "issueCategory": "feedback",
        "metadata": {"title": "User Feedback: Coupon field", "message": WORDS, "contact_email": "kim@example.com"},
    }
    told = only({"sentry-hook-resource": "issue"}, issue)
    assert (told.title, told.body, told.words) == ("Coupon field", WORDS, "own")
    occurrence = {
        "type": 6001,
        "issueTitle": "User Feedback",
        "subtitle": WORDS,
        "evidenceDisplay": [
            {"name": "contact_email", "value": "kim@example.com", "important": False},
            {"name": "message", "value": WORDS, "important": True},
        ],
    }
    event = {
        "event_id": "1",
        "title": "User Feedback",
        "message": WORDS,
        "culprit": "user",
        "contexts": {"feedback": {"message": WORDS, "contact_email": "kim@example.com", "name": "Kim"}},
        "occurrence": occurrence,
    }
    happened = only({}, {"data": {"event": event}})
    assert (happened.title, happened.body, happened.words) == (None, WORDS, "own")
    assert "kim@example.com" not in repr((told, happened))


def test_a_trace_of_the_thread_that_crashed() -> None:
    threads = [
        {"crashed": False, "stacktrace": {"frames": [{"function": "idle"}]}},
        {"crashed": True, "stacktrace": {"frames": [{"function": "draw"}]}},
    ]
    upsert = only({}, {"event_id": "1", "message": "SIGSEGV", "threads": {"values": threads}})
    assert upsert.body == "at draw"


def sdk_event(**changes: Any) -> str:
    """The id of an event without an issue."""
    return only({}, deepcopy(load("sentry", "sdk_event").payload) | changes).external_id


def exception(kind: str, value: str, line: int, function: str = "send") -> dict[str, Any]:
    frame = {"filename": "invoices/send.py", "function": function, "lineno": line, "in_app": True}
    return {"values": [{"type": kind, "value": value, "stacktrace": {"frames": [frame]}}]}


def test_an_event_without_an_issue_is_known_by_what_its_kind_has_in_common() -> None:
    same = {
        sdk_event(exception=exception("SMTPRecipientsRefused", "recipient 4711 refused", 10)),
        sdk_event(exception=exception("SMTPRecipientsRefused", "recipient 9 refused", 12), event_id="other"),
    }
    assert len(same) == 1
    others = {
        sdk_event(exception=exception("OSError", "recipient 4711 refused", 10)),
        sdk_event(exception=exception("SMTPRecipientsRefused", "recipient 4711 refused", 10, "receive")),
        sdk_event(exception=exception("SMTPRecipientsRefused", "recipient 4711 refused", 10), project="other"),
        sdk_event(exception=exception("SMTPRecipientsRefused", "recipient 4711 refused", 10), fingerprint=["mail"]),
        sdk_event(
            exception=exception("SMTPRecipientsRefused", "recipient 4711 refused", 10),
            fingerprint=["{{ default }}", "mail"],
        ),
    }
    assert len(same | others) == 6
    assert sdk_event(exception=exception("A", "a", 1), fingerprint=["mail"]) == sdk_event(fingerprint=["mail"])


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("17 rows skipped", "1,204 rows skipped", True),
        ("job 0f8fad5b-d9cb-469f-a165-70867728950e failed", "job 7c9e6679-7425-40de-944b-e07fc1f90ae7 failed", True),
        ("at 0x7f00 in a", "at 0x1 in a", True),
        ("17 rows skipped", "17 rows lost", False),
    ],
)
def test_messages_are_alike_but_for_numbers_and_ids(one: str, other: str, alike: bool) -> None:
    ids = {only({}, {"event_id": "1", "message": message}).external_id for message in (one, other)}
    assert (len(ids) == 1) is alike


def test_an_alert_that_is_over_is_the_same_item_and_occurrence() -> None:
    began, over = (
        only(c.headers, c.payload)
        for c in map(load, ["sentry"] * 2, ["metric_alert_critical", "metric_alert_resolved"])
    )
    assert (began.external_id, began.occurrence_id) == (over.external_id, over.occurrence_id)
    assert (began.metadata["state"], over.metadata["state"]) == ("unresolved", "resolved")
    assert began.version is not None
    assert over.version is not None
    assert began.version < over.version
