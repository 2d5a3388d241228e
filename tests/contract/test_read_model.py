"""What every ReadModel must do."""

import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from soulcaster.domain.commands import CommandKind
from soulcaster.domain.events import (
    ClusterChanged,
    ClusterEvent,
    ClusterMerged,
    ClusterReopened,
    ClusterRestored,
    CommandDone,
    ItemAssigned,
    ItemRemoved,
)
from soulcaster.domain.feedback import FeedbackItem
from soulcaster.domain.lifecycle import Triage
from soulcaster.ports import FeedbackView, HistoryEntry, Page, Project, ReadModel, Stats
from tests.unit.make import NOW, item, step

EMPTY = Stats(total_feedback=0, unclustered=0, total_clusters=0, by_source={}, by_status={"new": 0}, jobs=0)


def assigned(one: FeedbackItem, cluster: str) -> ItemAssigned:
    return ItemAssigned(one.id, one.created_at, cluster, "joined", 0.9, 0.5)


def changed(cluster: str, size: int = 1, *, hours: float = 0, title: str = "Late card") -> ClusterChanged:
    at = NOW + timedelta(hours=hours)
    return ClusterChanged(cluster, title, "People wait", size, ("github", "manual"), at, at + timedelta(hours=1))


def opened(cluster: str, size: int = 1, *, hours: float = 0) -> list[ClusterEvent]:
    """A cluster as it comes: its items, then the cluster as it stands with them."""
    items = [item(f"{cluster} {n}") for n in range(min(size, 2))]
    return [*(assigned(i, cluster) for i in items), changed(cluster, size, hours=hours)]


async def listed(model: ReadModel, project: str = "p1", **where: Any) -> list[str]:
    asked = {"source": None, "cluster_id": None, "limit": 100, "offset": 0} | where
    return [view.item.external_id for view in (await model.feedback(project, **asked)).items]


async def ranked(model: ReadModel, project: str = "p1") -> list[str]:
    return [c.id for c in (await model.clusters(project, limit=100, offset=0)).items]


async def everything(model: ReadModel, project: str = "p1") -> list[Any]:
    clusters = await model.clusters(project, limit=100, offset=0)
    jobs = await model.jobs(project, cluster_id=None, limit=100, offset=0)
    return [
        await model.feedback(project, source=None, cluster_id=None, limit=100, offset=0),
        clusters,
        [await listed(model, project, cluster_id=c.id) for c in clusters.items],
        await model.stats(project),
        jobs,
        [await model.job_logs(job.id) for job in jobs.items],
        await model.projects(),
    ]


async def test_empty(read_model: ReadModel) -> None:
    await read_model.ping()
    assert await read_model.projects() == ()
    assert await read_model.project("p1") is None
    assert await read_model.feedback("p1", source=None, cluster_id=None, limit=10, offset=0) == Page((), 0)
    assert await read_model.clusters("p1", limit=10, offset=0) == Page((), 0)
    assert await read_model.jobs("p1", cluster_id=None, limit=10, offset=0) == Page((), 0)
    assert await read_model.feedback_item("p1", "i") is None
    assert await read_model.cluster("p1", "c") is None
    assert await read_model.job("j") is None
    assert await read_model.job_logs("j") == ()
    assert await read_model.stats("p1") == EMPTY


# ---- items ----------------------------------------------------------------------------------------------------------


async def test_an_item_comes_back_as_it_was(read_model: ReadModel) -> None:
    given = item(
        1,
        title="Grüße 🙂",
        body="one\n\ttwo \ufffd <script>",
        author="someone",
        url="https://example.org",
        github_repo_url="https://github.com/a/b",
        metadata={"a": [1, None, {"b": 1.5}], "big": 10**30},
    )
    await read_model.put_items("p1", [given])
    assert await read_model.feedback_item("p1", given.id) == FeedbackView(given, None)
    assert await read_model.feedback_item("p2", given.id) is None


async def test_nothing_put_is_nothing(read_model: ReadModel) -> None:
    await read_model.put_items("p1", [])
    assert await read_model.stats("p1") == EMPTY


async def test_the_newest_version_wins_within_a_call_and_after_it(read_model: ReadModel) -> None:
    await read_model.put_items("p1", [item(1, body="a"), item(2), item(1, body="b")])
    found = await read_model.feedback_item("p1", item(1).id)
    assert found is not None
    assert found.item.body == "b"
    await read_model.put_items("p1", [item(1, body="c", minutes=9)])
    assert await listed(read_model) == ["1", "2"]
    assert (await read_model.stats("p1")).total_feedback == 2


async def test_newest_first_page_by_page(read_model: ReadModel) -> None:
    minutes = [3, 1, 4, 0.5, 5, 9, 2, 6]
    await read_model.put_items("p1", [item(m, minutes=m) for m in minutes])
    await read_model.put_items("p2", [item("of another", "p2", minutes=99)])
    expected = [str(m) for m in sorted(minutes, reverse=True)]
    assert await listed(read_model) == expected
    pages = [await read_model.feedback("p1", source=None, cluster_id=None, limit=3, offset=n) for n in (0, 3, 6, 9)]
    assert [v.item.external_id for page in pages for v in page.items] == expected
    assert {page.total for page in pages} == {len(minutes)}
    assert [len(page.items) for page in pages] == [3, 3, 2, 0]


async def test_by_source_and_by_cluster(read_model: ReadModel) -> None:
    items = [item(n, minutes=n, source=["manual", "reddit", "github"][n % 3]) for n in range(9)]
    await read_model.put_items("p1", items)
    await read_model.apply(
        "p1", [*(assigned(i, f"c{n % 2}") for n, i in enumerate(items)), changed("c0"), changed("c1")]
    )
    assert await listed(read_model, source="reddit") == ["7", "4", "1"]
    assert await listed(read_model, cluster_id="c0") == ["8", "6", "4", "2", "0"]
    both = await read_model.feedback("p1", source="reddit", cluster_id="c1", limit=1, offset=1)
    assert ([v.item.external_id for v in both.items], both.total) == (["1"], 2)
    assert await listed(read_model, source="unknown") == []
    assert await listed(read_model, cluster_id="unknown") == []
    assert (await read_model.feedback("p1", source="reddit", cluster_id=None, limit=1, offset=0)).total == 3


# ---- clusters -------------------------------------------------------------------------------------------------------


async def test_an_item_is_unclustered_until_it_is_assigned(read_model: ReadModel) -> None:
    await read_model.put_items("p1", [item(1), item(2)])
    assert (await read_model.stats("p1")).unclustered == 2
    await read_model.apply("p1", [assigned(item(1), "c1"), changed("c1")])
    view = await read_model.feedback_item("p1", item(1).id)
    assert view is not None
    assert view.cluster_id == "c1"
    assert (await read_model.stats("p1")).unclustered == 1
    # A new version of it does not make it unclustered again.
    await read_model.put_items("p1", [item(1, body="anew")])
    assert (await read_model.stats("p1")).unclustered == 1
    assert await listed(read_model, cluster_id="c1") == ["1"]


async def test_an_item_after_its_assignment_is_clustered_from_the_start(read_model: ReadModel) -> None:
    await read_model.apply("p1", [assigned(item(1), "c1"), changed("c1")])
    assert await read_model.feedback_item("p1", item(1).id) is None
    assert await listed(read_model, cluster_id="c1") == []
    await read_model.put_items("p1", [item(1), item(2)])
    stats = await read_model.stats("p1")
    assert (stats.total_feedback, stats.unclustered) == (2, 1)
    assert await listed(read_model, cluster_id="c1") == ["1"]


async def test_a_cluster_as_it_stands(read_model: ReadModel) -> None:
    await read_model.apply("p1", [assigned(item(1), "c1"), changed("c1", 1, title="First")])
    await read_model.apply("p1", [changed("c1", 2), changed("c1", 3, title="Grüße 🙂")])
    found = await read_model.cluster("p1", "c1")
    assert found is not None
    assert (found.project_id, found.id, found.title, found.summary) == ("p1", "c1", "Grüße 🙂", "People wait")
    assert (found.size, found.sources, found.status) == (3, ("github", "manual"), "new")
    assert (found.created_at, found.updated_at) == (NOW, NOW + timedelta(hours=1))
    assert (found.github_pr_url, found.error_message) == (None, None)
    assert await read_model.cluster("p2", "c1") is None


async def test_largest_first_then_newer_first_page_by_page(read_model: ReadModel) -> None:
    sizes = {"a": (5, 3), "b": (7, 0), "c": (5, 1), "d": (5, 2), "e": (1, 9), "f": (100_000, -1), "g": (100_000, -2)}
    for cluster, (size, hours) in sizes.items():
        await read_model.apply("p1", opened(cluster, size, hours=hours))
    assert await ranked(read_model) == ["f", "g", "b", "a", "d", "c", "e"]
    pages = [await read_model.clusters("p1", limit=3, offset=n) for n in (0, 3, 6)]
    assert [c.id for page in pages for c in page.items] == ["f", "g", "b", "a", "d", "c", "e"]
    assert {page.total for page in pages} == {7}
    await read_model.apply("p1", [changed("e", 8)])
    assert await ranked(read_model) == ["f", "g", "e", "b", "a", "d", "c"]


async def test_ranks_of_very_old_and_very_new_clusters(read_model: ReadModel) -> None:
    old, new = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
    await read_model.apply(
        "p1",
        [
            *(assigned(item(cluster), cluster) for cluster in ("old", "new", "larger")),
            ClusterChanged("old", "t", "s", 2, (), old, old),
            ClusterChanged("new", "t", "s", 1, (), new, new),
            ClusterChanged("larger", "t", "s", 3, (), old, old),
        ],
    )
    assert await ranked(read_model) == ["larger", "old", "new"]
    found = await read_model.cluster("p1", "old")
    assert found is not None
    assert (found.created_at, found.sources) == (old, ())


async def test_a_moved_item_is_in_one_cluster(read_model: ReadModel) -> None:
    await read_model.put_items("p1", [item(1), item(2, minutes=1)])
    await read_model.apply("p1", [assigned(item(1), "c1"), assigned(item(2), "c1"), changed("c1", 2)])
    await read_model.apply("p1", [assigned(item(1), "c2"), changed("c2", 1), changed("c1", 1)])
    assert await listed(read_model, cluster_id="c1") == ["2"]
    assert await listed(read_model, cluster_id="c2") == ["1"]
    assert (await read_model.stats("p1")).total_clusters == 2


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 6])
async def test_a_cluster_that_was_left_is_forgotten_however_its_events_are_cut(read_model: ReadModel, cut: int) -> None:
    events: list[ClusterEvent] = [
        assigned(item(1), "c1"),
        changed("c1", 1),
        assigned(item(2), "c2"),
        changed("c2", 1),
        assigned(item(1), "c2"),
        changed("c2", 2),
    ]
    await read_model.put_items("p1", [item(1), item(2)])
    for start in range(0, len(events), cut):
        await read_model.apply("p1", events[start : start + cut])
    assert await ranked(read_model) == ["c2"]
    assert await read_model.cluster("p1", "c1") is None
    assert sorted(await listed(read_model, cluster_id="c2")) == ["1", "2"]
    assert (await read_model.stats("p1")).total_clusters == 1


async def test_a_cluster_that_fills_again_is_there_again(read_model: ReadModel) -> None:
    await read_model.apply("p1", [assigned(item(1), "c1"), changed("c1")])
    await read_model.apply("p1", [assigned(item(1), "c2"), changed("c2")])
    assert await ranked(read_model) == ["c2"]
    await read_model.apply("p1", [assigned(item(1), "c1"), changed("c1")])
    assert await ranked(read_model) == ["c1"]


async def test_two_items_that_change_places(read_model: ReadModel) -> None:
    await read_model.put_items("p1", [item(1), item(2)])
    await read_model.apply("p1", [assigned(item(1), "c1"), assigned(item(2), "c2"), changed("c1"), changed("c2")])
    await read_model.apply("p1", [assigned(item(1), "c2"), assigned(item(2), "c1"), changed("c1"), changed("c2")])
    assert sorted(await ranked(read_model)) == ["c1", "c2"]
    assert (await listed(read_model, cluster_id="c1"), await listed(read_model, cluster_id="c2")) == (["2"], ["1"])


# ---- deletion ------------------------------------------------------------------------------------------------------


async def test_a_deleted_item_is_gone_everywhere_and_does_not_come_back(read_model: ReadModel) -> None:
    items = [item(1), item(2, source="reddit"), item(3)]
    await read_model.put_items("p1", items)
    await read_model.put_items("p2", [item(1, "p2")])
    await read_model.apply("p1", [*(assigned(i, "c1") for i in items[:2]), changed("c1", 2)])
    for _ in range(2):
        await read_model.delete_items("p1", [items[1].id])
        await read_model.put_items("p1", [item(2, source="reddit", body="anew")])
        assert await read_model.feedback_item("p1", items[1].id) is None
        assert sorted(await listed(read_model)) == ["1", "3"]
        assert await listed(read_model, source="reddit") == []
        assert await listed(read_model, cluster_id="c1") == ["1"]
        stats = await read_model.stats("p1")
        assert (stats.total_feedback, stats.unclustered, stats.by_source) == (2, 1, {"manual": 2})
    await read_model.delete_items("p1", [items[2].id])
    assert (await read_model.stats("p1")).unclustered == 0
    assert await listed(read_model, "p2") == ["1"]
    await read_model.delete_items("p1", [])


async def test_a_cluster_whose_last_item_is_removed_is_gone(read_model: ReadModel) -> None:
    await read_model.put_items("p1", [item(1), item(2)])
    await read_model.apply("p1", [assigned(item(1), "c1"), changed("c1"), assigned(item(2), "c2"), changed("c2")])
    await read_model.put_job(step(0, "failed", cluster="c1"))
    await read_model.delete_items("p1", [item(1).id])
    assert await ranked(read_model) == ["c2"]
    await read_model.apply("p1", [ItemRemoved(item(1).id, "c1", NOW), changed("c1", 0)])
    assert await read_model.cluster("p1", "c1") is None
    stats = await read_model.stats("p1")
    assert (stats.total_feedback, stats.total_clusters, stats.by_status) == (1, 1, {"new": 1})


async def test_whoever_is_told_that_it_was_done_sees_it_though_the_tombstone_is_late(read_model: ReadModel) -> None:
    await read_model.put_items("p1", [item(1)])
    await read_model.apply("p1", [assigned(item(1), "c1"), changed("c1")])
    await read_model.apply(
        "p1", [ItemRemoved(item(1).id, "c1", NOW, "k"), CommandDone("k", "applied", "deleted", NOW, None, ("c1",))]
    )
    assert await everything(read_model) == [
        Page((), 0),
        Page((), 0),
        [],
        EMPTY,
        Page((), 0),
        [],
        await read_model.projects(),
    ]
    # Older events and versions again, as after a restart, and the tombstone at last.
    await read_model.put_items("p1", [item(1)])
    await read_model.apply("p1", [assigned(item(1), "c1"), changed("c1"), ItemRemoved(item(1).id, "c1", NOW, "k")])
    await read_model.delete_items("p1", [item(1).id])
    assert await read_model.stats("p1") == EMPTY
    assert await read_model.clusters("p1", limit=9, offset=0) == Page((), 0)


async def test_a_deleted_item_is_gone_from_what_its_cluster_was_merged_into(read_model: ReadModel) -> None:
    await read_model.put_items("p1", [item(1), item(2)])
    await read_model.apply("p1", [assigned(item(1), "c1"), changed("c1"), assigned(item(2), "c2"), changed("c2")])
    await read_model.apply("p1", [ClusterMerged("c2", "c1", "person", "same", 0), changed("c1", 2)])
    await read_model.delete_items("p1", [item(2).id])
    assert await listed(read_model, cluster_id="c1") == await listed(read_model, cluster_id="c2") == ["1"]
    await read_model.apply("p1", [ItemRemoved(item(2).id, "c1", NOW), changed("c1", 1)])
    await read_model.apply("p1", [ClusterRestored("c2", "asked for"), changed("c1", 1)])
    assert await listed(read_model, cluster_id="c2") == []
    assert await ranked(read_model) == ["c1"]


async def test_a_cluster_without_a_title_is_called_by_its_newest_item(read_model: ReadModel) -> None:
    await read_model.put_items(
        "p1", [item(1, title="Old", body="older"), item(2, title="New", body="x" * 999, minutes=1)]
    )
    nameless = replace(changed("c1", 2), title="", summary="")
    await read_model.apply("p1", [assigned(item(1), "c1"), assigned(item(2), "c1"), nameless])
    found = await read_model.cluster("p1", "c1")
    assert found is not None
    assert (found.title, found.summary) == ("New", ("New\n" + "x" * 999)[:280])
    await read_model.delete_items("p1", [item(2).id])
    [found] = (await read_model.clusters("p1", limit=9, offset=0)).items
    assert (found.title, found.summary) == ("Old", "Old\nolder")
    await read_model.apply("p1", [assigned(item(3), "c2"), replace(nameless, cluster_id="c2")])  # not there yet
    found = await read_model.cluster("p1", "c2")
    assert found is not None
    assert found.title == ""


# ---- muted and resolved --------------------------------------------------------------------------------------------


async def test_what_people_made_of_a_cluster_is_its_status(read_model: ReadModel) -> None:
    await read_model.apply("p1", [*opened("c1"), *opened("c2"), *opened("c3")])
    await read_model.put_job(step(0, "running", job="j2", cluster="c2"))
    await read_model.put_job(step(0, "failed", job="j3", cluster="c3"))

    async def told(**triage: Triage) -> list[str]:
        await read_model.apply("p1", [replace(changed(c), triage=t) for c, t in triage.items()])
        found = [await read_model.cluster("p1", c) for c in ("c1", "c2", "c3")]
        by_status = (await read_model.stats("p1")).by_status
        assert {s: n for s, n in by_status.items() if n} == Counter(c.status for c in found if c)
        return [c.status for c in found if c]

    assert await told() == ["new", "fixing", "failed"]
    assert await told(c1="muted", c2="resolved", c3="muted") == ["muted", "fixing", "muted"]
    await read_model.put_job(step(1, "success", job="j2", cluster="c2"))
    assert await told(c3="resolved") == ["muted", "resolved", "resolved"]
    assert await told(c1="open", c2="open", c3="open") == ["new", "new", "failed"]
    await told(c1="muted", c2="resolved")
    await read_model.apply("p1", [ClusterMerged("c1", "c3", "person", "same", 0), changed("c3", 2)])
    assert (await read_model.stats("p1")).by_status == {"failed": 1, "resolved": 1, "new": 0}
    await read_model.apply("p1", [ItemRemoved(item("c2 0").id, "c2", NOW)])
    assert (await read_model.stats("p1")).by_status == {"failed": 1, "new": 0}


async def test_history_says_what_people_made_of_a_cluster_and_why_it_is_open_again(read_model: ReadModel) -> None:
    at = [NOW + timedelta(minutes=n) for n in range(4)]
    kinds: list[CommandKind] = ["mute", "reopen", "resolve"]
    done = [CommandDone(f"k{n}", "applied", f"{k}!", at[n], k, ("c1",)) for n, k in enumerate(kinds)]
    for _ in range(2):
        await read_model.apply("p1", [*opened("c1"), *done, ClusterReopened("c1", "it came back", at[3])])
    assert await read_model.history("p1", "c1") == (
        HistoryEntry("reopened", "consolidation", "it came back", at[3]),
        HistoryEntry("resolve", "person", "resolve!", at[2], None, "k2"),
        HistoryEntry("reopen", "person", "reopen!", at[1], None, "k1"),
        HistoryEntry("mute", "person", "mute!", at[0], None, "k0"),
    )


# ---- jobs -----------------------------------------------------------------------------------------------------------


async def test_a_job_and_its_cluster(read_model: ReadModel) -> None:
    await read_model.apply("p1", [*opened("c1"), *opened("c2")])
    expected = {"pending": "fixing", "running": "fixing", "success": "pr_opened"}
    for seq, (status, of_cluster) in enumerate(expected.items()):
        url = "https://example.org/pull/1" if status == "success" else None
        await read_model.put_job(step(seq, status, log=f"line {seq}", pr_url=url))  # type: ignore[arg-type]
        job = await read_model.job("j1")
        assert job is not None
        assert (job.status, job.seq, job.cluster_id, job.project_id) == (status, seq, "c1", "p1")
        cluster = await read_model.cluster("p1", "c1")
        assert cluster is not None
        assert (cluster.status, cluster.github_pr_url) == (of_cluster, url)
        assert (await read_model.stats("p1")).by_status == {of_cluster: 1, "new": 1}
    assert await read_model.job_logs("j1") == ("line 0", "line 1", "line 2")


async def test_the_newest_job_says_what_its_cluster_is(read_model: ReadModel) -> None:
    await read_model.apply("p1", opened("c1"))
    await read_model.put_job(step(0, "failed", job="a", error="boom"))
    await read_model.put_job(step(60, "running", job="b"))
    cluster = await read_model.cluster("p1", "c1")
    assert cluster is not None
    assert (cluster.status, cluster.error_message) == ("fixing", None)
    jobs = await read_model.jobs("p1", cluster_id="c1", limit=10, offset=0)
    assert ([j.id for j in jobs.items], jobs.total) == (["b", "a"], 2)
    assert (await read_model.stats("p1")).by_status == {"fixing": 1, "new": 0}


STEPS = [
    step(0, "pending", log="0"),
    step(1, "running", log="1"),
    step(2, "running", log="2"),
    step(3, "failed", log="3", error="boom"),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=lambda o: "".join(map(str, o)))
async def test_steps_out_of_order_never_take_a_job_back(read_model: ReadModel, order: tuple[int, ...]) -> None:
    newest = -1
    for place in order:
        await read_model.put_job(STEPS[place])
        newest = max(newest, place)
        job = await read_model.job("j1")
        assert job is not None
        assert (job.seq, job.status) == (newest, STEPS[newest].status)
    for place in order:
        await read_model.put_job(STEPS[place])
    job = await read_model.job("j1")
    assert job is not None
    assert (job.seq, job.status, job.error, job.updated_at) == (3, "failed", "boom", STEPS[3].at)
    logs = await read_model.job_logs("j1")
    assert list(logs) == sorted(set(logs))
    assert logs[-1] == "3"


async def test_more_than_ten_log_lines_are_in_order(read_model: ReadModel) -> None:
    for seq in range(15):
        await read_model.put_job(step(seq, log=f"line {seq}" if seq != 7 else None))
    assert await read_model.job_logs("j1") == tuple(f"line {seq}" for seq in range(15) if seq != 7)


async def test_jobs_newest_first_page_by_page(read_model: ReadModel) -> None:
    for n in (2, 0, 3, 1, 4):
        await read_model.put_job(step(n, "pending", job=f"j{n}", cluster=f"c{n % 2}"))
    await read_model.put_job(step(9, "pending", job="other", project="p2", cluster="c9"))
    pages = [await read_model.jobs("p1", cluster_id=None, limit=2, offset=n) for n in (0, 2, 4)]
    assert [j.id for page in pages for j in page.items] == ["j4", "j3", "j2", "j1", "j0"]
    assert {page.total for page in pages} == {5}
    assert [j.id for j in (await read_model.jobs("p1", cluster_id="c1", limit=9, offset=0)).items] == ["j3", "j1"]
    assert (await read_model.stats("p1")).jobs == 5


async def test_a_job_of_a_cluster_not_known_yet_counts_among_no_status(read_model: ReadModel) -> None:
    await read_model.put_job(step(0, "pending"))
    assert (await read_model.stats("p1")).by_status == {"new": 0}
    await read_model.apply("p1", [*opened("c1"), *opened("c2")])
    assert (await read_model.stats("p1")).by_status == {"fixing": 1, "new": 1}


# ---- projects -------------------------------------------------------------------------------------------------------


async def test_projects_by_id_and_by_name(read_model: ReadModel) -> None:
    await read_model.put_items("p9", [item(1, "p9")])  # known by its items alone
    await read_model.put_project(Project("p1", "beta", NOW))
    await read_model.put_project(Project("p2", "Alpha", NOW))
    assert [(p.id, p.name) for p in await read_model.projects()] == [("p2", "Alpha"), ("p1", "beta"), ("p9", "p9")]
    assert await read_model.project("p1") == await read_model.project("beta") == Project("p1", "beta", NOW)
    assert await read_model.project("p9") == Project("p9", "p9", None)
    assert await read_model.project("Beta") is None
    await read_model.put_project(Project("p1", "gamma", NOW))
    assert await read_model.project("beta") is None
    assert await read_model.project("gamma") == Project("p1", "gamma", NOW)


async def test_an_id_goes_before_a_name_and_the_older_before_the_newer(read_model: ReadModel) -> None:
    await read_model.put_project(Project("p1", "p2", NOW))
    await read_model.put_project(Project("p2", "Demo", NOW))
    await read_model.put_project(Project("p3", "Demo", NOW - timedelta(days=1)))
    found = await read_model.project("p2")
    assert found is not None
    assert found.id == "p2"
    found = await read_model.project("Demo")
    assert found is not None
    assert found.id == "p3"


# ---- cursors ---------------------------------------------------------------------------------------------------------


async def test_a_list_goes_on_after_a_cursor_whatever_has_come_or_gone(read_model: ReadModel) -> None:
    await read_model.put_items("p1", [item(n, minutes=n) for n in range(10)])
    first = await read_model.feedback("p1", source=None, cluster_id=None, limit=4, offset=0)
    await read_model.put_items("p1", [item(n, minutes=n) for n in range(10, 14)])  # newer: above all
    second = await read_model.feedback("p1", source=None, cluster_id=None, limit=4, offset=0, after=first.next)
    third = await read_model.feedback("p1", source=None, cluster_id=None, limit=4, offset=9, after=second.next)
    shown = [view.item.external_id for page in (first, second, third) for view in page.items]
    assert shown == [str(n) for n in reversed(range(10))]
    assert (first.total, second.total, third.total, third.next) == (10, 14, 14, None)


async def test_a_cursor_of_a_source_within_a_cluster(read_model: ReadModel) -> None:
    items = [item(n, minutes=n // 2) for n in range(5)]  # some at the same time
    await read_model.put_items("p1", items)
    await read_model.apply("p1", [*(assigned(i, "c1") for i in items), changed("c1", 5)])
    source, after, shown = items[0].source, None, []
    while True:
        page = await read_model.feedback("p1", source=source, cluster_id="c1", limit=2, offset=0, after=after)
        shown += [view.item.id for view in page.items]
        after = page.next
        if after is None:
            break
    assert shown == [i.id for i in sorted(items, key=lambda i: (i.created_at, i.id), reverse=True)]


async def test_a_cursor_whose_cluster_was_merged_goes_on_from_where_it_stood(read_model: ReadModel) -> None:
    items = [item(n) for n in range(6)]
    await read_model.put_items("p1", items)
    sizes = {"c1": items[:3], "c2": items[3:5], "c3": items[5:]}
    for cluster, of in sizes.items():
        await read_model.apply("p1", [*(assigned(i, cluster) for i in of), changed(cluster, len(of))])
    first = await read_model.clusters("p1", limit=2, offset=0)
    assert [c.id for c in first.items] == ["c1", "c2"]
    await read_model.apply("p1", [ClusterMerged("c2", "c1", "person", "same", 0), changed("c1", 5)])
    rest = await read_model.clusters("p1", limit=2, offset=0, after=first.next)
    assert [c.id for c in rest.items] == ["c3"]
    assert rest.next is None


async def test_a_cursor_of_jobs(read_model: ReadModel) -> None:
    for n in range(3):
        await read_model.put_job(replace(step(0, "pending"), job_id=f"j{n}", at=NOW + timedelta(minutes=n)))
    first = await read_model.jobs("p1", cluster_id=None, limit=2, offset=0)
    rest = await read_model.jobs("p1", cluster_id=None, limit=2, offset=0, after=first.next)
    assert [job.id for job in (*first.items, *rest.items)] == ["j2", "j1", "j0"]


# ---- all of it ------------------------------------------------------------------------------------------------------


async def test_every_write_twice_is_as_once(read_model: ReadModel) -> None:
    items = [item(n, minutes=n, source=["manual", "reddit"][n % 2]) for n in range(4)]
    writes: list[Callable[[], Awaitable[None]]] = [
        lambda: read_model.put_items("p1", items),
        lambda: read_model.apply("p1", [assigned(items[0], "c1"), assigned(items[1], "c1"), changed("c1", 2)]),
        lambda: read_model.apply("p1", [assigned(items[2], "c2"), changed("c2", 1)]),
        lambda: read_model.put_items("p1", [item(1, minutes=1, source="reddit", body="anew")]),
        lambda: read_model.apply("p1", [assigned(items[2], "c1"), changed("c1", 3)]),
        lambda: read_model.put_job(step(0, "pending", log="0")),
        lambda: read_model.put_job(step(1, "success", log="1")),
        lambda: read_model.put_project(Project("p1", "Demo", NOW)),
        lambda: read_model.delete_items("p1", [items[2].id]),
        lambda: read_model.apply("p1", [ItemRemoved(items[2].id, "c1", NOW), changed("c1", 2)]),
    ]
    for write in writes:
        await write()
        once = await everything(read_model)
        await write()
        assert await everything(read_model) == once
    for write in writes:  # and all of it once more, from the start, as when a worker takes up an old offset
        await write()
    assert await everything(read_model) == once
    assert once[3] == Stats(3, 1, 1, {"manual": 1, "reddit": 2}, {"new": 1}, 1)
