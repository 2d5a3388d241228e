"""The contract of the read model: what readers show of what its writer was given."""

import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.documents import DOCUMENT
from soulcaster.adapters.redis.feedback import ITEM
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.commands import CommandKind
from soulcaster.domain.events import (
    ClusterChanged,
    ClusterEvent,
    ClusteringStatus,
    ClusterMerged,
    ClusterPullRequest,
    ClusterRegressed,
    ClusterReopened,
    ClusterRestored,
    CommandDone,
    ItemAssigned,
    ItemRemoved,
    ProposalsChanged,
)
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.fixes.document import Document
from soulcaster.domain.fixes.fix import Fix, FixOptions, Target
from soulcaster.domain.fixes.outcome import FixOutcome, TestSummary
from soulcaster.domain.fixes.pull_request_sight import PullRequestSight
from soulcaster.domain.lifecycle import Job, JobStep, Triage
from soulcaster.domain.members import Membership, User
from soulcaster.domain.source_state import Position, RepositoryState, SourceReport, SourceState
from soulcaster.domain.webhook_secrets import WebhookSecret
from soulcaster.ports.clusters import HistoryEntry
from soulcaster.ports.feedback import FeedbackView, Versions
from soulcaster.ports.members import MemberView
from soulcaster.ports.notices import NO_NOTICE, CommandNotice, JobNotice, Notice
from soulcaster.ports.paging import Page
from soulcaster.ports.projects import ITEM_BYTES, JOB_BYTES, STEP_BYTES, TOMBSTONE_BYTES, Project, Stats
from soulcaster.wire.project_config import ProjectConfig, RedditConfig, SourcesConfig, StoredConfig
from tests.conftest import RedisServer
from tests.support.make import NOW, item, step

T = TypeVar("T")

EMPTY = Stats(total_feedback=0, unclustered=0, total_clusters=0, by_source={}, by_status={"new": 0}, jobs=0)


def assigned(one: FeedbackItem, cluster: str) -> ItemAssigned:
    return ItemAssigned(one.id, one.created_at, cluster, change="joined", score=0.9, threshold=0.5)


def changed(cluster: str, size: int = 1, *, hours: float = 0, title: str = "Late card") -> ClusterChanged:
    at = NOW + timedelta(hours=hours)
    return ClusterChanged(cluster, title, "People wait", size, ("github", "manual"), at, at + timedelta(hours=1))


def opened(cluster: str, size: int = 1, *, hours: float = 0) -> list[ClusterEvent]:
    """The events of a new cluster: its items, then the cluster with them."""
    items = [item(f"{cluster} {n}") for n in range(min(size, 2))]
    return [*(assigned(i, cluster) for i in items), changed(cluster, size, hours=hours)]


async def listed(model: RedisReadModel, project: str = "p1", **where: Any) -> list[str]:
    asked = {"source": None, "cluster_id": None, "limit": 100, "offset": 0} | where
    return [view.item.external_id for view in (await model.feedback.list(project, **asked)).items]


async def ranked(model: RedisReadModel, project: str = "p1") -> list[str]:
    return [c.id for c in (await model.clusters.list(project, limit=100, offset=0)).items]


async def everything(model: RedisReadModel, project: str = "p1") -> list[Any]:
    clusters = await model.clusters.list(project, limit=100, offset=0)
    jobs = await model.jobs.list(project, cluster_id=None, limit=100, offset=0)
    return [
        await model.feedback.list(project, source=None, cluster_id=None, limit=100, offset=0),
        clusters,
        [await listed(model, project, cluster_id=c.id) for c in clusters.items],
        await model.projects.stats(project),
        jobs,
        [await model.jobs.logs(job.id) for job in jobs.items],
        await model.projects.list(),
    ]


async def test_empty(read_model: RedisReadModel) -> None:
    await read_model.ping()
    assert await read_model.projects.list() == ()
    assert await read_model.projects.find("p1") is None
    assert await read_model.feedback.list("p1", source=None, cluster_id=None, limit=10, offset=0) == Page((), 0)
    assert await read_model.clusters.list("p1", limit=10, offset=0) == Page((), 0)
    assert await read_model.jobs.list("p1", cluster_id=None, limit=10, offset=0) == Page((), 0)
    assert await read_model.feedback.get("p1", "i") is None
    assert await read_model.clusters.get("p1", "c") is None
    assert await read_model.jobs.get("j") is None
    assert await read_model.jobs.logs("j") == ()
    assert await read_model.projects.stats("p1") == EMPTY


# ---- items ----------------------------------------------------------------------------------------------------------


async def test_an_item_comes_back_as_it_was(read_model: RedisReadModel) -> None:
    given = item(
        1,
        title="Grüße 🙂",
        body="one\n\ttwo \ufffd <script>",
        author="someone",
        url="https://example.org",
        github_repo_url="https://github.com/a/b",
        metadata={"a": [1, None, {"b": 1.5}], "big": 10**30},
    )
    await read_model.writer.put_items("p1", [given])
    assert await read_model.feedback.get("p1", given.id) == FeedbackView(given, None)
    assert await read_model.feedback.get("p2", given.id) is None


async def test_nothing_put_is_nothing(read_model: RedisReadModel) -> None:
    await read_model.writer.put_items("p1", [])
    assert await read_model.projects.stats("p1") == EMPTY


async def test_the_newest_version_wins_within_a_call_and_after_it(read_model: RedisReadModel) -> None:
    await read_model.writer.put_items("p1", [item(1, body="a"), item(2), item(1, body="b")])
    found = await read_model.feedback.get("p1", item(1).id)
    assert found is not None
    assert found.item.body == "b"
    await read_model.writer.put_items("p1", [item(1, body="c", minutes=9)])
    assert await listed(read_model) == ["1", "2"]
    assert (await read_model.projects.stats("p1")).total_feedback == 2


async def test_newest_first_page_by_page(read_model: RedisReadModel) -> None:
    minutes = [3, 1, 4, 0.5, 5, 9, 2, 6]
    await read_model.writer.put_items("p1", [item(m, minutes=m) for m in minutes])
    await read_model.writer.put_items("p2", [item("of another", "p2", minutes=99)])
    expected = [str(m) for m in sorted(minutes, reverse=True)]
    assert await listed(read_model) == expected
    pages = [
        await read_model.feedback.list("p1", source=None, cluster_id=None, limit=3, offset=n) for n in (0, 3, 6, 9)
    ]
    assert [v.item.external_id for page in pages for v in page.items] == expected
    assert {page.total for page in pages} == {len(minutes)}
    assert [len(page.items) for page in pages] == [3, 3, 2, 0]


async def test_by_source_and_by_cluster(read_model: RedisReadModel) -> None:
    items = [item(n, minutes=n, source=["manual", "reddit", "github"][n % 3]) for n in range(9)]
    await read_model.writer.put_items("p1", items)
    await read_model.writer.apply(
        "p1", [*(assigned(i, f"c{n % 2}") for n, i in enumerate(items)), changed("c0"), changed("c1")]
    )
    assert await listed(read_model, source="reddit") == ["7", "4", "1"]
    assert await listed(read_model, cluster_id="c0") == ["8", "6", "4", "2", "0"]
    both = await read_model.feedback.list("p1", source="reddit", cluster_id="c1", limit=1, offset=1)
    assert ([v.item.external_id for v in both.items], both.total) == (["1"], 2)
    assert await listed(read_model, source="unknown") == []
    assert await listed(read_model, cluster_id="unknown") == []
    assert (await read_model.feedback.list("p1", source="reddit", cluster_id=None, limit=1, offset=0)).total == 3


# ---- clusters -------------------------------------------------------------------------------------------------------


async def test_a_version_that_comes_late_does_not_count(read_model: RedisReadModel) -> None:
    old, new = (replace(item(1, body=str(n)), updated_at=NOW - timedelta(hours=n)) for n in (2, 1))
    for batch in ([new], [old], [old, new], [new, old]):
        await read_model.writer.put_items("p1", batch)
        assert await read_model.feedback.get("p1", new.id) == FeedbackView(new, None)


async def test_events_of_one_item_are_counted_once_each(read_model: RedisReadModel) -> None:
    events = [
        replace(item(1, body=f"line {n}"), words="sample", occurrence_id=f"e{n}", updated_at=NOW + timedelta(hours=n))
        for n in range(30)
    ]
    for batch in (events[:10], events[5:20], events[20:], events):
        await read_model.writer.put_items("p1", batch)
    view = await read_model.feedback.get("p1", events[0].id)
    assert view is not None
    assert (view.item.body, view.occurrences) == ("line 0", 30)
    assert (await read_model.projects.stats("p1")).total_feedback == 1
    resolved = replace(item(1, body="a summary"), words="summary", updated_at=NOW + timedelta(days=3))
    await read_model.writer.put_items("p1", [replace(resolved, metadata={"state": "resolved"})])
    view = await read_model.feedback.get("p1", events[0].id)
    assert view is not None
    assert (view.item.body, view.item.metadata, view.occurrences) == ("line 0", {"state": "resolved"}, 30)
    await read_model.writer.delete_items("p1", [events[0].id])
    assert await read_model.feedback.get("p1", events[0].id) is None


async def test_an_item_is_unclustered_until_it_is_assigned(read_model: RedisReadModel) -> None:
    await read_model.writer.put_items("p1", [item(1), item(2)])
    assert (await read_model.projects.stats("p1")).unclustered == 2
    await read_model.writer.apply("p1", [assigned(item(1), "c1"), changed("c1")])
    view = await read_model.feedback.get("p1", item(1).id)
    assert view is not None
    assert view.cluster_id == "c1"
    assert (await read_model.projects.stats("p1")).unclustered == 1
    # A new version does not make the item unclustered again.
    await read_model.writer.put_items("p1", [item(1, body="anew")])
    assert (await read_model.projects.stats("p1")).unclustered == 1
    assert await listed(read_model, cluster_id="c1") == ["1"]


async def test_an_item_after_its_assignment_is_clustered_from_the_start(read_model: RedisReadModel) -> None:
    await read_model.writer.apply("p1", [assigned(item(1), "c1"), changed("c1")])
    assert await read_model.feedback.get("p1", item(1).id) is None
    assert await listed(read_model, cluster_id="c1") == []
    await read_model.writer.put_items("p1", [item(1), item(2)])
    stats = await read_model.projects.stats("p1")
    assert (stats.total_feedback, stats.unclustered) == (2, 1)
    assert await listed(read_model, cluster_id="c1") == ["1"]


async def test_a_cluster_as_it_stands(read_model: RedisReadModel) -> None:
    await read_model.writer.apply("p1", [assigned(item(1), "c1"), changed("c1", 1, title="First")])
    await read_model.writer.apply("p1", [changed("c1", 2), changed("c1", 3, title="Grüße 🙂")])
    found = await read_model.clusters.get("p1", "c1")
    assert found is not None
    assert (found.project_id, found.id, found.title, found.summary) == ("p1", "c1", "Grüße 🙂", "People wait")
    assert (found.size, found.sources, found.status) == (3, ("github", "manual"), "new")
    assert (found.created_at, found.updated_at) == (NOW, NOW + timedelta(hours=1))
    assert (found.github_pr_url, found.error_message) == (None, None)
    assert await read_model.clusters.get("p2", "c1") is None


async def test_largest_first_then_newer_first_page_by_page(read_model: RedisReadModel) -> None:
    sizes = {"a": (5, 3), "b": (7, 0), "c": (5, 1), "d": (5, 2), "e": (1, 9), "f": (100_000, -1), "g": (100_000, -2)}
    for cluster, (size, hours) in sizes.items():
        await read_model.writer.apply("p1", opened(cluster, size, hours=hours))
    assert await ranked(read_model) == ["f", "g", "b", "a", "d", "c", "e"]
    pages = [await read_model.clusters.list("p1", limit=3, offset=n) for n in (0, 3, 6)]
    assert [c.id for page in pages for c in page.items] == ["f", "g", "b", "a", "d", "c", "e"]
    assert {page.total for page in pages} == {7}
    await read_model.writer.apply("p1", [changed("e", 8)])
    assert await ranked(read_model) == ["f", "g", "e", "b", "a", "d", "c"]


async def test_ranks_of_very_old_and_very_new_clusters(read_model: RedisReadModel) -> None:
    old, new = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
    await read_model.writer.apply(
        "p1",
        [
            *(assigned(item(cluster), cluster) for cluster in ("old", "new", "larger")),
            ClusterChanged("old", "t", "s", 2, (), old, old),
            ClusterChanged("new", "t", "s", 1, (), new, new),
            ClusterChanged("larger", "t", "s", 3, (), old, old),
        ],
    )
    assert await ranked(read_model) == ["larger", "old", "new"]
    found = await read_model.clusters.get("p1", "old")
    assert found is not None
    assert (found.created_at, found.sources) == (old, ())


async def test_a_moved_item_is_in_one_cluster(read_model: RedisReadModel) -> None:
    await read_model.writer.put_items("p1", [item(1), item(2, minutes=1)])
    await read_model.writer.apply("p1", [assigned(item(1), "c1"), assigned(item(2), "c1"), changed("c1", 2)])
    await read_model.writer.apply("p1", [assigned(item(1), "c2"), changed("c2", 1), changed("c1", 1)])
    assert await listed(read_model, cluster_id="c1") == ["2"]
    assert await listed(read_model, cluster_id="c2") == ["1"]
    assert (await read_model.projects.stats("p1")).total_clusters == 2


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 6])
async def test_a_cluster_that_was_left_is_forgotten_however_its_events_are_cut(
    read_model: RedisReadModel, cut: int
) -> None:
    events: list[ClusterEvent] = [
        assigned(item(1), "c1"),
        changed("c1", 1),
        assigned(item(2), "c2"),
        changed("c2", 1),
        assigned(item(1), "c2"),
        changed("c2", 2),
    ]
    await read_model.writer.put_items("p1", [item(1), item(2)])
    for start in range(0, len(events), cut):
        await read_model.writer.apply("p1", events[start : start + cut])
    assert await ranked(read_model) == ["c2"]
    assert await read_model.clusters.get("p1", "c1") is None
    assert sorted(await listed(read_model, cluster_id="c2")) == ["1", "2"]
    assert (await read_model.projects.stats("p1")).total_clusters == 1


async def test_a_cluster_that_fills_again_is_there_again(read_model: RedisReadModel) -> None:
    await read_model.writer.apply("p1", [assigned(item(1), "c1"), changed("c1")])
    await read_model.writer.apply("p1", [assigned(item(1), "c2"), changed("c2")])
    assert await ranked(read_model) == ["c2"]
    await read_model.writer.apply("p1", [assigned(item(1), "c1"), changed("c1")])
    assert await ranked(read_model) == ["c1"]


async def test_two_items_that_change_places(read_model: RedisReadModel) -> None:
    await read_model.writer.put_items("p1", [item(1), item(2)])
    await read_model.writer.apply(
        "p1", [assigned(item(1), "c1"), assigned(item(2), "c2"), changed("c1"), changed("c2")]
    )
    await read_model.writer.apply(
        "p1", [assigned(item(1), "c2"), assigned(item(2), "c1"), changed("c1"), changed("c2")]
    )
    assert sorted(await ranked(read_model)) == ["c1", "c2"]
    assert (await listed(read_model, cluster_id="c1"), await listed(read_model, cluster_id="c2")) == (["2"], ["1"])


# ---- deletion ------------------------------------------------------------------------------------------------------


async def test_a_deleted_item_is_gone_everywhere_and_does_not_come_back(read_model: RedisReadModel) -> None:
    items = [item(1), item(2, source="reddit"), item(3)]
    await read_model.writer.put_items("p1", items)
    await read_model.writer.put_items("p2", [item(1, "p2")])
    await read_model.writer.apply("p1", [*(assigned(i, "c1") for i in items[:2]), changed("c1", 2)])
    for _ in range(2):
        await read_model.writer.delete_items("p1", [items[1].id])
        await read_model.writer.put_items("p1", [item(2, source="reddit", body="anew")])
        assert await read_model.feedback.get("p1", items[1].id) is None
        assert sorted(await listed(read_model)) == ["1", "3"]
        assert await listed(read_model, source="reddit") == []
        assert await listed(read_model, cluster_id="c1") == ["1"]
        stats = await read_model.projects.stats("p1")
        assert (stats.total_feedback, stats.unclustered, stats.by_source) == (2, 1, {"manual": 2})
    await read_model.writer.delete_items("p1", [items[2].id])
    assert (await read_model.projects.stats("p1")).unclustered == 0
    assert await listed(read_model, "p2") == ["1"]
    await read_model.writer.delete_items("p1", [])


async def test_a_cluster_whose_last_item_is_removed_is_gone(read_model: RedisReadModel) -> None:
    await read_model.writer.put_items("p1", [item(1), item(2)])
    await read_model.writer.apply(
        "p1", [assigned(item(1), "c1"), changed("c1"), assigned(item(2), "c2"), changed("c2")]
    )
    await read_model.writer.put_job_steps([step(0, "failed", cluster="c1")])
    await read_model.writer.delete_items("p1", [item(1).id])
    assert await ranked(read_model) == ["c2"]
    await read_model.writer.apply("p1", [ItemRemoved(item(1).id, "c1", NOW), changed("c1", 0)])
    assert await read_model.clusters.get("p1", "c1") is None
    stats = await read_model.projects.stats("p1")
    assert (stats.total_feedback, stats.total_clusters, stats.by_status) == (1, 1, {"new": 1})


async def test_whoever_is_told_that_it_was_done_sees_it_though_the_tombstone_is_late(
    read_model: RedisReadModel,
) -> None:
    await read_model.writer.put_items("p1", [item(1)])
    await read_model.writer.apply("p1", [assigned(item(1), "c1"), changed("c1")])
    await read_model.writer.apply(
        "p1", [ItemRemoved(item(1).id, "c1", NOW, "k"), CommandDone("k", "applied", "deleted", NOW, None, ("c1",))]
    )
    assert await everything(read_model) == [
        Page((), 0),
        Page((), 0),
        [],
        replace(EMPTY, stored_bytes=TOMBSTONE_BYTES),
        Page((), 0),
        [],
        await read_model.projects.list(),
    ]
    # Older events and versions again, as after a restart, and the tombstone at last.
    await read_model.writer.put_items("p1", [item(1)])
    await read_model.writer.apply(
        "p1", [assigned(item(1), "c1"), changed("c1"), ItemRemoved(item(1).id, "c1", NOW, "k")]
    )
    await read_model.writer.delete_items("p1", [item(1).id])
    assert await read_model.projects.stats("p1") == replace(EMPTY, stored_bytes=TOMBSTONE_BYTES)
    assert await read_model.clusters.list("p1", limit=9, offset=0) == Page((), 0)


async def test_a_deleted_item_is_gone_from_what_its_cluster_was_merged_into(read_model: RedisReadModel) -> None:
    await read_model.writer.put_items("p1", [item(1), item(2)])
    await read_model.writer.apply(
        "p1", [assigned(item(1), "c1"), changed("c1"), assigned(item(2), "c2"), changed("c2")]
    )
    await read_model.writer.apply("p1", [ClusterMerged("c2", "c1", "person", "same", 0), changed("c1", 2)])
    await read_model.writer.delete_items("p1", [item(2).id])
    assert await listed(read_model, cluster_id="c1") == await listed(read_model, cluster_id="c2") == ["1"]
    await read_model.writer.apply("p1", [ItemRemoved(item(2).id, "c1", NOW), changed("c1", 1)])
    await read_model.writer.apply("p1", [ClusterRestored("c2", "asked for"), changed("c1", 1)])
    assert await listed(read_model, cluster_id="c2") == []
    assert await ranked(read_model) == ["c1"]


async def test_a_cluster_without_a_title_is_called_by_its_newest_item(read_model: RedisReadModel) -> None:
    await read_model.writer.put_items(
        "p1", [item(1, title="Old", body="older"), item(2, title="New", body="x" * 999, minutes=1)]
    )
    nameless = replace(changed("c1", 2), title="", summary="")
    await read_model.writer.apply("p1", [assigned(item(1), "c1"), assigned(item(2), "c1"), nameless])
    found = await read_model.clusters.get("p1", "c1")
    assert found is not None
    assert (found.title, found.summary) == ("New", ("New\n" + "x" * 999)[:280])
    await read_model.writer.delete_items("p1", [item(2).id])
    [found] = (await read_model.clusters.list("p1", limit=9, offset=0)).items
    assert (found.title, found.summary) == ("Old", "Old\nolder")
    await read_model.writer.apply("p1", [assigned(item(3), "c2"), replace(nameless, cluster_id="c2")])  # not stored yet
    found = await read_model.clusters.get("p1", "c2")
    assert found is not None
    assert found.title == ""


# ---- muted and resolved --------------------------------------------------------------------------------------------


async def test_what_people_made_of_a_cluster_is_its_status(read_model: RedisReadModel) -> None:
    await read_model.writer.apply("p1", [*opened("c1"), *opened("c2"), *opened("c3")])
    await read_model.writer.put_job_steps([step(0, "running", job="j2", cluster="c2")])
    await read_model.writer.put_job_steps([step(0, "failed", job="j3", cluster="c3")])

    async def statuses(**triage: Triage) -> list[str]:
        await read_model.writer.apply("p1", [replace(changed(c), triage=t) for c, t in triage.items()])
        found = [await read_model.clusters.get("p1", c) for c in ("c1", "c2", "c3")]
        by_status = (await read_model.projects.stats("p1")).by_status
        assert {s: n for s, n in by_status.items() if n} == Counter(c.status for c in found if c)
        return [c.status for c in found if c]

    assert await statuses() == ["new", "fixing", "failed"]
    assert await statuses(c1="muted", c2="resolved", c3="muted") == ["muted", "fixing", "muted"]
    await read_model.writer.put_job_steps([step(1, "success", job="j2", cluster="c2")])
    assert await statuses(c3="resolved") == ["muted", "resolved", "resolved"]
    assert await statuses(c1="open", c2="open", c3="open") == ["new", "new", "failed"]
    await statuses(c1="muted", c2="resolved")
    await read_model.writer.apply("p1", [ClusterMerged("c1", "c3", "person", "same", 0), changed("c3", 2)])
    assert (await read_model.projects.stats("p1")).by_status == {"failed": 1, "resolved": 1, "new": 0}
    await read_model.writer.apply("p1", [ItemRemoved(item("c2 0").id, "c2", NOW)])
    assert (await read_model.projects.stats("p1")).by_status == {"failed": 1, "new": 0}


async def test_history_says_what_people_made_of_a_cluster_and_that_it_regressed(read_model: RedisReadModel) -> None:
    at = [NOW + timedelta(minutes=n) for n in range(7)]
    kinds: list[CommandKind] = ["mute", "reopen", "resolve"]
    done = [CommandDone(f"k{n}", "applied", f"{k}!", at[n], k, ("c1",)) for n, k in enumerate(kinds)]
    newer: list[ClusterEvent] = [
        ClusterReopened("c1", "it came back", at[3]),
        ClusterRegressed("c1", "again", at[4]),
        ClusterPullRequest("c1", "merged", "o/n#1 is merged", "https://x/1", at[5], "n1"),
        ClusterPullRequest("c1", "closed", "o/n#2 is closed", "https://x/2", at[6]),
    ]
    for _ in range(2):
        await read_model.writer.apply("p1", [*opened("c1"), *done, *newer])
    assert await read_model.clusters.history("p1", "c1") == (
        HistoryEntry("pr_closed", "github", "o/n#2 is closed", at[6], url="https://x/2"),
        HistoryEntry("pr_merged", "github", "o/n#1 is merged", at[5], None, "n1", "https://x/1"),
        HistoryEntry("regressed", "consolidation", "again", at[4]),
        HistoryEntry("reopened", "consolidation", "it came back", at[3]),
        HistoryEntry("resolve", "person", "resolve!", at[2], None, "k2"),
        HistoryEntry("reopen", "person", "reopen!", at[1], None, "k1"),
        HistoryEntry("mute", "person", "mute!", at[0], None, "k0"),
    )


async def test_jobs_are_found_by_their_branch_and_followed_as_long_as_their_pull_request_needs_it(
    read_model: RedisReadModel,
) -> None:
    def ordered(job: str, branch: str, project: str = "p1") -> JobStep:
        options = FixOptions(target=Target("o/n", "main", "a" * 40))
        fix = Fix(job, "c1", "t", "owner", NOW, branch=branch, options=options)
        return replace(step(0, "pending", job=job, project=project), fix=fix)

    async def found(branch: str) -> set[str]:
        return {job.id for job in await read_model.jobs.of_branch("p1", branch)}

    async def followed() -> set[str]:
        return {job.id for job in await read_model.jobs.followed()}

    writer = read_model.writer
    await writer.put_job_steps(
        [ordered("j1", "b1"), ordered("j2", "b1"), ordered("j3", "b2"), ordered("j4", "b1", "p2"), step(0, job="j5")]
    )
    assert (await found("b1"), await found("b2"), await found("b3")) == ({"j1", "j2"}, {"j3"}, set())
    assert await followed() == set()
    url = "https://github.com/o/n/pull/1"
    await writer.put_job_steps([step(1, "success", job=job, pr_url=url) for job in ("j1", "j3", "j5")])
    assert await followed() == {"j1", "j3"}
    sights = [PullRequestSight("closed", NOW), PullRequestSight("merged", NOW, "passed", NOW, NOW)]
    await writer.put_job_steps(
        [replace(step(2, job=job), pr_sight=sight) for job, sight in zip(("j1", "j3"), sights, strict=True)]
    )
    assert await followed() == {"j3"}
    [job] = await read_model.jobs.of_branch("p1", "b2")
    assert (job.pr_state, job.pr_sight, job.ended_at) == ("merged", sights[1], step(1).at)
    done = replace(sights[1], announced_at=NOW)
    await writer.put_job_steps([replace(step(3, job="j3"), pr_sight=done)])
    assert await followed() == set()


# ---- jobs -----------------------------------------------------------------------------------------------------------


async def test_a_job_and_its_cluster(read_model: RedisReadModel) -> None:
    await read_model.writer.apply("p1", [*opened("c1"), *opened("c2")])
    expected = {"pending": "fixing", "running": "fixing", "success": "pr_opened"}
    for seq, (status, of_cluster) in enumerate(expected.items()):
        url = "https://example.org/pull/1" if status == "success" else None
        await read_model.writer.put_job_steps([step(seq, status, log=f"line {seq}", pr_url=url)])  # type: ignore[arg-type]
        job = await read_model.jobs.get("j1")
        assert job is not None
        assert (job.status, job.seq, job.cluster_id, job.project_id) == (status, seq, "c1", "p1")
        cluster = await read_model.clusters.get("p1", "c1")
        assert cluster is not None
        assert (cluster.status, cluster.github_pr_url) == (of_cluster, url)
        assert (await read_model.projects.stats("p1")).by_status == {of_cluster: 1, "new": 1}
    assert await read_model.jobs.logs("j1") == ("line 0", "line 1", "line 2")


async def test_the_newest_job_says_what_its_cluster_is(read_model: RedisReadModel) -> None:
    await read_model.writer.apply("p1", opened("c1"))
    await read_model.writer.put_job_steps([step(0, "failed", job="a", error="boom")])
    await read_model.writer.put_job_steps([step(60, "running", job="b")])
    cluster = await read_model.clusters.get("p1", "c1")
    assert cluster is not None
    assert (cluster.status, cluster.error_message) == ("fixing", None)
    jobs = await read_model.jobs.list("p1", cluster_id="c1", limit=10, offset=0)
    assert ([j.id for j in jobs.items], jobs.total) == (["b", "a"], 2)
    assert (await read_model.projects.stats("p1")).by_status == {"fixing": 1, "new": 0}


async def test_a_job_keeps_its_outcome_and_what_became_of_its_pull_request(read_model: RedisReadModel) -> None:
    await read_model.writer.apply("p1", opened("c1"))
    outcome = FixOutcome(
        ("a.py", "b c.py"), 3, 1, TestSummary("failed", 9, 1), TestSummary("passed", 11), shows_bug=True
    )
    done = replace(step(1, "success", pr_url="https://example.org/pull/1"), outcome=outcome, pr_state="open")
    await read_model.writer.put_job_steps([step(0, "running"), done])
    await read_model.writer.put_job_steps([replace(step(2, "success"), pr_state="merged")])
    job = await read_model.jobs.get("j1")
    assert job is not None
    assert (job.outcome, job.pr_state) == (outcome, "merged")


STEPS = [
    step(0, "pending", log="0"),
    step(1, "running", log="1"),
    step(2, "running", log="2"),
    step(3, "failed", log="3", error="boom"),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=lambda o: "".join(map(str, o)))
async def test_steps_in_any_order_never_take_a_job_back_nor_lose_a_line(
    read_model: RedisReadModel, order: tuple[int, ...]
) -> None:
    newest = -1
    for place in (*order, *order):
        await read_model.writer.put_job_steps([STEPS[place]])
        newest = max(newest, place)
        job = await read_model.jobs.get("j1")
        assert job is not None
        assert (job.seq, job.state) == (newest, STEPS[newest].state)
    assert job is not None
    assert (job.seq, job.status, job.error) == (3, "failed", "boom")
    assert (job.created_at, job.updated_at) == (STEPS[0].at, STEPS[3].at)
    assert await read_model.jobs.logs("j1") == ("0", "1", "2", "3")


async def test_who_tells_of_a_job_at_once_loses_no_line_in_any_interleaving(read_model: RedisReadModel) -> None:
    """The launcher, an agent in its sandbox and a person who cancels, each counting `seq` for itself."""
    launcher = [replace(step(n, log=f"launcher {n}"), at=NOW + timedelta(seconds=n)) for n in range(1, 5)]
    agent = [replace(step(n, log=f"agent {n}"), at=NOW + timedelta(seconds=n + 0.5)) for n in range(1, 5)]
    end = replace(step(3, "failed", log="cancelled", error="cancelled by kim"), at=NOW + timedelta(seconds=3.2))
    late = replace(step(5, "success", log="done"), at=NOW + timedelta(seconds=9))
    chance = random.Random(7)
    found: list[tuple[Job, tuple[str, ...]]] = []
    for n in range(12):
        sides = [list(launcher), list(agent), [end], [late]]
        offset = 0
        first_end = ""
        while sides:
            side = chance.choice(sides)
            one = replace(side.pop(0), job_id=f"j{n}", offset=(offset := offset + 1))
            first_end = first_end or (one.state if one.state in {"failed", "succeeded"} else "")
            await read_model.writer.put_job_steps([one])
            sides = [one for one in sides if one]
        job = await read_model.jobs.get(f"j{n}")
        assert job is not None
        assert job.state == first_end
        assert job.error == (end.error if first_end == "failed" else None)
        found.append((job, await read_model.jobs.logs(f"j{n}")))
    steps = sorted([*launcher, *agent, end, late], key=lambda one: one.at)
    for job, logs in found:
        assert (job.created_at, job.updated_at, job.seq) == (steps[0].at, steps[-1].at, 5)
        assert logs == tuple(line.log for line in steps)
    assert {job.state for job, _ in found} == {"failed", "succeeded"}


async def test_an_error_that_does_not_count_any_more_is_gone(read_model: RedisReadModel) -> None:
    await read_model.writer.put_job_steps([step(1, "running", error="a hiccup")])
    await read_model.writer.put_job_steps([step(2, "success")])
    job = await read_model.jobs.get("j1")
    assert job is not None
    assert (job.status, job.error) == ("success", None)


async def test_more_than_ten_log_lines_are_in_order(read_model: RedisReadModel) -> None:
    for seq in range(15):
        await read_model.writer.put_job_steps([step(seq, log=f"line {seq}" if seq != 7 else None)])
    assert await read_model.jobs.logs("j1") == tuple(f"line {seq}" for seq in range(15) if seq != 7)


async def test_jobs_newest_first_page_by_page(read_model: RedisReadModel) -> None:
    for n in (2, 0, 3, 1, 4):
        await read_model.writer.put_job_steps([step(n, "pending", job=f"j{n}", cluster=f"c{n % 2}")])
    await read_model.writer.put_job_steps([step(9, "pending", job="other", project="p2", cluster="c9")])
    pages = [await read_model.jobs.list("p1", cluster_id=None, limit=2, offset=n) for n in (0, 2, 4)]
    assert [j.id for page in pages for j in page.items] == ["j4", "j3", "j2", "j1", "j0"]
    assert {page.total for page in pages} == {5}
    assert [j.id for j in (await read_model.jobs.list("p1", cluster_id="c1", limit=9, offset=0)).items] == ["j3", "j1"]
    assert (await read_model.projects.stats("p1")).jobs == 5


async def test_a_job_of_a_cluster_not_known_yet_counts_among_no_status(read_model: RedisReadModel) -> None:
    await read_model.writer.put_job_steps([step(0, "pending")])
    assert (await read_model.projects.stats("p1")).by_status == {"new": 0}
    await read_model.writer.apply("p1", [*opened("c1"), *opened("c2")])
    assert (await read_model.projects.stats("p1")).by_status == {"fixing": 1, "new": 1}


# ---- projects -------------------------------------------------------------------------------------------------------


async def test_projects_by_id_and_by_name(read_model: RedisReadModel) -> None:
    await read_model.writer.put_items("p9", [item(1, "p9")])  # known from its items only
    await read_model.writer.put_project(Project("p1", "beta", NOW))
    await read_model.writer.put_project(Project("p2", "Alpha", NOW))
    assert [(p.id, p.name) for p in await read_model.projects.list()] == [("p2", "Alpha"), ("p1", "beta"), ("p9", "p9")]
    assert await read_model.projects.find("p1") == await read_model.projects.find("beta") == Project("p1", "beta", NOW)
    assert await read_model.projects.find("p9") == Project("p9", "p9", None)
    assert await read_model.projects.find("Beta") is None
    await read_model.writer.put_project(Project("p1", "gamma", NOW))
    assert await read_model.projects.find("beta") is None
    assert await read_model.projects.find("gamma") == Project("p1", "gamma", NOW)


async def test_an_id_goes_before_a_name_and_the_older_before_the_newer(read_model: RedisReadModel) -> None:
    await read_model.writer.put_project(Project("p1", "p2", NOW))
    await read_model.writer.put_project(Project("p2", "Demo", NOW))
    await read_model.writer.put_project(Project("p3", "Demo", NOW - timedelta(days=1)))
    found = await read_model.projects.find("p2")
    assert found is not None
    assert found.id == "p2"
    found = await read_model.projects.find("Demo")
    assert found is not None
    assert found.id == "p3"


# ---- cursors ---------------------------------------------------------------------------------------------------------


async def test_a_list_goes_on_after_a_cursor_whatever_has_come_or_gone(read_model: RedisReadModel) -> None:
    await read_model.writer.put_items("p1", [item(n, minutes=n) for n in range(10)])
    first = await read_model.feedback.list("p1", source=None, cluster_id=None, limit=4, offset=0)
    await read_model.writer.put_items("p1", [item(n, minutes=n) for n in range(10, 14)])  # newer: above all
    second = await read_model.feedback.list("p1", source=None, cluster_id=None, limit=4, offset=0, after=first.next)
    third = await read_model.feedback.list("p1", source=None, cluster_id=None, limit=4, offset=9, after=second.next)
    shown = [view.item.external_id for page in (first, second, third) for view in page.items]
    assert shown == [str(n) for n in reversed(range(10))]
    assert (first.total, second.total, third.total, third.next) == (10, 14, 14, None)


async def test_a_cursor_of_a_source_within_a_cluster(read_model: RedisReadModel) -> None:
    items = [item(n, minutes=n // 2) for n in range(5)]  # some at the same time
    await read_model.writer.put_items("p1", items)
    await read_model.writer.apply("p1", [*(assigned(i, "c1") for i in items), changed("c1", 5)])
    source, after, shown = items[0].source, None, []
    while True:
        page = await read_model.feedback.list("p1", source=source, cluster_id="c1", limit=2, offset=0, after=after)
        shown += [view.item.id for view in page.items]
        after = page.next
        if after is None:
            break
    assert shown == [i.id for i in sorted(items, key=lambda i: (i.created_at, i.id), reverse=True)]


async def test_a_cursor_whose_cluster_was_merged_goes_on_from_where_it_stood(read_model: RedisReadModel) -> None:
    items = [item(n) for n in range(6)]
    await read_model.writer.put_items("p1", items)
    sizes = {"c1": items[:3], "c2": items[3:5], "c3": items[5:]}
    for cluster, of in sizes.items():
        await read_model.writer.apply("p1", [*(assigned(i, cluster) for i in of), changed(cluster, len(of))])
    first = await read_model.clusters.list("p1", limit=2, offset=0)
    assert [c.id for c in first.items] == ["c1", "c2"]
    await read_model.writer.apply("p1", [ClusterMerged("c2", "c1", "person", "same", 0), changed("c1", 5)])
    rest = await read_model.clusters.list("p1", limit=2, offset=0, after=first.next)
    assert [c.id for c in rest.items] == ["c3"]
    assert rest.next is None


async def test_a_cursor_of_jobs(read_model: RedisReadModel) -> None:
    for n in range(3):
        await read_model.writer.put_job_steps(
            [replace(step(0, "pending"), job_id=f"j{n}", at=NOW + timedelta(minutes=n))]
        )
    first = await read_model.jobs.list("p1", cluster_id=None, limit=2, offset=0)
    rest = await read_model.jobs.list("p1", cluster_id=None, limit=2, offset=0, after=first.next)
    assert [job.id for job in (*first.items, *rest.items)] == ["j2", "j1", "j0"]


# ---- settings, secrets, sources --------------------------------------------------------------------------------------


async def test_settings_as_they_were_set(read_model: RedisReadModel, redis_server: RedisServer) -> None:
    assert await read_model.project_config.get("p1") == StoredConfig()
    reddit = RedditConfig(subreddits=("one", "two"), enabled=False)
    config = ProjectConfig(repositories=("a/b",), sources=SourcesConfig(reddit=reddit), mask_personal_data=False)
    await read_model.writer.put_project_config("p1", StoredConfig(1, config, NOW, "key CI"))
    assert await read_model.project_config.get("p1") == StoredConfig(1, config, NOW, "key CI")
    assert await read_model.project_config.get("p2") == StoredConfig()
    async with Redis.from_url(redis_server.url) as redis:
        assert await redis.get("config:p1:reddit:subreddits") == b'["one", "two"]'
        await read_model.writer.put_project_config("p1", StoredConfig(2))
        assert await read_model.project_config.get("p1") == StoredConfig(2)
        assert await redis.get("config:p1:reddit:subreddits") is None


async def test_a_version_of_settings_is_claimed_once(read_model: RedisReadModel) -> None:
    assert await read_model.project_config.claim("p1", 1)
    assert not await read_model.project_config.claim("p1", 1)
    assert await read_model.project_config.claim("p1", 2)
    assert await read_model.project_config.claim("p2", 1)
    await read_model.project_config.release("p1", 1)
    assert await read_model.project_config.claim("p1", 1)


async def test_webhook_secrets_until_they_are_removed(read_model: RedisReadModel) -> None:
    old = WebhookSecret("w1", "p1", "sentry", "sealed 1", "aaaa", NOW, "me")
    new = WebhookSecret("w2", "p1", "github", "sealed 2", "bbbb", NOW + timedelta(seconds=1), "me")
    assert await read_model.webhook_secrets.list("p1") == ()
    for secret in (old, new, old):
        await read_model.writer.put_webhook_secret(secret)
    assert await read_model.webhook_secrets.list("p1") == (new, old)
    assert await read_model.webhook_secrets.list("p2") == ()
    await read_model.writer.put_webhook_secret(replace(old, sealed="", removed_at=NOW))
    assert await read_model.webhook_secrets.list("p1") == (new,)


async def test_repositories_as_they_were_read(read_model: RedisReadModel) -> None:
    assert await read_model.sources.repositories("p1") == ()
    assert await read_model.sources.repository("p1", "acme/shop") is None
    position = Position(NOW, NOW + timedelta(hours=1), whole=True, etag='W/"é"')
    state = RepositoryState("Acme/shop", position, "blocked", NOW, NOW, "no such repository", NOW)
    other = RepositoryState("acme/app", Position(NOW), "ok", NOW)
    for one in (replace(state, status="ok", repository="acme/Shop"), state, other):
        await read_model.writer.put_repository("p1", one)
    assert await read_model.sources.repositories("p1") == (other, state)
    assert await read_model.sources.repository("p1", "ACME/SHOP") == state
    assert await read_model.sources.repository("p2", "acme/shop") is None
    assert await read_model.sources.list("p1") == ()
    await read_model.writer.clear()
    assert await read_model.sources.repositories("p1") == ()


async def test_which_versions_of_items_are_known(read_model: RedisReadModel) -> None:
    versions = [replace(item(n), updated_at=NOW - timedelta(hours=n) if n < 3 else None) for n in range(1, 5)]
    await read_model.writer.put_items("p1", versions)
    await read_model.writer.put_items("p1", [replace(versions[0], updated_at=NOW - timedelta(days=1))])  # late
    await read_model.writer.delete_items("p1", [versions[3].id, "x"])
    ids = [one.id for one in versions]
    assert await read_model.feedback.versions("p1", [*ids, "x", "y"]) == Versions(
        {ids[0]: NOW - timedelta(hours=1), ids[1]: NOW - timedelta(hours=2), ids[2]: None}, frozenset({ids[3], "x"})
    )
    assert await read_model.feedback.versions("p1", []) == Versions({}, frozenset())
    assert await read_model.feedback.versions("p2", ids) == Versions({}, frozenset())


async def test_sources_as_they_stand(read_model: RedisReadModel) -> None:
    assert await read_model.sources.list("p1") == ()
    report = SourceReport({"one/new": "t3_a", "é": [1.5, None]}, "blocked", NOW, NOW, "403", NOW)
    await read_model.writer.put_source_report("p1", "reddit", replace(report, status="ok", cursor={}))
    await read_model.writer.put_source_report("p1", "reddit", report)
    await read_model.writer.put_source_kick("p1", "github", NOW)
    await read_model.writer.put_items("p1", [item(1, source="reddit", minutes=3), item(2, minutes=5)])
    await read_model.writer.put_items("p1", [item(3, source="reddit", minutes=1)])  # again, or from another partition
    assert await read_model.sources.list("p1") == (
        SourceState("github", None, NOW, None),
        SourceState("manual", NOW + timedelta(minutes=5)),
        SourceState("reddit", NOW + timedelta(minutes=3), None, report),
    )
    assert await read_model.sources.list("p2") == ()


async def test_of_settings_secrets_and_sources_nothing_is_left_when_it_is_cleared(read_model: RedisReadModel) -> None:
    await read_model.writer.put_project_config("p1", StoredConfig(1))
    await read_model.writer.put_webhook_secret(WebhookSecret("w1", "p1", "sentry", "sealed", "aaaa", NOW, "me"))
    await read_model.writer.put_source_kick("p1", "reddit", NOW)
    await read_model.writer.clear()
    assert await read_model.project_config.get("p1") == StoredConfig()
    assert await read_model.webhook_secrets.list("p1") == ()
    assert await read_model.sources.list("p1") == ()


# ---- notices ---------------------------------------------------------------------------------------------------------


async def notices_of(model: RedisReadModel, project: str = "p1", after: str = NO_NOTICE) -> list[Notice]:
    return [notice for _, notice in (await model.notices.after({project: after}, limit=1000)).get(project, ())]


async def test_what_changes_is_told(with_notices: RedisReadModel) -> None:
    assert await notices_of(with_notices) == []
    await with_notices.writer.put_items("p1", [item(1), item(2)])
    await with_notices.writer.apply(
        "p1", [assigned(item(1), "c1"), changed("c1"), assigned(item(2), "c2"), changed("c2")]
    )
    await with_notices.writer.apply("p1", [assigned(item(2), "c1"), changed("c1", 2)])  # c2 is left empty
    await with_notices.writer.apply(
        "p1", [CommandDone("k1", "waiting", "", NOW), CommandDone("k1", "applied", "", NOW)]
    )
    await with_notices.writer.apply("p1", [ClusterMerged("c2", "c1", "person", "same", 0)])
    await with_notices.writer.apply("p1", [ClusterRestored("c2", "asked for")])
    await with_notices.writer.put_job_steps([step(0, "pending")])
    await with_notices.writer.put_job_steps([step(0, "pending")])  # a known step changes nothing
    await with_notices.writer.apply("p1", [ClusteringStatus("running", 7, "", NOW, 0.5, 1, 1, 1, 0.0, 0.62, 4)])
    await with_notices.writer.apply("p1", [ProposalsChanged(())])
    await with_notices.writer.put_project(Project("p1", "Demo", NOW))
    assert await notices_of(with_notices) == [
        Notice(items=2),
        Notice(clusters=("c1", "c2")),
        Notice(clusters=("c1", "c2")),
        Notice(commands=(CommandNotice("k1", "applied"),)),
        Notice(clusters=("c1", "c2")),
        Notice(clusters=("c2",)),
        Notice(clusters=("c1",), jobs=(JobNotice("j1", "c1", "pending"),)),
        Notice(clustering="running"),
    ]


async def test_so_many_clusters_are_named_and_no_more(with_notices: RedisReadModel) -> None:
    await with_notices.writer.apply("p1", [assigned(item(n), f"c{n:03}") for n in range(51)])
    [notice] = await notices_of(with_notices)
    assert (notice.clusters, notice.more_clusters) == (tuple(f"c{n:03}" for n in range(50)), True)


async def test_notices_go_on_after_an_id_each_project_its_own(with_notices: RedisReadModel) -> None:
    assert await with_notices.notices.span("p1") == (NO_NOTICE, NO_NOTICE)
    for n in range(3):
        await with_notices.writer.put_items("p1", [item(n)] * (n + 1))
    await with_notices.writer.put_items("p2", [item(1, "p2")])
    found = await with_notices.notices.after({"p1": NO_NOTICE, "p2": NO_NOTICE, "p3": NO_NOTICE}, limit=2)
    assert {p: len(entries) for p, entries in found.items()} == {"p1": 2, "p2": 1}
    last = found["p1"][-1][0]
    [(newest, _)] = (await with_notices.notices.after({"p1": last}, limit=2))["p1"]
    assert await with_notices.notices.span("p1") == (found["p1"][0][0], newest)
    assert await with_notices.notices.after({"p1": newest}, limit=2) == {}
    assert await with_notices.notices.after({}, limit=2) == {}


async def test_old_notices_give_way_to_new_ones(with_notices: RedisReadModel) -> None:
    for n in range(800):
        await with_notices.writer.put_job_steps([step(0, "pending", job=f"j{n}")])
    kept = await notices_of(with_notices)
    assert 500 <= len(kept) < 800
    assert [n.jobs[0].id for n in kept] == [f"j{n}" for n in range(800 - len(kept), 800)]


async def test_a_read_model_that_is_made_again_tells_nothing(
    with_notices: RedisReadModel, read_model: RedisReadModel
) -> None:
    await with_notices.writer.put_items("p1", [item(1)])
    await read_model.writer.clear()
    await read_model.writer.put_items("p1", [item(1)])
    await read_model.writer.apply("p1", [assigned(item(1), "c1"), changed("c1")])
    assert await notices_of(with_notices) == [Notice(items=1)]  # notices from before the clearing stay


# ---- all of it ------------------------------------------------------------------------------------------------------


async def test_every_write_twice_is_as_once(read_model: RedisReadModel) -> None:
    items = [item(n, minutes=n, source=["manual", "reddit"][n % 2]) for n in range(4)]
    writes: list[Callable[[], Awaitable[None]]] = [
        lambda: read_model.writer.put_items("p1", items),
        lambda: read_model.writer.apply("p1", [assigned(items[0], "c1"), assigned(items[1], "c1"), changed("c1", 2)]),
        lambda: read_model.writer.apply("p1", [assigned(items[2], "c2"), changed("c2", 1)]),
        lambda: read_model.writer.put_items("p1", [item(1, minutes=1, source="reddit", body="anew")]),
        lambda: read_model.writer.apply("p1", [assigned(items[2], "c1"), changed("c1", 3)]),
        lambda: read_model.writer.put_job_steps([step(0, "pending", log="0")]),
        lambda: read_model.writer.put_job_steps([step(1, "success", log="1")]),
        lambda: read_model.writer.put_project(Project("p1", "Demo", NOW)),
        lambda: read_model.writer.delete_items("p1", [items[2].id]),
        lambda: read_model.writer.apply("p1", [ItemRemoved(items[2].id, "c1", NOW), changed("c1", 2)]),
    ]
    for write in writes:
        await write()
        once = await everything(read_model)
        await write()
        assert await everything(read_model) == once
    for write in writes:  # once more from the start, as after a worker has gone back to an old offset
        await write()
    assert await everything(read_model) == once
    assert once[3] == Stats(3, 1, 1, {"manual": 1, "reddit": 2}, {"new": 1}, 1, once[3].stored_bytes)


# ---- people ---------------------------------------------------------------------------------------------------------

ADA = User("ada", NOW, "ada@example.com", "Ada 🙂", "4711", "ada")


async def test_a_user_comes_back_as_they_were(read_model: RedisReadModel) -> None:
    assert await read_model.members.user("ada") is None
    await read_model.writer.put_user(replace(ADA, name=None))
    await read_model.writer.put_user(ADA)
    assert await read_model.members.user("ada") == ADA


async def test_a_project_says_who_made_it(read_model: RedisReadModel) -> None:
    await read_model.writer.put_project(Project("p1", "Mine", NOW, "ada"))
    assert await read_model.projects.find("p1") == Project("p1", "Mine", NOW, "ada")
    await read_model.writer.put_project(Project("p2", "Nobody's", NOW))
    assert [project.created_by for project in await read_model.projects.list()] == ["ada", None]


async def test_members_are_found_from_both_sides(read_model: RedisReadModel) -> None:
    first = Membership("p1", "ada", "owner", NOW)
    second = Membership("p1", "bob", "viewer", NOW - timedelta(days=1))
    other = Membership("p2", "ada", "member", NOW)
    await read_model.writer.put_user(ADA)
    await read_model.writer.put_project(Project("p1", "z", NOW))
    await read_model.writer.put_project(Project("p2", "A", NOW))
    await read_model.writer.put_project(Project("p3", "b", NOW))
    for one in (first, second, other):
        await read_model.writer.put_member(one)
    assert await read_model.members.list("p1") == (MemberView(second), MemberView(first, ADA))
    assert await read_model.members.of_user("ada") == (first, other)
    assert [project.id for project in await read_model.projects.of_user("ada")] == ["p2", "p1"]
    assert await read_model.members.get("p1", "bob") == second
    for nobody in (await read_model.members.get("p2", "bob"), await read_model.members.get("p3", "ada")):
        assert nobody is None
    assert await read_model.members.list("p3") == ()
    assert await read_model.members.of_user("eve") == ()
    assert await read_model.projects.of_user("eve") == ()


async def test_who_was_removed_is_no_member_until_they_are_one_again(read_model: RedisReadModel) -> None:
    member = Membership("p1", "ada", "member", NOW)
    for one in (member, replace(member, removed_at=NOW), replace(member, removed_at=NOW)):
        await read_model.writer.put_member(one)
    assert await read_model.members.get("p1", "ada") is None
    assert await read_model.members.list("p1") == ()
    assert await read_model.members.of_user("ada") == ()
    again = replace(member, role="owner")
    await read_model.writer.put_member(again)
    assert await read_model.members.of_user("ada") == (again,)


async def test_people_are_cleared_with_the_rest(read_model: RedisReadModel) -> None:
    await read_model.writer.put_user(ADA)
    await read_model.writer.put_member(Membership("p1", "ada", "owner", NOW))
    await read_model.writer.clear()
    assert await read_model.members.user("ada") is None
    assert await read_model.members.get("p1", "ada") is None
    assert await read_model.members.of_user("ada") == ()


# ---- many at once ----------------------------------------------------------------------------------------------------


async def test_what_jobs_and_documents_take_is_counted_once(read_model: RedisReadModel) -> None:
    writer, stored = read_model.writer, read_model.projects.stored_bytes
    first, second = step(0, "pending", log="asked for"), step(1, "running", log="e" * 1000)
    await writer.put_job_steps([first])
    begun = await stored("p1")
    assert JOB_BYTES + STEP_BYTES < begun < JOB_BYTES + 3 * STEP_BYTES
    await writer.put_job_steps([first, second])
    both = await stored("p1")
    assert begun + STEP_BYTES + 1000 < both < begun + STEP_BYTES + 1500
    await writer.put_job_steps([second, first])
    assert await stored("p1") == both, "the same again takes no more"
    plans = [Document(f"d{n}", "p1", "c1", "plan", "é" * 700, NOW) for n in range(2)]
    size = sum(len(DOCUMENT.dump_json(plan)) + STEP_BYTES for plan in plans)
    for batch in (plans[:1], [*plans, *plans], plans):
        await writer.put_documents(batch)
    assert await stored("p1") == both + size
    assert await stored("p2") == 0


async def test_what_items_take_is_counted_by_project(read_model: RedisReadModel) -> None:
    async def counted() -> int:
        stats = await read_model.projects.stats("p1")
        assert await read_model.projects.stored_bytes("p1") == stats.stored_bytes
        return stats.stored_bytes

    assert await counted() == 0
    given = [item(n, body="é" * n) for n in range(1, 4)]
    size = sum(len(ITEM.dump_json(one)) + ITEM_BYTES for one in given)
    for batch in (given, given[:1], given):  # the same again takes no more
        await read_model.writer.put_items("p1", batch)
        assert await counted() == size
    longer = replace(given[0], body="b" * 5_000, updated_at=NOW)
    await read_model.writer.put_items("p1", [longer])
    size += len(ITEM.dump_json(longer)) - len(ITEM.dump_json(given[0]))
    assert await counted() == size
    await read_model.writer.put_items("p1", [replace(longer, body="old", updated_at=NOW - timedelta(days=1))])
    assert await counted() == size, "an older version changes nothing"
    await read_model.writer.put_items("p1", [replace(given[1], body="c" * 700)])  # without a time the last one counts
    size += len(ITEM.dump_json(replace(given[1], body="c" * 700))) - len(ITEM.dump_json(given[1]))
    assert await counted() == size
    for _ in range(2):
        await read_model.writer.delete_items("p1", [longer.id, "never-seen"])
        assert await counted() == size - len(ITEM.dump_json(longer)) - ITEM_BYTES + 2 * TOMBSTONE_BYTES
    await read_model.writer.put_items("p1", [longer])
    assert await counted() == size - len(ITEM.dump_json(longer)) - ITEM_BYTES + 2 * TOMBSTONE_BYTES
    await read_model.writer.put_items("p2", [item(1, "p2", body="x" * 9_000)])
    totals = await read_model.projects.totals()
    assert totals.largest_bytes == await read_model.projects.stored_bytes("p2")
    assert totals.stored_bytes == totals.largest_bytes + await counted()
    await read_model.writer.clear()
    assert await counted() == 0


def _batches(things: Sequence[T], size: int) -> list[Sequence[T]]:
    return [things[first : first + size] for first in range(0, len(things), size)]


async def test_what_is_counted_is_the_same_after_a_rebuild(read_model: RedisReadModel) -> None:
    writer, stored = read_model.writer, read_model.projects.stored_bytes
    given = [item(n) for n in range(4)]
    given.append(replace(given[0], body="longer than it was", updated_at=NOW))
    gone = [given[1].id, "never-seen"]
    removed = [ItemRemoved(gone[0], None, NOW)]
    steps = [step(0, "pending", log="asked for"), step(1, "running", log="é" * 90), step(0, "pending", job="j2")]
    plans = [Document(f"d{n}", "p1", "c1", "plan", "é" * 70, NOW) for n in range(2)]

    async def deliver(cut: int) -> None:
        """Write all of it, each topic in its order and in batches of `cut`."""
        for items in _batches(given, cut):
            await writer.put_items("p1", items)
        for ids in _batches(gone, cut):
            await writer.delete_items("p1", ids)
        for events in _batches(removed, cut):
            await writer.apply("p1", events)
        for some in _batches(steps, cut):
            await writer.put_job_steps(some)
        for documents in _batches(plans, cut):
            await writer.put_documents(documents)

    counts = []
    for cuts in ((100,), (1,), (2, 1), (1, 100, 3)):
        await writer.clear()
        for cut in cuts:
            await deliver(cut)
        counts.append(await stored("p1"))
    await writer.clear()
    await writer.delete_items("p1", gone)
    await deliver(100)
    assert counts == [await stored("p1")] * len(counts)


async def test_a_deletion_that_stopped_halfway_counts_once(
    read_model: RedisReadModel, redis_server: RedisServer
) -> None:
    one, kept = item(1), item(2)
    await read_model.writer.put_items("p1", [one, kept])
    async with Redis.from_url(redis_server.url) as redis:
        await redis.set(keys.assignments("p1"), "of another type")
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await read_model.writer.delete_items("p1", [one.id])
        await redis.delete(keys.assignments("p1"))
    await read_model.writer.delete_items("p1", [one.id])
    assert await read_model.projects.stored_bytes("p1") == len(ITEM.dump_json(kept)) + ITEM_BYTES + TOMBSTONE_BYTES


async def test_many_are_read_as_each_alone(read_model: RedisReadModel) -> None:
    await read_model.writer.put_items("p1", [item(1), item(2, source="reddit")])
    await read_model.writer.put_items("p2", [item(3, "p2")])
    await read_model.writer.apply("p1", [*opened("c1", 1), *opened("c2", 2), *opened("c3", 3)])
    await read_model.writer.apply("p1", [ClusterMerged("c2", "c1", "person", "same", 0)])
    await read_model.writer.put_job_steps([step(0, "pending", log="a"), step(1, "running", job="j2", log="b")])
    projects = ["p2", "nowhere", "p1"]
    stats = [await read_model.projects.stats(project) for project in projects]
    assert await read_model.projects.stats_of(projects) == tuple(stats)
    totals = await read_model.projects.totals()
    assert totals.items == sum(one.total_feedback for one in stats) == 3
    assert totals.unclustered == sum(one.unclustered for one in stats) == 3
    assert totals.clusters == sum(one.total_clusters for one in stats) == 2
    assert totals.queued_jobs == 0
    await read_model.writer.put_job_steps([replace(step(2, "pending", job="j3"), state="queued")])
    assert (await read_model.projects.totals()).queued_jobs == 1
    await read_model.writer.put_job_steps([step(3, "failed", job="j3")])
    assert (await read_model.projects.totals()).queued_jobs == 0
    assert await read_model.jobs.logs_of(["j2", "nowhere", "j1"]) == (("b",), (), ("a",))
    one = await read_model.clusters.get("p1", "c1")
    found = await read_model.clusters.get_many("p1", ["c1", "c2", "nowhere", "c3"])
    assert found == {"c1": one, "c2": one, "c3": await read_model.clusters.get("p1", "c3")}
    assert await read_model.projects.stats_of([]) == ()
    assert await read_model.jobs.logs_of([]) == ()
    assert await read_model.clusters.get_many("p1", []) == {}
