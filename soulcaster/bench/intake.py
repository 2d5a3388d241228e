"""`soulcaster bench intake`: many small posts a second while the worker works, what they are answered and how fast.

The load is open: a post goes out at its time whether or not the others were answered, so a server that falls behind is
seen to. Time is from when a post should have gone out until its answer was read; how late it went out, which is this
program's own doing, is told apart. The same load runs for a few seconds before it is measured. After the last post the
items are counted in the read model: each that was answered 202 has to be there. Webhooks are measured in the same way;
and so is how they are answered while no worker runs, which is started again to count them.
"""

import asyncio
import gc
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from cryptography.fernet import Fernet
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.bench import PostedAs
from soulcaster.bench.feeds import texts
from soulcaster.bench.posts import request
from soulcaster.bench.programs import WEB, WORKER, Program, until
from soulcaster.dev.loopback import free_port
from soulcaster.dev.stack import Stack
from soulcaster.services.api_keys import ApiKeys
from soulcaster.services.webhook_secrets import Seal, WebhookSecrets

PROJECT = "bench-intake"
BYTES = 1024
CONNECTIONS = 100
WARM_SECONDS = 3
"""So long the same load runs before it is measured: connections are opened, models loaded, the first rounds done."""

AIM_MS = 250
"""What the slowest post in a hundred may take."""

_Request = tuple[bytes, dict[str, str]]
"""A body, and its headers."""


async def run(
    kind: PostedAs, per_second: int, seconds: int, *, worker_down: bool, report: Callable[[int], None]
) -> dict[str, Any]:
    """Return the figures; `report` hears how many posts were answered so far."""
    with tempfile.TemporaryDirectory(prefix="soulcaster-bench-") as folder:
        async with Stack(Path(folder)) as stack:
            await stack.provision()
            settings = stack.settings
            port = free_port()
            keys = {f"SOULCASTER_{name}_KEY": Fernet.generate_key().decode() for name in ("SESSION", "SECRETS")}
            web = {"PORT": str(port), **keys}
            read_model = RedisReadModel(settings.redis_url)
            clock = partial(datetime.now, UTC)
            async with KafkaPublisher(settings.kafka) as publisher:
                if kind == "feedback":
                    api_keys = ApiKeys(publisher, read_model.api_keys, clock)
                    secret = (await api_keys.create(PROJECT, name="bench", scopes=["ingest"], by="bench")).secret
                else:
                    seal = Seal(keys["SOULCASTER_SECRETS_KEY"])
                    webhook_secrets = WebhookSecrets(publisher, read_model.webhook_secrets, seal, clock)
                    secret = (await webhook_secrets.create(PROJECT, kind, None, by="bench")).plain

            async def settled(count: int) -> bool:
                stats = await read_model.projects.stats(PROJECT)
                return stats.total_feedback >= count and not stats.unclustered

            def requests(first: int, seconds: int) -> Sequence[_Request]:
                numbered = enumerate(texts(per_second * seconds, BYTES, 0), first)
                return [request(kind, number, text, secret) for number, text in numbered]

            async with (
                AsyncExitStack() as at_work,
                Program(WEB, settings, **web),
                aiohttp.ClientSession(
                    f"http://127.0.0.1:{port}", connector=aiohttp.TCPConnector(limit=CONNECTIONS)
                ) as http,
            ):
                worker = await at_work.enter_async_context(Program(WORKER, settings))
                path = f"/ingest/{kind}?project_id={PROJECT}"
                [one] = requests(0, 1)[:1]
                await until(lambda: _taken(http, path, one))
                warm = requests(1, WARM_SECONDS)
                first = await _post(http, path, warm, per_second, lambda _: None)
                await until(lambda: settled(1 + first.statuses[202]))
                measured = requests(1 + len(warm), seconds)
                if worker_down:
                    await at_work.aclose()
                gc.collect()
                gc.freeze()
                posted = await _post(http, path, measured, per_second, report)
                if worker_down:
                    await at_work.enter_async_context(worker)
                accepted = 1 + first.statuses[202] + posted.statuses[202]
                await until(lambda: settled(accepted))
                found = (await read_model.projects.stats(PROJECT)).total_feedback
                await read_model.close()
    slow = Counter(int(due) for due, spent in zip(posted.due, posted.times, strict=True) if spent > AIM_MS)
    return {
        "as": kind,
        "worker_down": worker_down,
        "per_second": per_second,
        "seconds": seconds,
        "bytes": len(measured[0][0]),
        "posted": posted.statuses.total(),
        "answers": {str(status): count for status, count in sorted(posted.statuses.items())},
        "lost": max(0, accepted - found),
        "p50_ms": round(float(np.percentile(posted.times, 50)), 1),
        "p99_ms": round(float(np.percentile(posted.times, 99)), 1),
        "max_ms": round(max(posted.times), 1),
        "sent_late_p99_ms": round(float(np.percentile(posted.late, 99)), 1),
        "slow_by_second": {str(second): count for second, count in sorted(slow.items())},
    }


async def _taken(http: aiohttp.ClientSession, path: str, one: _Request) -> bool:
    body, headers = one
    try:
        async with http.post(path, data=body, headers=headers) as answer:
            return answer.status == 202
    except aiohttp.ClientConnectionError:
        return False


@dataclass(frozen=True, slots=True)
class _Posted:
    """How often each status was answered (0: no answer), and of each post, as they were answered, its times.

    `due` is in seconds from the first; `late`, until it went out, and `times`, until it was answered, in milliseconds.
    """

    statuses: Counter[int]
    due: list[float]
    late: list[float]
    times: list[float]


async def _post(
    http: aiohttp.ClientSession,
    path: str,
    requests: Sequence[_Request],
    per_second: int,
    report: Callable[[int], None],
) -> _Posted:
    posted = _Posted(Counter(), [], [], [])

    async def post(one: _Request, due: float) -> None:
        late = (time.perf_counter() - due) * 1000
        body, headers = one
        try:
            async with http.post(path, data=body, headers=headers) as answer:
                await answer.read()
                posted.statuses[answer.status] += 1
        except aiohttp.ClientError:
            posted.statuses[0] += 1
        posted.due.append(due - begin)
        posted.late.append(late)
        posted.times.append((time.perf_counter() - due) * 1000)
        if len(posted.times) % per_second == 0:
            report(len(posted.times))

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as posts:
        for n, one in enumerate(requests):
            due = begin + n / per_second
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            posts.create_task(post(one, due))
    return posted


def main(kind: PostedAs, per_second: int, seconds: int, *, worker_down: bool, as_json: bool) -> None:
    """Measure and print: words, or JSON."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("Posting", total=per_second * seconds)

        def report(done: int) -> None:
            progress.update(task, completed=done)

        figures = asyncio.run(run(kind, per_second, seconds, worker_down=worker_down, report=report))
    if as_json:
        print(json.dumps(figures, indent=2))  # noqa: T201  the result
        return
    answered = ", ".join(f"{status}: {count:,}" for status, count in figures["answers"].items())
    out = Console()
    what = f"{figures['posted']:,} posts of {figures['bytes']:,} bytes as {kind}"
    out.print(f"{what}, {per_second} a second; answered {answered}")
    out.print(
        f"p50 {figures['p50_ms']} ms, p99 {figures['p99_ms']} ms, max {figures['max_ms']} ms; lost: {figures['lost']}"
    )
    slow = ", ".join(f"{second}: {count}" for second, count in figures["slow_by_second"].items()) or "none"
    out.print(f"sent late by {figures['sent_late_p99_ms']} ms (p99); above {AIM_MS} ms, by the second: {slow}")
