"""`soulcaster bench neighbour`: what one project feels of another that sends many requests at once.

A web server has a large project and a small one. The small one is asked for lists, one request after the other: first
alone, then while a program of its own searches the large one over many connections (`bench/greedy.py`).
"""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np

from soulcaster.bench.greedy import CONNECTIONS
from soulcaster.bench.programs import Program
from soulcaster.bench.progress import Report
from soulcaster.bench.web import fill, signed_in
from soulcaster.dev.stack import Stack
from soulcaster.errors import SoulcasterError
from soulcaster.processes.connections import open_read_model

GREEDY, NEIGHBOUR = "bench-greedy", "bench-neighbour"
NEIGHBOUR_CLUSTERS, NEIGHBOUR_ITEMS = 100, 1_000

GREEDY_PATHS = (
    f"/feedback?project_id={GREEDY}&limit=100&q=no-such-word",
    f"/feedback?project_id={GREEDY}&limit=1000",
    f"/clusters?project_id={GREEDY}&q=no-such-word",
    f"/dead-letters?project_id={GREEDY}",
)
PATHS: Mapping[str, str] = {
    "GET /stats": f"/stats?project_id={NEIGHBOUR}",
    "GET /clusters, 100": f"/clusters?project_id={NEIGHBOUR}&limit=100",
    "GET /feedback, 100": f"/feedback?project_id={NEIGHBOUR}&limit=100",
    "GET /feedback, 100, with words": f"/feedback?project_id={NEIGHBOUR}&limit=100&q=no-such-word",
}


@dataclass(frozen=True, slots=True)
class Felt:
    """Times of one list in milliseconds: alone, and beside the greedy project."""

    alone_p50_ms: float
    alone_p99_ms: float
    beside_p50_ms: float
    beside_p99_ms: float


@dataclass(frozen=True, slots=True)
class NeighbourFigures:
    """The size of the greedy project, its connections, and the times of the other one by list."""

    items: int
    connections: int
    requests: int
    felt: Mapping[str, Felt]


async def measure(items: int, requests: int, report: Report) -> NeighbourFigures:
    """Return the times of the neighbour's lists.

    Raises:
        SoulcasterError: a list is not answered with 200.
    """
    with tempfile.TemporaryDirectory(prefix="soulcaster-bench-") as folder:
        async with Stack(Path(folder)) as stack, open_read_model(stack.settings) as read_model:
            await stack.provision()
            await fill(read_model, NEIGHBOUR, NEIGHBOUR_CLUSTERS, NEIGHBOUR_ITEMS, report)
            await fill(read_model, GREEDY, max(100, items // 100), items, report)
            async with signed_in(stack.settings) as (http, _):
                report("Asking alone", 0, 2)
                alone = await _times(http, requests)
                report("Asking beside the greedy project", 1, 2)
                server = str(http._base_url)
                async with Program(["-m", "soulcaster.bench.greedy", server, *GREEDY_PATHS], stack.settings):
                    beside = await _times(http, requests)
    felt = {name: Felt(*alone[name], *beside[name]) for name in PATHS}
    return NeighbourFigures(items, CONNECTIONS, requests, felt)


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
    return {
        name: (round(float(np.percentile(times, 50)), 1), round(float(np.percentile(times, 99)), 1))
        for name, times in spent.items()
    }
