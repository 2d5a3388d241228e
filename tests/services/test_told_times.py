"""Times that senders give: whatever they say, it decides nothing that a later honest message cannot put right."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.commands import NotePullRequest, Rebalance, Resolve
from soulcaster.domain.feedback.dedupe import Seen
from soulcaster.domain.feedback.items import FeedbackItem, compared_item
from soulcaster.domain.feedback.times import TimesTold
from soulcaster.domain.feedback.versions import MARK_BYTES, newest
from soulcaster.domain.segments import Segments
from soulcaster.domain.times import EARLIEST, LATEST
from soulcaster.ports.messaging import Record
from soulcaster.services.github_selection import _is_known
from soulcaster.services.intake import Contents, read
from tests.domain.clustering.make import A, load, vector, write
from tests.support.make import NOW

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FAR = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
YEARS_AHEAD = [FAR, datetime(2099, 1, 1, tzinfo=UTC), NOW + DAY + timedelta(seconds=1)]
YEARS_BEHIND = [datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)]


def raw(**fields: Any) -> dict[str, Any]:
    return {"project_id": "p", "source": "form", "external_id": "1", "body": "It is late.", **fields}


def delivered(vendor: str, payload: Any) -> dict[str, Any]:
    return {"schema_version": 1, "project_id": "p", "vendor": vendor, "headers": {}, "payload": payload}


def github(at: datetime) -> dict[str, Any]:
    address = "https://github.com/o/r/issues/1"
    issue = {"id": 1, "number": 1, "title": "Late", "body": "It is late.", "html_url": address, "state": "open"}
    return delivered("github", {**issue, "created_at": at.isoformat(), "updated_at": at.isoformat()})


def reddit(at: datetime) -> dict[str, Any]:
    seconds = at.timestamp()
    post = {"id": "a", "name": "t3_a", "title": "Late", "selftext": "It is late.", "subreddit": "app"}
    return delivered("reddit", {"kind": "t3", "data": {**post, "created_utc": seconds, "edited": seconds}})


def item_of(message: Any, received: datetime = NOW) -> FeedbackItem:
    [accepted] = contents(message, received).items
    return accepted.item


def contents(message: Any, received: datetime = NOW) -> Contents:
    return read(Record("feedback.raw", 0, 7, int(received.timestamp() * 1000), None, json.dumps(message).encode()))


WAYS: list[Callable[[datetime], dict[str, Any]]] = [
    lambda at: raw(created_at=at.isoformat(), updated_at=at.isoformat()),
    lambda at: {"schema_version": 1, "items": [raw(created_at=at.isoformat(), updated_at=at.isoformat())]},
    github,
    lambda at: raw(created_at=at.timestamp(), updated_at=at.timestamp()),
    reddit,
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("told", [*YEARS_AHEAD, *YEARS_BEHIND])
def test_a_time_that_cannot_be_true_gives_way_to_that_of_intake_and_is_kept(
    way: Callable[[datetime], dict[str, Any]], told: datetime
) -> None:
    if way in WAYS[-2:] and not EARLIEST <= told < LATEST:
        pytest.skip("as a number this is no time")
    item = item_of(way(told))
    assert (item.created_at, item.updated_at, item.received_at) == (NOW, NOW, NOW)
    assert item.times_told == TimesTold(told, told)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("told", [NOW + DAY, NOW - HOUR, datetime(1970, 1, 2, tzinfo=UTC)])
def test_other_times_stay_what_they_are(way: Callable[[datetime], dict[str, Any]], told: datetime) -> None:
    if way in WAYS[-2:] and not EARLIEST <= told < LATEST:
        pytest.skip("as a number this is no time")
    item = item_of(way(told))
    assert (item.created_at, item.updated_at, item.times_told) == (told, told, None)


def test_a_replay_years_later_gives_the_same_item() -> None:
    message = raw(created_at=FAR.isoformat())
    assert item_of(message) == item_of(message)


@pytest.mark.parametrize("at_ms", [2**62, -(2**62)])
def test_a_record_whose_own_time_is_none_is_refused_and_not_lost(at_ms: int) -> None:
    value = json.dumps(raw()).encode()
    found = read(Record("feedback.raw", 0, 7, at_ms, None, value))
    assert [one.value for one in found.refused] == [value]
    assert not found.items


def shown(*versions: FeedbackItem) -> FeedbackItem:
    known = versions[0]
    for version in versions[1:]:
        known = newest(known, version)
    return known


def judged(*versions: FeedbackItem) -> list[str]:
    seen = Seen(Segments(MARK_BYTES, {}))
    verdicts: list[str] = []
    for version in versions:
        found = seen.judge([version])
        seen.remember(found)
        verdicts += found.verdicts
    return verdicts


@pytest.mark.parametrize("told", [*YEARS_AHEAD, NOW + 23 * HOUR])
def test_no_time_keeps_an_item_from_being_edited(told: datetime) -> None:
    first = item_of(raw(body="forged", updated_at=told.isoformat()))
    edit = item_of(raw(body="honest", updated_at=(NOW + HOUR).isoformat()), NOW + HOUR)
    assert shown(first, edit).body == "honest"
    assert judged(first, edit) == ["new", "changed"]


def test_an_item_that_an_older_version_believed_can_be_edited_again() -> None:
    old = FeedbackItem("00000000-0000-0000-0000-000000000001", "p", "x", "1", "t", "b", NOW, FAR, updated_at=FAR)
    believed = Seen(Segments(MARK_BYTES, {}))
    believed.remember(believed.judge([old]))
    edit = FeedbackItem(old.id, "p", "x", "1", "t", "honest", NOW, NOW + HOUR, updated_at=NOW + HOUR)
    assert believed.judge([edit]).verdicts == ("changed",)


def test_a_sync_passes_over_no_version_because_of_one_from_the_future() -> None:
    def is_known(version: datetime, known: datetime) -> bool:
        return _is_known(item_of(raw(updated_at=version.isoformat())), version, known)

    assert is_known(NOW - HOUR, NOW - HOUR)
    assert is_known(NOW - 2 * HOUR, NOW - HOUR)
    assert is_known(NOW + HOUR, NOW + HOUR)
    assert not is_known(NOW, NOW - HOUR)
    assert not is_known(NOW - HOUR, NOW + 23 * HOUR)


class Project:
    """A project whose items come in as messages."""

    def __init__(self, days: int = 0) -> None:
        self.table: dict[str, bytes] = {}
        self.days = days

    @property
    def state(self) -> ProjectClusters:
        return load(self.table, self.days)

    def say(self, text: str, *, told: datetime, received: datetime) -> str:
        """Return the cluster of the item."""
        item = compared_item(item_of(raw(external_id=text, body=text, created_at=told.isoformat()), received))
        write(self.table, self.state.add(A, [item], np.stack([vector(text)])).rows)
        [cluster] = self.state.cluster_of([item.id])
        assert cluster is not None
        return cluster

    def triage(self, cluster_id: str) -> str:
        found = self.state.cluster(cluster_id)
        assert found is not None
        return found.triage


@pytest.mark.parametrize("told", [*YEARS_AHEAD, NOW + 23 * HOUR])
def test_no_time_keeps_a_resolved_cluster_from_regressing(told: datetime) -> None:
    project = Project()
    cluster = project.say("card late", told=told, received=NOW)
    write(project.table, project.state.apply(Resolve("k", "owner", NOW + HOUR, cluster), NOW + HOUR).rows)
    assert project.triage(cluster) == "resolved"
    project.say("card late again", told=NOW + 2 * HOUR, received=NOW + 2 * HOUR)
    assert project.triage(cluster) == "regressed"


def test_no_time_of_a_pull_request_keeps_a_cluster_from_regressing() -> None:
    project = Project()
    cluster = project.say("card late", told=NOW, received=NOW)
    news = NotePullRequest("k", "github", NOW + HOUR, cluster, "o/r#1", "https://x/1", "merged", FAR, resolves=True)
    write(project.table, project.state.apply(news, NOW + HOUR).rows)
    assert project.triage(cluster) == "resolved"
    project.say("card late again", told=NOW + 2 * HOUR, received=NOW + 2 * HOUR)
    assert project.triage(cluster) == "regressed"


@pytest.mark.parametrize("told", [*YEARS_AHEAD, NOW + 23 * HOUR, *YEARS_BEHIND])
def test_no_time_archives_what_others_said(told: datetime) -> None:
    project = Project(days=1)
    project.say("card late", told=NOW - 2 * HOUR, received=NOW - 2 * HOUR)
    project.say("login down", told=told, received=NOW)
    state = project.state
    write(project.table, state.apply(Rebalance("k", "owner", NOW), NOW).rows)
    while (due := state.round_due()) is not None:
        write(project.table, state.finish(due, due.decide(), NOW, 0.1).rows)
    assert [len(one.state.index) for one in project.state.clusterers.values()] == [2]


@pytest.mark.parametrize("received_ms", [-(2**63), -62_135_596_800_000, 0, 253_402_300_799_999, 2**63 - 1])
@pytest.mark.parametrize("told", [None, FAR.isoformat(), "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59-14:00"])
@pytest.mark.parametrize("form", ["raw", "github", "deleted"])
def test_a_record_of_any_time_is_read(received_ms: int, told: str | None, form: str) -> None:
    message = raw(created_at=told, updated_at=told) if form == "raw" else github(NOW)
    if form != "raw":
        message["payload"] |= {"created_at": told, "updated_at": told}
    if form == "deleted":
        message["headers"] = {"x-github-event": "issues"}
        message["payload"] = {"action": "deleted", "issue": message["payload"]}
    found = read(Record("feedback.raw", 0, 0, received_ms, None, json.dumps(message).encode()))
    assert found.items or found.refused or found.deleted
