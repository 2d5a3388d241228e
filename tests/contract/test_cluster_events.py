"""Clusters in the read model that merge, split and come back; commands, proposals and the state of clustering."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.history import HISTORY_ENTRIES
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.assignment import Assignment
from soulcaster.domain.events import (
    ClusterChanged,
    ClusterEvent,
    ClusteringConfigured,
    ClusteringStatus,
    ClusterMerged,
    ClusterRestored,
    ClusterSplit,
    CommandDone,
    ItemAssigned,
    ItemRemoved,
    Proposal,
    ProposalsChanged,
    Theme,
    ThemesChanged,
)
from soulcaster.ports.clusters import ClusterView, HistoryEntry
from soulcaster.ports.commands import CommandView
from tests.conftest import RedisServer
from tests.support.make import NOW, item, step
from tests.support.upstash import Upstash

STATUS = ClusteringStatus("idle", 7, "nothing to do", NOW, 0.5, 100, 90, 8, 0.01, 0.62, 4)


def put(n: int, cluster: str) -> ItemAssigned:
    return ItemAssigned(item(n).id, NOW + timedelta(minutes=n), cluster, change="joined", score=0.9, threshold=0.5)


def changed(cluster: str, size: int) -> ClusterChanged:
    return ClusterChanged(cluster, f"Title {cluster}", f"{size} of them", size, ("manual",), NOW, NOW)


def merged(cluster: str, into: str, *, minutes: float = 0) -> ClusterMerged:
    return ClusterMerged(cluster, into, "consolidation", "they say the same", 1, NOW + timedelta(minutes=minutes))


def restored(cluster: str, *, minutes: float = 0) -> ClusterRestored:
    return ClusterRestored(cluster, "asked for", NOW + timedelta(minutes=minutes), "k1")


async def read(model: RedisReadModel, cluster: str, project: str = "p1") -> tuple[str, list[str]] | None:
    """The id that a cluster's id resolves to, and its items; None when there is no such cluster."""
    found = await model.clusters.get(project, cluster)
    if found is None:
        return None
    page = await model.feedback.list(project, source=None, cluster_id=cluster, limit=100, offset=0)
    assert {view.cluster_id for view in page.items} <= {found.id}
    return found.id, [view.item.external_id for view in reversed(page.items)]


async def two_clusters(model: RedisReadModel) -> None:
    await model.writer.put_items("p1", [item(n, minutes=n) for n in range(5)])
    await model.writer.apply(
        "p1", [put(0, "a"), put(1, "a"), put(2, "b"), put(3, "b"), changed("a", 2), changed("b", 2)]
    )


# ---- why, and what a cluster is ------------------------------------------------------------------------------------


async def test_why_an_item_is_where_it_is(read_model: RedisReadModel) -> None:
    why = ItemAssigned(
        item(1).id,
        NOW,
        "a",
        change="moved",
        score=0.75,
        threshold=0.5,
        runner_up_id="b",
        runner_up_score=0.25,
        rule="person",
        calibration=3,
        round=7,
        embedder="static@1",
        reason="Grüße 🙂 <script>",
    )
    await read_model.writer.put_items("p1", [item(1), item(2)])
    await read_model.writer.apply("p1", [put(1, "b"), put(2, "b"), why])
    view = await read_model.feedback.get("p1", item(1).id)
    assert view is not None
    assert view.assignment == Assignment(
        change="moved",
        score=0.75,
        threshold=0.5,
        runner_up_id="b",
        runner_up_score=0.25,
        rule="person",
        calibration=3,
        round=7,
        embedder="static@1",
        reason="Grüße 🙂 <script>",
    )
    view = await read_model.feedback.get("p1", item(2).id)
    assert view is not None
    assert view.assignment == Assignment(change="joined", score=0.9, threshold=0.5)


async def test_all_of_a_cluster(read_model: RedisReadModel) -> None:
    full = ClusterChanged(
        "a", "T", "S", 2, (), NOW, NOW, ("late", 'card "x"'), -0.25, "person", pinned=True, parent_id="b"
    )
    await read_model.writer.apply("p1", [put(1, "a"), full])
    found = await read_model.clusters.get("p1", "a")
    assert found == ClusterView(
        "p1", "a", "T", "S", "new", 2, (), NOW, NOW, None, None, ("late", 'card "x"'), -0.25, "person", True, "b"
    )
    await read_model.writer.apply("p1", [changed("a", 1)])
    found = await read_model.clusters.get("p1", "a")
    assert found is not None
    assert (found.terms, found.coherence, found.titled_by, found.pinned, found.parent_id) == (
        (), None, "machine", False, None,
    )  # fmt: skip


async def test_a_cluster_shows_while_it_has_items(read_model: RedisReadModel) -> None:
    await read_model.writer.apply("p1", [changed("a", 1)])
    assert await read_model.clusters.get("p1", "a") is None
    await read_model.writer.apply("p1", [put(1, "a"), changed("a", 1)])
    assert await read_model.clusters.get("p1", "a") is not None
    await read_model.writer.apply("p1", [put(1, "b"), changed("b", 1), changed("a", 0)])
    assert await read_model.clusters.get("p1", "a") is None
    # The events from before it was left come again.
    await read_model.writer.apply("p1", [changed("a", 1), put(1, "b"), changed("b", 1), changed("a", 0)])
    assert await read_model.clusters.get("p1", "a") is None


# ---- merge, split, restore -----------------------------------------------------------------------------------------


async def test_a_merged_cluster_is_read_as_the_other(read_model: RedisReadModel) -> None:
    await two_clusters(read_model)
    await read_model.writer.apply("p1", [merged("b", "a"), changed("a", 4)])
    assert await read(read_model, "a") == await read(read_model, "b") == ("a", ["0", "1", "2", "3"])
    page = await read_model.clusters.list("p1", limit=9, offset=0)
    assert ([c.id for c in page.items], page.total) == (["a"], 1)
    assert (await read_model.projects.stats("p1")).total_clusters == 1
    view = await read_model.feedback.get("p1", item(2).id)
    assert view is not None
    assert view.cluster_id == "a"
    assert await read_model.clusters.get("p2", "b") is None


async def test_an_assignment_to_a_merged_cluster_lands_right(read_model: RedisReadModel) -> None:
    await two_clusters(read_model)
    await read_model.writer.apply("p1", [merged("b", "a"), changed("a", 4)])
    await read_model.writer.apply("p1", [put(4, "b"), changed("b", 3)])
    assert await read(read_model, "b") == ("a", ["0", "1", "2", "3", "4"])
    assert (await read_model.projects.stats("p1")).total_clusters == 1


async def test_chains_resolve_and_can_be_undone_in_the_middle(read_model: RedisReadModel) -> None:
    await two_clusters(read_model)
    await read_model.writer.apply(
        "p1", [put(4, "c"), changed("c", 1), merged("b", "a"), merged("a", "c"), changed("c", 5)]
    )
    everything = ("c", ["0", "1", "2", "3", "4"])
    assert [await read(read_model, c) for c in "abc"] == [everything] * 3
    own = [put(n, "a") for n in range(4)]
    await read_model.writer.apply("p1", [restored("a"), *own, changed("a", 4), changed("c", 1)])
    assert [await read(read_model, c) for c in "abc"] == [("a", ["0", "1", "2", "3"])] * 2 + [("c", ["4"])]


async def test_an_item_that_leaves_after_the_merge_has_left_for_good(read_model: RedisReadModel) -> None:
    await two_clusters(read_model)
    await read_model.writer.apply("p1", [merged("b", "a"), put(2, "c"), changed("a", 3), changed("c", 1)])
    assert await read(read_model, "b") == ("a", ["0", "1", "3"])
    await read_model.writer.apply("p1", [restored("b"), put(3, "b"), changed("b", 1), changed("a", 2)])
    assert [await read(read_model, c) for c in "abc"] == [("a", ["0", "1"]), ("b", ["3"]), ("c", ["2"])]


async def test_a_cluster_left_empty_by_an_undo_is_gone(read_model: RedisReadModel) -> None:
    await two_clusters(read_model)
    await read_model.writer.apply("p1", [merged("b", "a"), put(0, "b"), put(1, "b"), changed("a", 4)])
    await read_model.writer.apply("p1", [restored("b"), *(put(n, "b") for n in range(4)), changed("b", 4)])
    assert await read(read_model, "a") is None
    assert await read(read_model, "b") == ("b", ["0", "1", "2", "3"])


async def test_a_merge_the_other_way_round_after_an_undo(read_model: RedisReadModel) -> None:
    await two_clusters(read_model)
    events: list[ClusterEvent] = [
        merged("b", "a"),
        restored("b", minutes=1),
        put(2, "b"),
        put(3, "b"),
        merged("a", "b", minutes=2),
        changed("b", 4),
    ]
    for _ in range(2):  # the second time, each event is about a cluster that is merged already
        await read_model.writer.apply("p1", events)
        assert await read(read_model, "a") == await read(read_model, "b") == ("b", ["0", "1", "2", "3"])
    await read_model.writer.apply("p1", [merged("b", "a"), changed("a", 4)])
    assert await read(read_model, "a") == await read(read_model, "b") == ("a", ["0", "1", "2", "3"])


async def test_more_items_than_one_command_moves(read_model: RedisReadModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soulcaster.adapters.redis.merges.MEMBERS_AT_ONCE", 3)
    await read_model.writer.put_items("p1", [item(n, minutes=n) for n in range(10)])
    await read_model.writer.apply(
        "p1", [*(put(n, "b" if n else "a") for n in range(10)), changed("a", 1), changed("b", 9)]
    )
    await read_model.writer.apply("p1", [merged("b", "a"), changed("a", 10)])
    assert await read(read_model, "b") == ("a", [str(n) for n in range(10)])


async def test_jobs_of_a_merged_cluster_are_the_others(read_model: RedisReadModel) -> None:
    await two_clusters(read_model)
    await read_model.writer.put_job_steps([step(0, "pending", job="before", cluster="b")])
    await read_model.writer.apply("p1", [merged("b", "a"), changed("a", 4)])
    await read_model.writer.put_job_steps([step(5, "failed", job="after", cluster="b", error="boom")])
    for cluster_id in "ab":
        jobs = await read_model.jobs.list("p1", cluster_id=cluster_id, limit=9, offset=0)
        assert ([job.id for job in jobs.items], jobs.total) == (["after", "before"], 2)
        found = await read_model.clusters.get("p1", cluster_id)
        assert found is not None
        assert (found.status, found.error_message) == ("failed", "boom")
    assert (await read_model.projects.stats("p1")).by_status == {"failed": 1, "new": 0}
    await read_model.writer.apply("p1", [restored("b"), put(2, "b"), put(3, "b"), changed("a", 2), changed("b", 2)])
    assert (await read_model.jobs.list("p1", cluster_id="a", limit=9, offset=0)).total == 0
    assert (await read_model.projects.stats("p1")).by_status == {"failed": 1, "new": 1}


async def test_history_newest_first_and_once(read_model: RedisReadModel) -> None:
    await two_clusters(read_model)
    at = [NOW + timedelta(minutes=n) for n in range(9)]
    events: list[ClusterEvent] = [
        ClusterSplit("c", "a", "person", "<b>asked</b>", 3, at[1], "k1"),
        put(1, "c"),
        changed("a", 1),
        changed("c", 1),
        merged("b", "a", minutes=2),
        CommandDone("k2", "applied", "now “Late”", at[3], "rename", ("a", "c")),
        CommandDone("k3", "refused", "it is pinned", at[4], "move", ("a",)),
        CommandDone("k4", "applied", "asked for", at[5], "merge", ("a",)),  # the history has the merge itself
    ]
    for _ in range(2):
        await read_model.writer.apply("p1", events)
    rename = HistoryEntry("rename", "person", "now “Late”", at[3], None, "k2")
    assert await read_model.clusters.history("p1", "a") == (
        rename,
        HistoryEntry("merged", "consolidation", "they say the same", at[2], "b"),
        HistoryEntry("split_off", "person", "<b>asked</b>", at[1], "c", "k1"),
    )
    assert await read_model.clusters.history("p1", "c") == (
        rename,
        HistoryEntry("split_from", "person", "<b>asked</b>", at[1], "a", "k1"),
    )
    assert await read_model.clusters.history("p1", "b") == await read_model.clusters.history("p1", "a")
    await read_model.writer.apply("p1", [restored("b", minutes=6)])
    assert await read_model.clusters.history("p1", "b") == (
        HistoryEntry("restored", "person", "asked for", at[6], None, "k1"),
        HistoryEntry("merged_into", "consolidation", "they say the same", at[2], "a"),
    )
    assert await read_model.clusters.history("p1", "nope") == await read_model.clusters.history("p2", "a") == ()


async def test_of_a_long_history_the_newest_is_kept(read_model: RedisReadModel) -> None:
    events = [merged(f"c{n}", "a", minutes=n) for n in range(HISTORY_ENTRIES + 5)]
    await read_model.writer.apply("p1", events)
    await read_model.writer.apply("p1", events[:9])
    assert [e.other_id for e in await read_model.clusters.history("p1", "a")] == [
        f"c{n}" for n in reversed(range(5, HISTORY_ENTRIES + 5))
    ]


# ---- commands, proposals, status -----------------------------------------------------------------------------------


async def test_what_became_of_a_command(read_model: RedisReadModel, redis_server: RedisServer) -> None:
    assert await read_model.commands.get("p1", "k") is None
    await read_model.writer.apply("p1", [CommandDone("k", "waiting", "no such item yet", NOW)])
    assert await read_model.commands.get("p1", "k") == CommandView("k", "waiting", "no such item yet", NOW)
    await read_model.writer.apply(
        "p1", [CommandDone("k", "refused", "it is <pinned>", NOW + timedelta(1), "merge", ("c",))]
    )
    assert await read_model.commands.get("p1", "k") == CommandView("k", "refused", "it is <pinned>", NOW + timedelta(1))
    assert await read_model.commands.get("p2", "k") is None
    assert await read_model.projects.list() == ()  # a command may name any project
    async with Redis.from_url(redis_server.url) as redis:
        assert timedelta(days=29).total_seconds() < await redis.ttl("command:p1:k") <= 30 * 24 * 3600


async def test_proposals_and_status_are_the_newest(read_model: RedisReadModel) -> None:
    assert (await read_model.clustering.proposals("p1"), await read_model.clustering.status("p1")) == ((), None)
    one, two = (Proposal(n, "merge", ("a", "b"), 0.75, "alike") for n in "12")
    await read_model.writer.apply("p1", [ProposalsChanged((one, two)), replace(STATUS, state="running"), STATUS])
    assert await read_model.clustering.proposals("p1") == (one, two)
    assert await read_model.clustering.status("p1") == STATUS
    await read_model.writer.apply("p1", [ProposalsChanged(())])
    assert (await read_model.clustering.proposals("p1"), await read_model.clustering.proposals("p2")) == ((), ())
    assert await read_model.clustering.status("p2") is None


# ---- delivered again -----------------------------------------------------------------------------------------------


class Clusters:
    """Writes possible events, and knows what a reader must see in the end: the cluster of each item."""

    def __init__(self) -> None:
        self.events: list[ClusterEvent] = []
        self.cluster_of: dict[int, str] = {}
        self.alias: dict[str, str] = {}
        self.moved: dict[str, set[int]] = {}
        self.gone: list[int] = []

    def remove(self, n: int) -> None:
        cluster = self.cluster_of.pop(n)
        self.gone.append(n)
        self.events.append(ItemRemoved(item(n).id, cluster, NOW))
        self.change({cluster})

    def resolve(self, cluster: str) -> str:
        while cluster in self.alias:
            cluster = self.alias[cluster]
        return cluster

    def live(self) -> list[str]:
        return sorted(set(self.cluster_of.values()))

    def assign(self, n: int, cluster: str) -> None:
        touched = {cluster, self.cluster_of.get(n, cluster)}
        self.cluster_of[n] = cluster
        self.events.append(put(n, cluster))
        self.change(touched)

    def merge(self, cluster: str, into: str) -> None:
        self.moved[cluster] = {n for n, c in self.cluster_of.items() if c == cluster}
        self.cluster_of |= dict.fromkeys(self.moved[cluster], into)
        self.alias[cluster] = into
        self.events.append(merged(cluster, into, minutes=len(self.events)))
        self.change({into})

    def split(self, items: set[int], parent: str, new: str) -> None:
        at = NOW + timedelta(minutes=len(self.events))
        self.events.append(ClusterSplit(new, parent, "person", "asked for", 1, at))
        for n in sorted(items):
            self.cluster_of[n] = new
            self.events.append(put(n, new))
        self.change({parent, new})

    def restore(self, cluster: str) -> None:
        now_in = self.resolve(cluster)
        del self.alias[cluster]
        self.events.append(restored(cluster, minutes=len(self.events)))
        for n in sorted(n for n in self.moved[cluster] if self.cluster_of.get(n) == now_in):
            self.cluster_of[n] = cluster
            self.events.append(put(n, cluster))
        self.change({cluster, now_in})

    def change(self, clusters: set[str]) -> None:
        sizes = Counter(self.cluster_of.values())
        self.events += [changed(c, sizes[c]) for c in sorted(clusters) if sizes[c]]


@st.composite
def histories(draw: st.DrawFn) -> Clusters:
    clusters = Clusters()
    fresh = iter(range(10**6))
    for _ in range(draw(st.integers(1, 14))):
        live, here = clusters.live(), sorted(clusters.cluster_of)
        # Empty clusters may be filled again, so ids come back; those of merged ones only by an undo.
        ids = [c for c in "abcde" if c not in clusters.alias]
        kinds = (
            ["new"]
            + ["move", "remove"] * bool(here)
            + ["merge", "split"] * (len(live) > 1)
            + ["restore"] * bool(clusters.alias)
        )
        match draw(st.sampled_from(kinds)):
            case "new" if ids:
                clusters.assign(next(fresh), draw(st.sampled_from(ids)))
            case "move" if ids:
                clusters.assign(draw(st.sampled_from(here)), draw(st.sampled_from(ids)))
            case "remove":
                clusters.remove(draw(st.sampled_from(here)))
            case "merge":
                one, other = draw(st.permutations(live))[:2]
                clusters.merge(one, other)
            case "split" if ids:
                parent, new = draw(st.sampled_from(live)), draw(st.sampled_from(ids))
                items = {n for n, c in clusters.cluster_of.items() if c == parent}
                if parent != new:
                    clusters.split(draw(st.sets(st.sampled_from(sorted(items)), min_size=1)), parent, new)
            case "restore":
                clusters.restore(draw(st.sampled_from(sorted(clusters.alias))))
    return clusters


async def whole(model: RedisReadModel, project: str) -> dict[str, Any]:
    """Everything a reader can see."""
    page = await model.clusters.list(project, limit=100, offset=0)
    return {
        "clusters": [replace(c, project_id="") for c in page.items],
        "items": {c: await read(model, c, project) for c in "abcde"},
        "histories": {c: await model.clusters.history(project, c) for c in "abcde"},
        "stats": await model.projects.stats(project),
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(clusters=histories(), data=st.data())
async def test_events_delivered_again_end_in_the_same_state(
    redis_server: RedisServer, clusters: Clusters, data: st.DataObject
) -> None:
    await the_same_state(redis_server, redis_server.url, clusters, data)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(clusters=histories(), data=st.data())
async def test_events_delivered_again_by_rest(
    redis_server: RedisServer, upstash_server: Upstash, clusters: Clusters, data: st.DataObject
) -> None:
    await the_same_state(redis_server, upstash_server.url, clusters, data)


async def the_same_state(server: RedisServer, url: str, clusters: Clusters, data: st.DataObject) -> None:
    events = clusters.events
    async with Redis.from_url(server.url) as redis:
        await redis.flushall()
    model = RedisReadModel(RedisAccess(url))
    try:
        late = data.draw(st.integers(0, len(events)))
        everyone = [*clusters.cluster_of, *clusters.gone]
        for project in ("p1", "p2"):
            await model.writer.put_items(project, [replace(item(n, minutes=n), project_id=project) for n in everyone])
        for event in events:
            await model.writer.apply("p2", [event])
        position, rewinds = 0, data.draw(st.integers(0, 3))
        while position < len(events):
            end = data.draw(st.integers(position + 1, len(events)))
            await model.writer.apply("p1", events[position:end])
            position = end
            if position >= late:
                await model.writer.delete_items("p1", [item(n).id for n in clusters.gone])
            if rewinds:
                position, rewinds = data.draw(st.integers(0, end)), rewinds - 1
        assert await whole(model, "p1") == await whole(model, "p2")
        found = await whole(model, "p1")
        sizes = Counter(clusters.cluster_of.values())
        assert {c.id: c.size for c in found["clusters"]} == sizes
        for cluster in "abcde":
            resolved = clusters.resolve(cluster)
            items = [str(n) for n, c in sorted(clusters.cluster_of.items()) if c == resolved]
            assert found["items"][cluster] == ((resolved, items) if items else None)
    finally:
        await model.close()


# ---- how a project is clustered, as told -----------------------------------------------------------------------------


async def test_how_a_project_is_clustered(read_model: RedisReadModel) -> None:
    assert await read_model.clustering.config("p1") is None
    first, second = ClusteringConfigured(0.5, "auto", NOW, "k1"), ClusteringConfigured(None, "finer", NOW, "k2")
    await read_model.writer.apply("p1", [first])
    assert await read_model.clustering.config("p1") == first
    await read_model.writer.apply("p1", [first, second])
    assert await read_model.clustering.config("p1") == second
    assert await read_model.clustering.config("p2") is None
    await read_model.writer.clear()
    assert await read_model.clustering.config("p1") is None


# ---- themes ----------------------------------------------------------------------------------------------------------


def in_theme(cluster: str, size: int, theme_id: str | None) -> ClusterChanged:
    return replace(changed(cluster, size), theme_id=theme_id)


async def clusters_in(model: RedisReadModel, theme_id: str) -> list[str]:
    page = await model.clusters.list("p1", theme_id=theme_id, limit=10, offset=0)
    assert page.total == len(page.items)
    assert {cluster.theme_id for cluster in page.items} <= {theme_id}
    return [cluster.id for cluster in page.items]


async def test_the_last_themes_count(read_model: RedisReadModel) -> None:
    assert await read_model.clustering.themes("p1") == ()
    one, other = Theme("t1", "card", ("card",), "why", 5, 2), Theme("t2", "login", (), "why", 3, 2)
    await read_model.writer.apply("p1", [ThemesChanged((one, other)), ThemesChanged((other,))])
    assert await read_model.clustering.themes("p1") == (other,)
    assert await read_model.clustering.themes("p2") == ()


async def test_clusters_are_listed_by_theme(read_model: RedisReadModel) -> None:
    events = [put(n, f"c{n}") for n in range(4)]
    themes = ["t1", "t1", "t2", None]
    await read_model.writer.apply("p1", [*events, *(in_theme(f"c{n}", n + 1, of) for n, of in enumerate(themes))])
    assert (await clusters_in(read_model, "t1"), await clusters_in(read_model, "t2")) == (["c1", "c0"], ["c2"])
    await read_model.writer.apply("p1", [in_theme("c1", 2, "t2"), in_theme("c0", 1, None), merged("c2", "c1")])
    assert (await clusters_in(read_model, "t1"), await clusters_in(read_model, "t2")) == ([], ["c1"])
    found = await read_model.clusters.get("p1", "c0")
    assert found is not None
    assert found.theme_id is None
