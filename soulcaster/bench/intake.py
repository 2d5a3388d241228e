"""`soulcaster bench intake`: many small posts a second while a worker runs; how they are answered, and how fast.

The load is open: each post goes out at its time, whether or not earlier ones were answered, so a server that falls
behind shows it. The time of a post is measured from when it should have gone out until its response was read; how late
it went out, which is this program's own delay, is reported separately. The same load runs for some seconds before the
measurement. After the last post the items in the read model are counted: each one that was answered 202 must be there.
Webhooks are measured in the same way, and so are posts while no worker runs; one is started again to count them.
"""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np
from cryptography.fernet import Fernet

from soulcaster.bench import PostedAs
from soulcaster.bench.feeds import texts
from soulcaster.bench.posts import Post, make_post
from soulcaster.bench.programs import WEB, WORKER, Program, wait_until, wait_until_answered
from soulcaster.dev.loopback import free_port
from soulcaster.dev.stack import Stack
from soulcaster.ports.read_model import ReadModel
from soulcaster.processes.clock import utc_now
from soulcaster.processes.connections import open_publisher, open_read_model
from soulcaster.processes.garbage import freeze
from soulcaster.processes.settings import Settings
from soulcaster.services.api_keys import ApiKeys
from soulcaster.services.webhook_secrets import Seal, WebhookSecrets

PROJECT = "bench-intake"
TEXT_BYTES = 1024
CONNECTIONS = 100
WARM_SECONDS = 3
"""How long the load runs before it is measured: connections open, models load, the first rounds are done."""

SLOW_MS = 250
"""A post that takes longer is slow; 99 of 100 should not."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is posted, how often and how long; with `worker_down` no worker runs meanwhile."""

    kind: PostedAs
    per_second: int
    seconds: int
    worker_down: bool


@dataclass(frozen=True, slots=True)
class IntakeFigures:
    """The figures of a load. Times are in milliseconds, `post_bytes` is the size of one post."""

    load: Load
    post_bytes: int
    posted: int
    answers: dict[str, int]
    """How many posts each HTTP status answered; "0": no response."""
    lost: int
    """Items that were answered 202 and are not in the read model."""
    p50_ms: float
    p99_ms: float
    max_ms: float
    sent_late_p99_ms: float
    slow_by_second: dict[str, int]
    """How many posts of each second were slow; seconds without any are left out."""


UNLIMITED = dict.fromkeys(("SOULCASTER_PROJECT_ITEMS_PER_MINUTE", "SOULCASTER_PROJECT_MEGABYTES_PER_MINUTE"), "1000000")
"""The load is one project's, and may be more than that of a project at the default limits."""


async def measure(load: Load, report: Callable[[int], None]) -> IntakeFigures:
    """Return the figures of a load; `report` gets how many posts were answered so far."""
    with tempfile.TemporaryDirectory(prefix="soulcaster-bench-") as folder:
        async with Stack(Path(folder)) as stack:
            await stack.provision()
            port = free_port()
            keys = {f"SOULCASTER_{name}_KEY": Fernet.generate_key().decode() for name in ("SESSION", "SECRETS")}
            async with (
                open_read_model(stack.settings) as read_model,
                Program(WEB, stack.settings, PORT=str(port), **keys, **UNLIMITED),
                aiohttp.ClientSession(
                    f"http://127.0.0.1:{port}", connector=aiohttp.TCPConnector(limit=CONNECTIONS)
                ) as http,
            ):
                secret = await _make_secret(load.kind, stack.settings, read_model, keys["SOULCASTER_SECRETS_KEY"])
                return await _measure(_Client(http, read_model, load, secret), stack.settings, report)


async def _make_secret(kind: PostedAs, settings: Settings, read_model: ReadModel, secrets_key: str) -> str:
    """Return what proves the posts: an API key, or a webhook secret."""
    async with open_publisher(settings) as publisher:
        if kind == "feedback":
            api_keys = ApiKeys(publisher, read_model.api_keys, utc_now)
            return (await api_keys.create(PROJECT, name="bench", scopes=["ingest"], by="bench")).secret
        webhook_secrets = WebhookSecrets(publisher, read_model.webhook_secrets, Seal(secrets_key), utc_now)
        return (await webhook_secrets.create(PROJECT, kind, None, by="bench")).plain


async def _measure(client: "_Client", settings: Settings, report: Callable[[int], None]) -> IntakeFigures:
    load = client.load
    async with AsyncExitStack() as workers:
        worker = await workers.enter_async_context(Program(WORKER, settings))
        await client.wait_until_accepted()
        await client.post(client.make_posts(WARM_SECONDS), lambda _: None)
        await client.wait_until_clustered()
        posts = client.make_posts(load.seconds)
        if load.worker_down:
            await workers.aclose()
        freeze()
        responses = await client.post(posts, report)
        if load.worker_down:
            await workers.enter_async_context(worker)
        await client.wait_until_clustered()
    lost = max(0, client.accepted - await client.items_found())
    return _figures(load, len(posts[0].body), responses, lost)


def _figures(load: Load, post_bytes: int, responses: "_Responses", lost: int) -> IntakeFigures:
    slow = Counter(
        int(due) for due, spent in zip(responses.due_seconds, responses.spent_ms, strict=True) if spent > SLOW_MS
    )
    return IntakeFigures(
        load=load,
        post_bytes=post_bytes,
        posted=responses.statuses.total(),
        answers={str(status): count for status, count in sorted(responses.statuses.items())},
        lost=lost,
        p50_ms=round(float(np.percentile(responses.spent_ms, 50)), 1),
        p99_ms=round(float(np.percentile(responses.spent_ms, 99)), 1),
        max_ms=round(max(responses.spent_ms), 1),
        sent_late_p99_ms=round(float(np.percentile(responses.late_ms, 99)), 1),
        slow_by_second={str(second): count for second, count in sorted(slow.items())},
    )


@dataclass(frozen=True, slots=True)
class _Responses:
    """How often each status was answered (0: no response), and the times of each post, in the order of responses.

    `due_seconds` is when it should have gone out, from the first post on; `late_ms` how much later it went out;
    `spent_ms` how long after its time its response was read.
    """

    statuses: Counter[int]
    due_seconds: list[float]
    late_ms: list[float]
    spent_ms: list[float]


class _Client:
    """Posts to the web server at a fixed rate, each post another item, and finds the items in the read model."""

    def __init__(self, http: aiohttp.ClientSession, read_model: ReadModel, load: Load, secret: str) -> None:
        self.load = load
        self.accepted = 0
        """Posts that were answered 202."""
        self._http = http
        self._read_model = read_model
        self._secret = secret
        self._path = f"/ingest/{load.kind}?project_id={PROJECT}"
        self._made = 0

    def make_posts(self, seconds: int) -> Sequence[Post]:
        """Return the posts for that many seconds; each is a new item."""
        count = self.load.per_second * seconds
        numbered = enumerate(texts(count, TEXT_BYTES, 0), self._made)
        self._made += count
        return [make_post(self.load.kind, number, text, self._secret) for number, text in numbered]

    async def wait_until_accepted(self) -> None:
        """Post one item until it is accepted: the server is up, and knows the secret."""
        [text] = texts(1, TEXT_BYTES, 0)
        first = make_post(self.load.kind, self._made, text, self._secret)
        self._made += 1
        await wait_until_answered(self._http, "POST", self._path, 202, data=first.body, headers=first.headers)
        self.accepted += 1

    async def post(self, posts: Sequence[Post], report: Callable[[int], None]) -> _Responses:
        """Send posts at the load's rate and return once all are answered; `report` gets their number every second."""
        responses = _Responses(Counter(), [], [], [])

        async def send(post: Post, due: float) -> None:
            late = (time.perf_counter() - due) * 1000
            try:
                async with self._http.post(self._path, data=post.body, headers=post.headers) as response:
                    await response.read()
                    responses.statuses[response.status] += 1
            except aiohttp.ClientError:
                responses.statuses[0] += 1
            responses.due_seconds.append(due - begin)
            responses.late_ms.append(late)
            responses.spent_ms.append((time.perf_counter() - due) * 1000)
            if len(responses.spent_ms) % self.load.per_second == 0:
                report(len(responses.spent_ms))

        begin = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for n, post in enumerate(posts):
                due = begin + n / self.load.per_second
                if (early := due - time.perf_counter()) > 0:
                    await asyncio.sleep(early)
                tasks.create_task(send(post, due))
        self.accepted += responses.statuses[202]
        return responses

    async def wait_until_clustered(self) -> None:
        """Return once every accepted item is in a cluster."""

        async def clustered() -> bool:
            stats = await self._read_model.projects.stats(PROJECT)
            return stats.total_feedback >= self.accepted and not stats.unclustered

        await wait_until(clustered)

    async def items_found(self) -> int:
        """Return how many items the read model has."""
        return (await self._read_model.projects.stats(PROJECT)).total_feedback
