"""`soulcaster bench web`: how long pages and lists take at the web server with a large read model behind it.

The read model is written directly, as agents/project writes it: one project with so many clusters and items. The sizes
of the clusters fall with their rank, as those of real feedback do (Zipf's law). Then a web server of its own is asked
for each page and list again and again, one request after the other: a time is the server's and the loopback's, and
nobody waits for anybody.
"""

import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import aiohttp
import numpy as np
from cryptography.fernet import Fernet

from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.adapters.redis.sign_in_tokens import RedisSignIn
from soulcaster.bench.feeds import texts
from soulcaster.bench.programs import WEB, Program, wait_until_answered
from soulcaster.bench.progress import Report
from soulcaster.bench.readers import Memory, fill_longest, measure_readers
from soulcaster.dev.loopback import free_port
from soulcaster.dev.stack import Stack
from soulcaster.domain.events import ClusterChanged, ItemAssigned
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.ids import cluster_id_for, item_id
from soulcaster.domain.members import LOCAL_OWNER
from soulcaster.errors import SoulcasterError
from soulcaster.ports.projects import Project
from soulcaster.ports.read_model import ReadModel
from soulcaster.processes.connections import open_read_model
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import Settings
from soulcaster.web.pages.clusters import CLUSTERS_PER_PAGE

PROJECT = "bench-web"
SOURCES = ("github", "sentry", "reddit", "manual")
TEXT_BYTES = 200
TEXTS = 10_000
"""Different texts; items take them in turn."""

BATCH = 1_000
LONGEST_ITEMS = 100
READERS_ROUNDS = 5
DEEP_PAGES = 20
"""How many cursors further the deep pages are."""

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
SIGN_IN_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of one page or list, in milliseconds, and the size of its response in bytes."""

    p50_ms: float
    p95_ms: float
    max_ms: float
    response_bytes: int


@dataclass(frozen=True, slots=True)
class WebFigures:
    """The size of the read model, the times by page or list, and the memory while many read what is longest."""

    clusters: int
    items: int
    requests: int
    timings: Mapping[str, Timing]
    memory: Memory


async def measure(clusters: int, items: int, requests: int, report: Report) -> WebFigures:
    """Return the times of each page and list.

    Raises:
        SoulcasterError: a page or list is not answered with 200.
    """
    with tempfile.TemporaryDirectory(prefix="soulcaster-bench-") as folder:
        async with Stack(Path(folder)) as stack, open_read_model(stack.settings) as read_model:
            largest = await fill(read_model, PROJECT, clusters, items, report)
            await fill_longest(read_model.writer, LONGEST_ITEMS)
            async with signed_in(stack.settings) as (http, process_id):
                pages = await _pages(http, read_model, largest, clusters)
                timings = {}
                for number, (name, address) in enumerate(pages.items()):
                    report("Asking", number, len(pages))
                    timings[name] = await _time(http, address, requests)
                report("Reading what is longest", 0, 1)
                memory = await measure_readers(http, process_id, READERS_ROUNDS)
    return WebFigures(clusters, items, requests, timings, memory)


def sizes_of(clusters: int, items: int) -> list[int]:
    """Return the sizes of clusters by rank: in proportion to 1/rank, at least 1, `items` in all."""
    shares = 1 / np.arange(1, clusters + 1)
    sizes = 1 + np.floor((items - clusters) * shares / shares.sum()).astype(int)
    sizes[0] += items - sizes.sum()
    return [int(size) for size in sizes]


async def fill(read_model: RedisReadModel, project: str, clusters: int, items: int, report: Report) -> str:
    """Write a project into the read model; return the id of the largest cluster."""
    writer = read_model.writer
    await writer.put_project(Project(project, "The bench", FIRST, LOCAL_OWNER))
    sizes = sizes_of(clusters, items)
    words = list(texts(min(TEXTS, items), TEXT_BYTES, seed=0))
    number, largest = 0, ""
    waiting: list[tuple[FeedbackItem, ItemAssigned]] = []
    changed: list[ClusterChanged] = []
    for rank, size in enumerate(sizes):
        members = list(islice(_items(project, words, number, items), size))
        cluster_id = cluster_id_for(project, members[0].id)
        largest = largest or cluster_id
        waiting += [(item, _assigned(item, cluster_id)) for item in members]
        times = [item.created_at for item in members]
        sources = tuple(sorted({item.source for item in members}))
        title = words[rank % len(words)][:80]
        changed.append(ClusterChanged(cluster_id, title, "", size, sources, min(times), max(times)))
        number += size
        if len(waiting) >= BATCH or number == items:
            for start in range(0, len(waiting), BATCH):
                part = waiting[start : start + BATCH]
                await writer.put_items(project, [item for item, _ in part])
                await writer.apply(project, [event for _, event in part])
            await writer.apply(project, changed)
            waiting, changed = [], []
            report("Writing the read model", number, items)
    return largest


def _assigned(item: FeedbackItem, cluster_id: str) -> ItemAssigned:
    return ItemAssigned(
        change="joined",
        score=0.9,
        threshold=0.6,
        item_id=item.id,
        item_created_at=item.created_at,
        cluster_id=cluster_id,
    )


def _items(project: str, words: list[str], first: int, items: int) -> Iterator[FeedbackItem]:
    """Yield items from a number on; neighbours in time are in different clusters."""
    for number in range(first, items):
        source = SOURCES[number % len(SOURCES)]
        at = FIRST + timedelta(seconds=(number * 7_919) % items)
        body = words[number % len(words)]
        yield FeedbackItem(
            item_id(project, source, str(number)), project, source, str(number), body[:80], body, at, at, language="en"
        )


@asynccontextmanager
async def signed_in(settings: Settings) -> AsyncIterator[tuple[aiohttp.ClientSession, int]]:
    """Start a web server; give a browser that is signed in, and the id of the server's process."""
    port = free_port()
    key = Fernet.generate_key().decode()
    variables = {"PORT": str(port), "SOULCASTER_KEYLESS": "true"}
    keys = {"SOULCASTER_SESSION_KEY": key, "SOULCASTER_SECRETS_KEY": key}
    sign_in = RedisSignIn(redis_access(settings))
    await sign_in.offer("bench", LOCAL_OWNER, seconds=SIGN_IN_SECONDS)
    await sign_in.close()
    async with (
        Program(WEB, settings, **variables, **keys) as web,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}", cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
    ):
        await wait_until_answered(http, "GET", "/health", 200)
        async with http.get("/app/sign-in", params={"token": "bench"}) as got:
            if got.status != 200:
                raise SoulcasterError(f"The bench cannot sign in: status {got.status}.")
        yield http, web.process_id


async def _pages(http: aiohttp.ClientSession, read_model: ReadModel, largest: str, clusters: int) -> dict[str, str]:
    """Return the addresses of pages and lists by name."""
    found = await read_model.feedback.list(PROJECT, source=None, cluster_id=largest, limit=1, offset=0)
    [view] = found.items
    here = f"project_id={PROJECT}"
    page = f"/app/projects/{PROJECT}"
    word = view.item.body.split()[0]
    deep_clusters = await _deep(http, f"/clusters?{here}&limit=100")
    deep_items = await _deep(http, f"/feedback?{here}&limit=100")
    return {
        "page: clusters": page,
        "page: clusters, a late page": f"{page}?page={min(100, clusters // CLUSTERS_PER_PAGE)}",
        "page: clusters with words": f"{page}?q={word}",
        "page: largest cluster": f"{page}/clusters/{largest}",
        "page: jobs": f"{page}/jobs",
        "page: projects": "/app/projects",
        "GET /clusters, 100": f"/clusters?{here}&limit=100",
        "GET /clusters, 100, newest": f"/clusters?{here}&limit=100&sort=newest",
        "GET /clusters, 100, of a source": f"/clusters?{here}&limit=100&source=reddit",
        "GET /clusters, 100, with words": f"/clusters?{here}&limit=100&q={word}",
        "GET /clusters, 100, by cursor": deep_clusters,
        "GET /clusters, 1,000": f"/clusters?{here}",
        "GET /clusters/{id}": f"/clusters/{largest}?{here}",
        "GET /clusters/{id}/brief": f"/clusters/{largest}/brief?{here}",
        "GET /feedback, 100": f"/feedback?{here}&limit=100",
        "GET /feedback, 100, of a source": f"/feedback?{here}&limit=100&source=reddit",
        "GET /feedback, 100, of a cluster": f"/feedback?{here}&limit=100&cluster_id={largest}",
        "GET /feedback, 100, with words": f"/feedback?{here}&limit=100&q={word}",
        "GET /feedback, 100, by cursor": deep_items,
        "GET /feedback/{id}": f"/feedback/{view.item.id}?{here}",
        "GET /stats": f"/stats?{here}",
        "GET /clustering/status": f"/clustering/status?{here}",
    }


async def _deep(http: aiohttp.ClientSession, address: str) -> str:
    """Return the address of a later page of a list, by its cursors."""
    deep = address
    for _ in range(DEEP_PAGES):
        async with http.get(deep) as got:
            body = await got.json()
            cursor = got.headers.get("X-Next-Cursor") or (body.get("next_cursor") if isinstance(body, dict) else None)
        if not cursor:
            return deep
        deep = f"{address}&cursor={cursor}"
    return deep


async def _time(http: aiohttp.ClientSession, address: str, requests: int) -> Timing:
    """Ask so often, and once more before, and return the times."""
    spent: list[float] = []
    size = 0
    for _ in range(requests + 1):
        begun = time.perf_counter()
        async with http.get(address, allow_redirects=False) as got:
            size = len(await got.read())
            if got.status != 200:
                raise SoulcasterError(f"The bench asked for {address} and got status {got.status}.")
        spent.append(1000 * (time.perf_counter() - begun))
    times = np.array(spent[1:])
    return Timing(
        round(float(np.percentile(times, 50)), 1),
        round(float(np.percentile(times, 95)), 1),
        round(float(times.max()), 1),
        size,
    )
