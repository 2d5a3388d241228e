"""`soulcaster bench pipeline`: the whole chain against a bare Faust forwarder and against its own functions.

On a broker and Redis of its own, in one run, so that the ratios hold whatever the machine. A worker is started and
warmed, stopped (SIGSTOP) while the feed is posted, and let go: measured is the time from then until the last item can
be read.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from soulcaster.adapters.kafka.provisioning import provision
from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.bench import forward
from soulcaster.bench.feeds import Feed, messages, project_ids
from soulcaster.bench.programs import WORKER, Program, until
from soulcaster.dev.stack import Stack
from soulcaster.errors import SoulcasterError
from soulcaster.ports.messaging import Outgoing
from soulcaster.processes.settings import Settings
from soulcaster.wire.feedback import RawFeedback
from soulcaster.wire.topics import FEEDBACK_RAW, Topic

LENGTHS = (75, 400)
FEEDS: tuple[Feed, ...] = ("singles", "envelopes")
LATENCY_PER_SECOND = 20
LATENCY_SECONDS = 20


async def run(items: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return all figures; `tell` hears what is being measured."""
    with tempfile.TemporaryDirectory(prefix="soulcaster-bench-") as folder:
        async with Stack(Path(folder)) as stack:
            await stack.provision()
            settings = stack.settings
            tell("a bare Faust agent that forwards single events")
            forward_per_s = await _forward(settings, items)
            runs = []
            for feed in FEEDS:
                for length in LENGTHS:
                    tell(f"the domain's functions alone: {feed}, {length} bytes")
                    domain = await _domain(feed, items, length)
                    tell(f"the whole chain: {feed}, {length} bytes")
                    chain = await _chain(settings, feed, items, length)
                    runs.append(
                        {
                            "feed": feed,
                            "bytes": length,
                            "domain_per_s": round(domain),
                            "chain_per_s": round(chain),
                            "chain_forward_ratio": round(chain / forward_per_s, 3),
                            "chain_domain_ratio": round(chain / domain, 3),
                        }
                    )
            tell(f"the time from acknowledged to visible, {LATENCY_PER_SECOND} items a second")
            latency = await _latency(settings)
    return {
        "items": items,
        "cores": len(os.sched_getaffinity(0)),
        "forward_per_s": round(forward_per_s),
        "runs": runs,
        "p50_ms": round(float(np.percentile(latency, 50)), 1),
        "p99_ms": round(float(np.percentile(latency, 99)), 1),
    }


async def _forward(settings: Settings, count: int) -> float:
    topics = [Topic(name, "any", "bytes", None, "of the bench") for name in (forward.IN, forward.OUT)]
    await provision(settings.kafka, topics, partitions=settings.partitions, replication=1)
    command = ["-m", "soulcaster.bench.forward", settings.kafka, str(settings.partitions)]
    values = list(messages("singles", "forward", count, 400))
    async with (
        KafkaPublisher(settings.kafka, timeout=60) as publisher,
        AIOKafkaConsumer(bootstrap_servers=settings.kafka) as offsets,
        Program(command, settings) as process,
    ):

        async def reached(target: int) -> bool:
            ends = await offsets.end_offsets([TopicPartition(forward.OUT, p) for p in range(settings.partitions)])
            return bool(sum(ends.values()) >= target)

        await publisher.publish([Outgoing(forward.IN, None, b"warm")] * 100)
        await until(lambda: reached(100))
        return await _measure(process, publisher, forward.IN, values, count, lambda: reached(100 + count))


async def _domain(feed: Feed, count: int, length: int) -> float:
    command = [sys.executable, "-m", "soulcaster.bench.domain_loop", feed, str(count), str(length)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    if process.returncode:
        raise SoulcasterError(f"the bench's process ended with {process.returncode}: {' '.join(command[1:])}")
    return float(json.loads(out))


async def _chain(settings: Settings, feed: Feed, count: int, length: int) -> float:
    run_id = f"{feed}-{length}"
    values = list(messages(feed, run_id, count, length))
    read_model = RedisReadModel(settings.redis_url)
    async with KafkaPublisher(settings.kafka, timeout=60) as publisher, Program(WORKER, settings) as process:
        await _warm(publisher, read_model, f"warm-{run_id}")

        async def visible() -> bool:
            figures = [await read_model.projects.stats(project_id) for project_id in project_ids(run_id)]
            return sum(f.total_feedback - f.unclustered for f in figures) >= count

        rate = await _measure(process, publisher, FEEDBACK_RAW.name, values, count, visible)
    await read_model.close()
    return rate


async def _latency(settings: Settings) -> list[float]:
    """Return milliseconds from the broker's ack of a single item until it can be read in its cluster."""
    read_model = RedisReadModel(settings.redis_url)
    latencies: list[float] = []
    async with KafkaPublisher(settings.kafka) as publisher, Program(WORKER, settings):
        await _warm(publisher, read_model, "warm-latency")
        project_id = "bench-latency"
        before = await read_model.projects.stats(project_id)
        seen = before.total_feedback

        async def follow(number: int, acked: float) -> None:
            async def visible() -> bool:
                now = await read_model.projects.stats(project_id)
                return now.total_feedback - now.unclustered >= number

            await until(visible, every=0.002)
            latencies.append((time.perf_counter() - acked) * 1000)

        async with asyncio.TaskGroup() as following:
            texts = list(messages("singles", "latency", LATENCY_PER_SECOND * LATENCY_SECONDS, 400))
            start = time.perf_counter()
            for i, text in enumerate(texts):
                await asyncio.sleep(max(0.0, start + i / LATENCY_PER_SECOND - time.perf_counter()))
                item = RawFeedback.model_validate_json(text).model_copy(update={"project_id": project_id})
                await publisher.publish([Outgoing(FEEDBACK_RAW.name, None, item.model_dump_json().encode())])
                following.create_task(follow(seen + i + 1, time.perf_counter()))
    await read_model.close()
    return latencies


async def _warm(publisher: KafkaPublisher, read_model: RedisReadModel, project_id: str) -> None:
    """Return once the worker has taken an item of each partition's worth of projects through the chain."""
    body = RawFeedback(project_id=project_id, source="bench", body="warm", external_id="warm").model_dump_json()
    await publisher.publish([Outgoing(FEEDBACK_RAW.name, None, body.encode())])

    async def done() -> bool:
        stats = await read_model.projects.stats(project_id)
        return stats.total_feedback == 1 and not stats.unclustered

    await until(done)


async def _measure(
    process: Program,
    publisher: KafkaPublisher,
    topic: str,
    values: Sequence[bytes],
    count: int,
    done: Callable[[], Awaitable[bool]],
) -> float:
    process.signal(signal.SIGSTOP)
    for at in range(0, len(values), 5_000):
        await publisher.publish([Outgoing(topic, None, value) for value in values[at : at + 5_000]])
    begin = time.perf_counter()
    process.signal(signal.SIGCONT)
    await until(done)
    return count / (time.perf_counter() - begin)


def main(items: int, as_json: bool) -> None:
    """Measure and print: a table, or JSON."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("starting Kafka and Redis")
        figures = asyncio.run(run(items, lambda what: progress.update(task, description=f"measuring {what}")))
    if as_json:
        print(json.dumps(figures, indent=2))  # noqa: T201  the result
        return
    table = Table(title=f"{items:,} items a run, {figures['cores']} cores; a second:")
    for column in ("feed", "bytes", "chain", "of forward", "of domain", "domain"):
        table.add_column(column, justify="right")
    for r in figures["runs"]:
        table.add_row(
            r["feed"],
            str(r["bytes"]),
            f"{r['chain_per_s']:,}",
            f"{r['chain_forward_ratio']:.2f}",
            f"{r['chain_domain_ratio']:.2f}",
            f"{r['domain_per_s']:,}",
        )
    out = Console()
    out.print(table)
    out.print(f"a bare Faust agent forwards {figures['forward_per_s']:,} a second")
    out.print(f"from acknowledged to visible: p50 {figures['p50_ms']} ms, p99 {figures['p99_ms']} ms")
