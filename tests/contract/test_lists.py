"""Lists that are filtered, sorted and read in pages: each is the same as one that was looked through entirely."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from soulcaster.adapters.redis import job_writer, keys, sizes
from soulcaster.adapters.redis import lists as redis_lists
from soulcaster.adapters.redis.lists import ListRange, narrowed
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.adapters.redis.typed import Commands
from soulcaster.domain.events import ClusterChanged, ClusterMerged, ClusterRestored
from soulcaster.domain.feedback.items import FeedbackItem, repo_of
from soulcaster.domain.lifecycle import ClusterStatus, JobStatus
from soulcaster.ports.clusters import ClusterOrder, ClusterView
from soulcaster.ports.paging import Page
from tests.conftest import RedisServer
from tests.contract.test_read_model import assigned, changed, opened
from tests.support.make import NOW, item, step

ORDERS: tuple[ClusterOrder, ...] = get_args(ClusterOrder)


async def items_of(model: RedisReadModel, **where: Any) -> list[str]:
    """The external ids of all pages of three, by cursor."""
    return [view.item.external_id for page in await item_pages(model, **where) for view in page.items]


async def item_pages(model: RedisReadModel, *, limit: int = 3, **where: Any) -> list[Page[Any]]:
    asked = {"source": None, "cluster_id": None, "limit": limit, "offset": 0} | where
    pages = [await model.feedback.list("p1", **asked)]
    while pages[-1].next is not None:
        pages.append(await model.feedback.list("p1", **asked, after=pages[-1].next))
        assert len(pages) < 100
    return pages


async def clusters_of(model: RedisReadModel, *, limit: int = 2, **where: Any) -> list[str]:
    pages = [await model.clusters.list("p1", **where, limit=limit, offset=0)]
    while pages[-1].next is not None:
        pages.append(await model.clusters.list("p1", **where, limit=limit, offset=0, after=pages[-1].next))
        assert len(pages) < 100
    found = [cluster.id for page in pages for cluster in page.items]
    assert {page.total for page in pages if page.counted} <= {len(found)}
    return found


# ---- items -----------------------------------------------------------------------------------------------------------


def some_items() -> list[FeedbackItem]:
    repos = ["https://github.com/Acme/App", "https://github.com/acme/web", None]
    texts = ["The EXPORT button does nothing", "Straße is garbled in the export", "Login fails", "I cannot log in"]
    return [
        item(
            n,
            minutes=n,
            source=["manual", "github"][n % 2],
            github_repo_url=repos[n % 3],
            title=texts[n % 4][:12],
            body=texts[n % 4],
        )
        for n in range(24)
    ]


def fits(one: FeedbackItem, where: dict[str, Any]) -> bool:
    text = f"{one.title}\n{one.body}".casefold()
    return (
        where.get("source") in (None, one.source)
        and where.get("cluster_id") in (None, f"c{int(one.external_id) % 5}")
        and where.get("repo", "").lower() in ("", (repo_of(one) or "-").lower())
        and one.created_at >= where.get("since", one.created_at)
        and all(word.casefold() in text for word in where.get("words", ()))
    )


NARROW: list[dict[str, Any]] = [
    {"source": ["github"], "repo": ["acme/app"]},
    {"source": ["manual", "nix"], "cluster_id": ["c1"], "repo": ["ACME/web", "acme/none"]},
    {"words": [("export",), ("STRASSE", "Export"), ("export", "login"), ('"',)], "source": ["github"]},
    {"since": [NOW + timedelta(minutes=13), NOW - timedelta(days=1), NOW + timedelta(days=1)], "words": [("log",)]},
    {"since": [NOW + timedelta(minutes=13)], "repo": ["acme/app"], "cluster_id": ["c2"]},
]


@pytest.mark.parametrize("narrow", NARROW, ids=lambda narrow: "-".join(narrow))
@pytest.mark.parametrize("bounds", [(10_000, 200), (5, 2)], ids=["all at once", "bit by bit"])
async def test_items_by_all_that_is_asked_for(
    read_model: RedisReadModel, narrow: dict[str, list[Any]], bounds: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    items = some_items()
    await read_model.writer.put_items("p1", items)
    await read_model.writer.apply("p1", [assigned(i, f"c{int(i.external_id) % 5}") for i in items])
    monkeypatch.setattr(redis_lists, "MOST_MEMBERS", bounds[0])
    monkeypatch.setattr(redis_lists, "_CHUNK", bounds[1])
    names = list(narrow)
    asked: list[dict[str, Any]] = [{}]
    for name in names:
        asked += [{**before, name: value} for before in asked for value in narrow[name]]
    for where in asked:
        expected = [one.external_id for one in reversed(items) if fits(one, where)]
        pages = await item_pages(read_model, **where)
        assert [view.item.external_id for page in pages for view in page.items] == expected, where
        assert {page.total for page in pages if page.counted} <= {len(expected)}
        if bounds[0] > len(items):
            assert all(page.counted for page in pages)
            assert len(pages) == max(1, -(-len(expected) // 3)), "no part is empty, none is too many"
            for offset in range(0, len(expected) + 3, 2):
                page = await read_model.feedback.list(
                    "p1", **{"source": None, "cluster_id": None, **where}, limit=2, offset=offset
                )
                assert [view.item.external_id for view in page.items] == expected[offset : offset + 2]
                assert (page.total, page.next is None) == (len(expected), offset + 2 >= len(expected))
        else:
            shown: list[str] = []
            page = await read_model.feedback.list(
                "p1", **{"source": None, "cluster_id": None, **where}, limit=100, offset=2
            )
            shown += [view.item.external_id for view in page.items]
            while page.next is not None:
                page = await read_model.feedback.list(
                    "p1", **{"source": None, "cluster_id": None, **where}, limit=100, offset=0, after=page.next
                )
                shown += [view.item.external_id for view in page.items]
            assert shown == expected[2:]


async def test_what_a_request_looks_at_is_bounded_and_what_was_left_is_said(
    read_model: RedisReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_lists, "_CHUNK", 10)
    monkeypatch.setattr(redis_lists, "MOST_BYTES", 1)
    await read_model.writer.put_items(
        "p1", [item(n, minutes=n, body="needle" if n in {1, 35} else "hay") for n in range(40)]
    )
    pages = await item_pages(read_model, words=("needle",))
    assert [[view.item.external_id for view in page.items] for page in pages] == [["35"], [], [], ["1"]]
    assert not any(page.counted for page in pages)
    monkeypatch.setattr(redis_lists, "MOST_BYTES", 1_000_000)
    [whole] = await item_pages(read_model, words=("needle",))
    assert (whole.total, whole.counted) == (2, True)


@pytest.mark.parametrize("words", [(), ("needle",)])
async def test_long_texts_make_pages_short_and_each_item_comes_once(
    read_model: RedisReadModel, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sizes, "PAGE_BYTES", 10_000)
    long = {3, 4, 9, 10, 11, 25}
    bodies = {n: "needle " + "e" * (9_000 if n in long else 100) for n in range(30)}
    await read_model.writer.put_items("p1", [item(n, minutes=n, body=body) for n, body in bodies.items()])
    pages = await item_pages(read_model, limit=20, words=words)
    assert [int(view.item.external_id) for page in pages for view in page.items] == [*range(29, -1, -1)]
    assert all(sum(len(view.item.body) for view in page.items) < 10_000 for page in pages)
    assert len(pages) > 3
    for page in pages:
        after = await read_model.feedback.list("p1", words=words, limit=1, offset=0, after=page.cursors[0])
        assert [view.item.external_id for view in after.items] == [str(int(page.items[0].item.external_id) - 1)][
            : int(page.items[0].item.external_id)
        ]


async def test_jobs_that_say_much_make_pages_short(read_model: RedisReadModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "PAGE_BYTES", 5_000)
    await read_model.writer.apply("p1", [event for n in range(9) for event in opened(f"c{n}", n + 1)])
    steps = [replace(step(0, "failed", job=f"j{n}", cluster=f"c{n}"), error="e" * 1_900) for n in range(9)]
    await read_model.writer.put_job_steps(steps)
    jobs, after = [], None
    while True:
        page = await read_model.jobs.list("p1", limit=9, offset=0, after=after)
        assert len(page.items) <= 2
        jobs += [job.id for job in page.items]
        after = page.next
        if after is None:
            break
    assert sorted(jobs) == [f"j{n}" for n in range(9)]
    first = await read_model.clusters.list("p1", limit=9, offset=0)
    assert len(first.items) == 2
    assert sorted(await clusters_of(read_model)) == [f"c{n}" for n in range(9)]
    assert len(await read_model.clusters.get_many("p1", [f"c{n}" for n in range(9)])) == 9


async def test_the_lines_of_steps_are_kept_up_to_a_limit(
    read_model: RedisReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_writer, "MAX_STEP_LOG_BYTES", 25)
    steps = [step(n, log="é" * 5) for n in range(6)]
    for some in (steps[:4], steps[2:], steps):  # some come again
        await read_model.writer.put_job_steps(some)
    assert await read_model.jobs.logs("j1") == ("é" * 5, "é" * 5, "éé" + job_writer.NO_MORE)


async def test_a_cursor_of_a_narrowed_list_goes_on_whatever_has_come(read_model: RedisReadModel) -> None:
    await read_model.writer.put_items("p1", [item(n, minutes=n, source="github") for n in range(6)])
    first = await read_model.feedback.list("p1", source="github", cluster_id=None, words=("card",), limit=2, offset=0)
    await read_model.writer.put_items("p1", [item(n, minutes=n, source="github") for n in range(6, 9)])
    rest = await read_model.feedback.list(
        "p1", source="github", cluster_id=None, words=("card",), limit=9, offset=0, after=first.next
    )
    assert [view.item.external_id for view in rest.items] == ["3", "2", "1", "0"]
    assert (rest.total, rest.next) == (9, None)


async def test_an_item_whose_new_version_is_of_another_repository_has_moved(read_model: RedisReadModel) -> None:
    def version(repo: str | None) -> FeedbackItem:
        return item(1, github_repo_url=repo)

    for repo, of in (
        ("https://github.com/a/b", "a/b"),
        ("https://github.com/A/B", "a/b"),
        ("c/d", "c/d"),
        (None, None),
    ):
        for _ in range(2):
            await read_model.writer.put_items("p1", [version(repo)])
            for name in ("a/b", "c/d"):
                assert await items_of(read_model, repo=name) == (["1"] if name == of else [])


async def test_a_repository_is_of_one_project(read_model: RedisReadModel) -> None:
    await read_model.writer.put_items("p2", [item(1, "p2", github_repo_url="https://github.com/a/b")])
    assert await items_of(read_model, repo="a/b") == []


# ---- clusters --------------------------------------------------------------------------------------------------------


async def fill(model: RedisReadModel) -> None:
    """Clusters of all sizes, ages and statuses; one with a job was updated when its job was."""
    for n in range(9):
        sources = ("github", "manual") if n % 2 else ("reddit",)
        at = NOW - timedelta(days=n * 7 % 9)
        await model.writer.apply(
            "p1",
            [
                assigned(item(n), f"c{n}"),
                ClusterChanged(f"c{n}", f"Title {n % 3}", "An Export", n * 5 % 9 + 1, sources, at, at),
            ],
        )
    await model.writer.put_job_steps([step(0, "pending", job="j1", cluster="c1")])
    await model.writer.put_job_steps([step(1, "running", job="j2", cluster="c2")])
    await model.writer.put_job_steps([step(2, "failed", job="j3", cluster="c3", error="boom")])
    await model.writer.put_job_steps([step(3, "success", job="j4", cluster="c4", pr_url="https://example.org/pull/1")])
    await model.writer.put_job_steps([step(4, "success", job="j5", cluster="c5")])


def order_of(order: ClusterOrder, cluster: ClusterView) -> Any:
    return {
        "largest": (cluster.size, cluster.created_at),
        "newest": cluster.created_at,
        "updated": cluster.updated_at,
    }[order]


WORDS = ((), ("other",))
"""Words that some clusters have in title or summary."""


async def check_lists(model: RedisReadModel, words: Sequence[Sequence[str]] = ((),)) -> None:
    """Compare every list with the clusters that are read one by one."""
    ids = await clusters_of(model)
    every = [cluster for i in ids if (cluster := await model.clusters.get("p1", i)) is not None]
    assert len(every) == len(ids) == len(set(ids))
    for order in ORDERS:
        ordered = sorted(every, key=lambda one: (order_of(order, one), one.id), reverse=True)
        for status in (None, *get_args(ClusterStatus)):
            for source in (None, "github", "reddit", "nix"):
                for some in words:
                    found = await clusters_of(model, order=order, status=status, source=source, words=some)
                    expected = [
                        one.id
                        for one in ordered
                        if status in (None, one.status)
                        and (source is None or source in one.sources)
                        and all(word in f"{one.title}\n{one.summary}".lower() for word in some)
                    ]
                    assert found == expected, (order, status, source, some)
    counts = (await model.projects.stats("p1")).by_status
    assert {status: sum(one.status == status for one in every) for status in counts} == counts
    assert sum(counts.values()) == len(every)


async def test_clusters_by_all_that_is_asked_for(read_model: RedisReadModel) -> None:
    await fill(read_model)
    assert await clusters_of(read_model, status="fixing") == ["c1", "c2"]
    assert await clusters_of(read_model, status="failed", source="github", order="updated") == ["c3"]
    assert await clusters_of(read_model, order="updated", limit=5) != await clusters_of(read_model, order="newest")
    assert await clusters_of(read_model, words=("export", "title", "2")) == ["c5", "c8", "c2"]
    await check_lists(read_model, words=[(), ("1",), ("export", "nix")])


async def test_the_lists_follow_jobs_changes_merges_and_what_is_left(read_model: RedisReadModel) -> None:
    await fill(read_model)
    at = NOW + timedelta(days=1)
    changed = ClusterChanged("c6", "Another", "Other", 3, ("github",), at, at)
    await read_model.writer.put_job_steps([step(9, "failed", job="j1", cluster="c1")])
    await check_lists(read_model, WORDS)
    await read_model.writer.apply("p1", [changed])
    await check_lists(read_model, WORDS)
    await read_model.writer.apply("p1", [ClusterMerged("c3", "c6", "person", "same", 1)])
    assert "c6" in await clusters_of(read_model, status="failed")
    await check_lists(read_model, WORDS)
    await read_model.writer.put_job_steps([step(20, "running", job="j9", cluster="c3")])
    assert "c6" in await clusters_of(read_model, status="fixing")
    await check_lists(read_model, WORDS)
    undone = replace(changed, cluster_id="c3")
    await read_model.writer.apply("p1", [ClusterRestored("c3", "undone"), assigned(item(3), "c3"), undone, changed])
    assert {"c3"} <= set(await clusters_of(read_model, status="fixing"))
    assert "c6" in await clusters_of(read_model, status="new")
    await check_lists(read_model, WORDS)
    await read_model.writer.apply("p1", [assigned(item(4), "c0"), replace(changed, cluster_id="c0", size=2)])
    assert await clusters_of(read_model, status="pr_opened") == []
    await check_lists(read_model, WORDS)


async def test_words_are_searched_in_clusters_that_an_older_version_wrote(
    read_model: RedisReadModel, redis_server: RedisServer
) -> None:
    await fill(read_model)
    async with Redis.from_url(redis_server.url, decode_responses=True) as redis:
        texts = keys.cluster_texts("p1")
        assert set(await redis.hkeys(texts)) == set(await clusters_of(read_model))
        await redis.hdel(texts, "c1", "c2", "c5")
        await check_lists(read_model, WORDS)
        await redis.delete(texts)
        await check_lists(read_model, WORDS)


async def test_a_cluster_that_is_gone_leaves_no_text(read_model: RedisReadModel, redis_server: RedisServer) -> None:
    await fill(read_model)
    await read_model.writer.apply("p1", [ClusterMerged("c3", "c6", "person", "same", 1)])
    await read_model.writer.apply("p1", [assigned(item(4), "c0")])
    async with Redis.from_url(redis_server.url, decode_responses=True) as redis:
        assert set(await redis.hkeys(keys.cluster_texts("p1"))) == set(await clusters_of(read_model))


async def test_the_lists_are_the_same_in_whatever_order_items_events_and_jobs_come(read_model: RedisReadModel) -> None:
    """Events keep their order among themselves; jobs come step by step, shuffled, some twice."""
    items = [item(n, github_repo_url=f"https://github.com/a/{'b' if n % 3 else 'c'}") for n in range(6)]
    events = [
        *opened("c1", 2),
        *(assigned(one, "c2") for one in items),
        changed("c2", 6),
        ClusterMerged("c1", "c2", "consolidation", "same", 1),
        *opened("c3"),
    ]
    statuses: tuple[JobStatus, ...] = ("pending", "failed")
    steps = [step(n, s, job=f"j{c}", cluster=f"c{c}", log="x") for c in (1, 3) for n, s in enumerate(statuses)]
    seen: list[object] = []
    for seed in range(8):
        project = f"p{seed}"
        chance = random.Random(seed)
        writes: list[tuple[str, Any]] = [("items", n) for n in range(6)] + [("step", n) for n in range(4)] * 2
        chance.shuffle(writes)
        for _ in events:
            writes.insert(chance.randrange(len(writes) + 1), ("event", None))
        left = list(events)
        for kind, n in writes:
            if kind == "items":
                one = replace(items[n], project_id=project)
                await read_model.writer.put_items(project, [one])
            elif kind == "step":
                await read_model.writer.put_job_steps(
                    [replace(steps[n], project_id=project, job_id=f"{project}-{steps[n].job_id}")]
                )
            else:
                await read_model.writer.apply(project, [left.pop(0)])
        clusters = [await read_model.clusters.list(project, order=o, limit=9, offset=0) for o in ORDERS]
        failed = await read_model.clusters.list(project, status="failed", limit=9, offset=0)
        pages = [
            replace(page, items=tuple(replace(c, project_id="") for c in page.items)) for page in (*clusters, failed)
        ]
        found = (pages, await read_model.projects.stats(project))
        seen = seen or [found]
        assert found == seen[0]
        assert {c.id: c.github_repo_url for c in clusters[0].items} == {"c2": "https://github.com/a/b", "c3": None}
        assert {c.id for c in failed.items} == {"c2", "c3"}


async def test_the_repository_of_a_cluster_is_the_commonest_of_its_newest_items(read_model: RedisReadModel) -> None:
    repos = ["a/x", "a/Y", "a/y", "a/x", "a/y", None]
    items = [item(n, minutes=n, github_repo_url=repo) for n, repo in enumerate(repos)]
    await read_model.writer.put_items("p1", items)
    await read_model.writer.apply("p1", [*(assigned(one, "c1") for one in items), opened("c1")[-1], *opened("c2")])
    found = [await read_model.clusters.get("p1", c) for c in ("c1", "c2")]
    assert [one and one.github_repo_url for one in found] == ["https://github.com/a/y", None]
    listed = (await read_model.clusters.list("p1", limit=9, offset=0)).items
    assert {one.id: one.github_repo_url for one in listed} == {"c1": "https://github.com/a/y", "c2": None}


# ---- any list --------------------------------------------------------------------------------------------------------


@given(
    members=st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.booleans(), st.booleans()), max_size=30),
    most=st.integers(1, 40),
    chunk=st.integers(1, 10),
    limit=st.integers(1, 7),
    offset=st.integers(0, 9),
    lowest=st.none() | st.integers(0, 5),
    words=st.booleans(),
)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_the_parts_of_a_list_are_the_list(
    redis_server: RedisServer,
    members: list[tuple[int, bool, bool, bool]],
    most: int,
    chunk: int,
    limit: int,
    offset: int,
    lowest: int | None,
    words: bool,
) -> None:
    """Whatever the bounds: nothing is shown twice or left out, and a total that is counted is the total."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis_lists, "MOST_MEMBERS", most)
        patch.setattr(redis_lists, "_CHUNK", chunk)
        async with Redis.from_url(redis_server.url, decode_responses=True) as redis:
            await redis.flushall()
            names = {f"m{n:02}": one for n, one in enumerate(members)}
            for key, place in (("a", 1), ("b", 2)):
                listed = {name: float(one[0]) for name, one in names.items() if one[place]}
                if listed:
                    await redis.zadd(key, listed)

            async def said(ids: Sequence[str]) -> list[str | None]:
                return ["a Needle" if names[i][3] else "hay" for i in ids]

            bottom = float("-inf") if lowest is None else float(lowest)
            asked = ListRange(limit, offset, None, bottom)
            shown: list[str] = []
            wanted = [
                name
                for name, one in sorted(names.items(), key=lambda pair: (pair[1][0], pair[0]), reverse=True)
                if one[1] and one[2] and one[0] >= bottom and (one[3] or not words)
            ]
            for _ in range(100):
                found = await narrowed(Commands(redis), ["a", "b"], asked, ["needle"] if words else [], said)
                assert len(found.ids) <= limit
                assert found.total == len(wanted) if found.counted else found.total <= len(wanted)
                shown += found.ids
                if found.next is None:
                    break
                asked = ListRange(limit, 0, found.next, bottom)
            assert shown == wanted[offset:]
