"""`soulcaster bench neighbour`: what one project feels of another that sends many requests, or many items, at once.

A web server has a large project and a small one. The small one is asked for lists, one request after the other: first
alone, then while a program of its own searches the large one over many connections (`bench/greedy.py`).

A worker gets items of a small project, one after the other, as soon as the one before is in its cluster: first alone,
then while it works off what another project imported at once.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import aiohttp
import numpy as np

from soulcaster.bench.feeds import texts
from soulcaster.bench.greedy import CONNECTIONS
from soulcaster.bench.pipeline import clustered_items
from soulcaster.bench.programs import WORKER, Program, wait_until
from soulcaster.bench.progress import Report
from soulcaster.bench.web import fill, signed_in
from soulcaster.dev.stack import Stack
from soulcaster.errors import SoulcasterError
from soulcaster.ports.read_model import ReadModel
from soulcaster.processes.clock import utc_now
from soulcaster.processes.connections import open_publisher, open_read_model
from soulcaster.services.posting import FeedbackPosts, read_items
from soulcaster.wire.feedback import RawFeedback

GREEDY, NEIGHBOUR = "bench-greedy", "bench-neighbour"
IMPORTING, RECEIVING = "bench-importing", "bench-receiving"
NEIGHBOUR_CLUSTERS, NEIGHBOUR_ITEMS = 100, 1_000

GREEDY_PATHS = (
    f"/feedback?project_id={GREEDY}&limit=100&q=no-such-word",
    f"/feedback?project_id={GREEDY}&limit=1000",
    f"/clusters?project_id={GREEDY}&q=no-such-word",
    f"/dead-letters?project_id={GREEDY}",
)
ITEM = "an item until it is in its cluster"
ITEM_LENGTH = 400
ITEM_POLL_SECONDS = 0.005

PATHS: Mapping[str, str] = {
    "GET /stats": f"/stats?project_id={NEIGHBOUR}",
    "GET /clusters, 100": f"/clusters?project_id={NEIGHBOUR}&limit=100",
    "GET /feedback, 100": f"/feedback?project_id={NEIGHBOUR}&limit=100",
    "GET /feedback, 100, with words": f"/feedback?project_id={NEIGHBOUR}&limit=100&q=no-such-word",
}


@dataclass(frozen=True, slots=True)
class Felt:
    """Times of one list, or of items, in milliseconds: alone, and beside the greedy project."""

    alone_p50_ms: float
    alone_p99_ms: float
    beside_p50_ms: float
    beside_p99_ms: float


@dataclass(frozen=True, slots=True)
class NeighbourFigures:
    """The size of the greedy project, its connections, and the times of the other one by list.

    `items_beside` is how many items of the other one were in their clusters before the import was done.
    """

    items: int
    connections: int
    requests: int
    items_beside: int
    felt: Mapping[str, Felt]


async def measure(items: int, requests: int, report: Report) -> NeighbourFigures:
    """Return the times of the neighbour's lists and items.

    Raises:
        SoulcasterError: a list is not answered with 200, or the import was done before an item was in its cluster.
    """
    with tempfile.TemporaryDirectory(prefix="soulcaster-bench-") as folder:
        async with Stack(Path(folder)) as stack, open_read_model(stack.settings) as read_model:
            await stack.provision()
            await fill(read_model, NEIGHBOUR, NEIGHBOUR_CLUSTERS, NEIGHBOUR_ITEMS, report)
            await fill(read_model, GREEDY, max(100, items // 100), items, report)
            async with signed_in(stack.settings) as (http, _):
                report("Asking alone", 0, 4)
                alone = await _times(http, requests)
                report("Asking beside the greedy project", 1, 4)
                server = str(http._base_url)
                async with Program(["-m", "soulcaster.bench.greedy", server, *GREEDY_PATHS], stack.settings):
                    beside = await _times(http, requests)
            async with (
                open_publisher(stack.settings) as publisher,
                Program(WORKER, stack.settings) as worker,
            ):
                intake = _Intake(read_model, FeedbackPosts(publisher), worker)
                report("Posting items alone", 2, 4)
                items_alone = await intake.times(requests)
                report("Posting items beside an import", 3, 4)
                await intake.import_items(items)
                items_beside = await intake.times(requests)
    if not items_beside:
        raise SoulcasterError(f"The import of {items:,} items was done at once: give more --items.")
    felt = {name: Felt(*alone[name], *beside[name]) for name in PATHS}
    felt[ITEM] = Felt(*_percentiles(items_alone), *_percentiles(items_beside))
    return NeighbourFigures(items, CONNECTIONS, requests, len(items_beside), felt)


async def _times(http: aiohttp.ClientSession, requests: int) -> dict[str, tuple[float, float]]:
    """Return p50 and p99 of each list, whose requests take turns."""
    spent: dict[str, list[float]] = {name: [] for name in PATHS}
    for number in range(requests + 1):
        for name, path in PATHS.items():
            begun = time.perf_counter()
            async with http.get(path) as answer:
                await answer.read()
                if answer.status != 200:
                    raise SoulcasterError(f"The bench asked for {path} and got status {answer.status}.")
            if number:
                spent[name].append(1000 * (time.perf_counter() - begun))
    return {name: _percentiles(times) for name, times in spent.items()}


def _percentiles(times: Sequence[float]) -> tuple[float, float]:
    """Return p50 and p99."""
    return round(float(np.percentile(times, 50)), 1), round(float(np.percentile(times, 99)), 1)


class _Intake:
    """Posts items of two projects, and sees when they are in their clusters."""

    def __init__(self, read_model: ReadModel, posts: FeedbackPosts, worker: Program) -> None:
        self._read_model = read_model
        self._posts = posts
        self._worker = worker
        self._texts = texts(1_000_000, ITEM_LENGTH, seed=1)
        self._posted: Counter[str] = Counter()

    async def import_items(self, count: int) -> None:
        """Post so many items of the greedy project at once."""
        await self._post(IMPORTING, count)

    async def times(self, count: int) -> list[float]:
        """Return the milliseconds of so many items of the neighbour, fewer if an import is done before them.

        One more goes ahead, which finds the worker started.
        """
        spent = []
        importing = self._posted[IMPORTING] > 0
        for number in range(count + 1):
            begun = time.perf_counter()
            await self._post(RECEIVING, 1)
            await wait_until(self._neighbour_is_clustered, poll_seconds=ITEM_POLL_SECONDS)
            if importing and await self._clustered(IMPORTING):
                break
            if number:
                spent.append(1000 * (time.perf_counter() - begun))
        return spent

    async def _neighbour_is_clustered(self) -> bool:
        self._worker.check_runs()
        return await self._clustered(RECEIVING)

    async def _clustered(self, project_id: str) -> bool:
        return clustered_items(await self._read_model.projects.stats(project_id)) >= self._posted[project_id]

    async def _post(self, project_id: str, count: int) -> None:
        raw = [
            RawFeedback(project_id=project_id, source="bench", external_id=str(self._posted[project_id] + n), body=text)
            for n, text in enumerate(islice(self._texts, count))
        ]
        ready, _ = read_items([one.model_dump_json(exclude_none=True).encode() for one in raw], utc_now())
        self._posted[project_id] += count
        await self._posts.post(ready)
