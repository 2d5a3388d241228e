"""`soulcaster bench pipeline`: the whole chain against a bare Faust forwarder, and against its own functions.

All run on the same broker and Redis, one after the other, so the ratios hold whatever the machine. A worker is started
and warmed up, stopped (SIGSTOP) while the feed is posted, and continued: the measured time is from then until the last
item can be read.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from aiokafka import TopicPartition

from soulcaster.adapters.kafka.consumers import standalone_consumer
from soulcaster.adapters.kafka.provisioning import provision
from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.bench import forward
from soulcaster.bench.alone import ONE_THREAD
from soulcaster.bench.feeds import Feed, messages, project_ids
from soulcaster.bench.programs import WORKER, Program, wait_until
from soulcaster.dev.stack import Stack
from soulcaster.errors import SoulcasterError
from soulcaster.ports.messaging import Outgoing, Publisher
from soulcaster.ports.projects import Stats
from soulcaster.ports.read_model import ReadModel
from soulcaster.processes.connections import open_publisher, open_read_model
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings
from soulcaster.wire.feedback import RawFeedback
from soulcaster.wire.topics import FEEDBACK_RAW, Topic

LENGTHS = (75, 400)
"""Bytes of the texts."""

FEEDS: tuple[Feed, ...] = ("singles", "envelopes")
FORWARD_LENGTH = 400
FORWARD_WARM_MESSAGES = 100
LATENCY_LENGTH = 400
LATENCY_PER_SECOND = 20
LATENCY_SECONDS = 20
LATENCY_POLL_SECONDS = 0.002
PUBLISH_MESSAGES = 5_000
"""Messages of one call of `publish`."""

PUBLISH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ChainRun:
    """The chain's and the domain's items a second with one feed of one text length, and the chain's ratios."""

    feed: Feed
    bytes: int
    domain_per_s: int
    chain_per_s: int
    chain_forward_ratio: float
    chain_domain_ratio: float


@dataclass(frozen=True, slots=True)
class PipelineFigures:
    """All figures; `p50_ms` and `p99_ms` are from the broker's acknowledgement until an item can be read."""

    items: int
    cores: int
    forward_per_s: int
    runs: tuple[ChainRun, ...]
    p50_ms: float
    p99_ms: float


async def measure(items: int, report: Callable[[str], None]) -> PipelineFigures:
    """Return all figures, with `items` items in each run; `report` gets what is being measured."""
    with tempfile.TemporaryDirectory(prefix="soulcaster-bench-") as folder:
        async with Stack(Path(folder)) as stack:
            await stack.provision()
            report("a bare Faust agent that forwards single events")
            forward_per_s = await _measure_forwarder(stack.settings, items)
            runs = []
            for feed in FEEDS:
                for length in LENGTHS:
                    report(f"the domain's functions alone: {feed}, {length} bytes")
                    domain = await _measure_domain(feed, items, length)
                    report(f"the whole chain: {feed}, {length} bytes")
                    chain = await _measure_chain(stack.settings, feed, items, length)
                    runs.append(_chain_run(feed, length, domain, chain, forward_per_s))
            report(f"the time from acknowledged to visible, {LATENCY_PER_SECOND} items a second")
            latency = await _measure_latency(stack.settings)
    return PipelineFigures(
        items=items,
        cores=len(os.sched_getaffinity(0)),
        forward_per_s=round(forward_per_s),
        runs=tuple(runs),
        p50_ms=round(float(np.percentile(latency, 50)), 1),
        p99_ms=round(float(np.percentile(latency, 99)), 1),
    )


def _chain_run(feed: Feed, length: int, domain: float, chain: float, forward_per_s: float) -> ChainRun:
    return ChainRun(
        feed=feed,
        bytes=length,
        domain_per_s=round(domain),
        chain_per_s=round(chain),
        chain_forward_ratio=round(chain / forward_per_s, 3),
        chain_domain_ratio=round(chain / domain, 3),
    )


async def _measure_forwarder(settings: Settings, count: int) -> float:
    """Return how many messages a second a bare Faust agent forwards."""
    topics = [Topic(name, "any", "bytes", None, "of the bench") for name in (forward.IN, forward.OUT)]
    kafka = kafka_access(settings)
    await provision(kafka, topics, partitions=settings.partitions, replication=1)
    command = ["-m", "soulcaster.bench.forward", settings.kafka, str(settings.partitions)]
    values = list(messages("singles", "forward", count, FORWARD_LENGTH))
    async with (
        KafkaPublisher(kafka_access(settings), timeout=PUBLISH_SECONDS) as publisher,
        standalone_consumer(kafka) as offsets,
        Program(command, settings) as process,
    ):

        async def forwarded(target: int) -> bool:
            ends = await offsets.end_offsets([TopicPartition(forward.OUT, p) for p in range(settings.partitions)])
            return bool(sum(ends.values()) >= target)

        await publisher.publish([Outgoing(forward.IN, None, b"warm")] * FORWARD_WARM_MESSAGES)
        await wait_until(lambda: forwarded(FORWARD_WARM_MESSAGES))
        seconds = await processing_seconds(
            [process], publisher, forward.IN, values, lambda: forwarded(FORWARD_WARM_MESSAGES + count)
        )
    return count / seconds


async def _measure_domain(feed: Feed, count: int, length: int) -> float:
    """Return how many items a second the domain's functions process in a plain loop."""
    command = [sys.executable, "-m", "soulcaster.bench.domain_loop", feed, str(count), str(length)]
    environment = {**os.environ, **ONE_THREAD}
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=environment)
    try:
        out, _ = await process.communicate()
    except BaseException:
        process.kill()
        raise
    if process.returncode:
        raise SoulcasterError(f"the benchmark process ended with {process.returncode}: {' '.join(command[1:])}")
    return float(json.loads(out))


async def _measure_chain(settings: Settings, feed: Feed, count: int, length: int) -> float:
    """Return how many items a second the chain processes."""
    run_id = f"{feed}-{length}"
    values = list(messages(feed, run_id, count, length))
    async with (
        open_read_model(settings) as read_model,
        KafkaPublisher(kafka_access(settings), timeout=PUBLISH_SECONDS) as publisher,
        Program(WORKER, settings) as process,
    ):
        await _warm_up(publisher, read_model, f"warm-{run_id}")

        seconds = await processing_seconds(
            [process], publisher, FEEDBACK_RAW.name, values, lambda: all_clustered(read_model, run_id, count)
        )
    return count / seconds


async def _measure_latency(settings: Settings) -> list[float]:
    """Return for single items the milliseconds from the broker's acknowledgement until each is read in its cluster."""
    project_id = "bench-latency"
    latencies: list[float] = []
    async with (
        open_read_model(settings) as read_model,
        open_publisher(settings) as publisher,
        Program(WORKER, settings),
        asyncio.TaskGroup() as waiting,
    ):
        await _warm_up(publisher, read_model, "warm-latency")
        before = (await read_model.projects.stats(project_id)).total_feedback

        async def follow(number: int, acknowledged: float) -> None:
            async def visible() -> bool:
                return clustered_items(await read_model.projects.stats(project_id)) >= number

            await wait_until(visible, poll_seconds=LATENCY_POLL_SECONDS)
            latencies.append((time.perf_counter() - acknowledged) * 1000)

        values = list(messages("singles", "latency", LATENCY_PER_SECOND * LATENCY_SECONDS, LATENCY_LENGTH))
        start = time.perf_counter()
        for i, value in enumerate(values):
            await asyncio.sleep(max(0.0, start + i / LATENCY_PER_SECOND - time.perf_counter()))
            item = RawFeedback.model_validate_json(value).model_copy(update={"project_id": project_id})
            await publisher.publish([Outgoing(FEEDBACK_RAW.name, None, item.model_dump_json().encode())])
            waiting.create_task(follow(before + i + 1, time.perf_counter()))
    return latencies


def clustered_items(stats: Stats) -> int:
    """Return how many items of a project are in their clusters."""
    return stats.total_feedback - stats.unclustered


async def _warm_up(publisher: Publisher, read_model: ReadModel, project_id: str) -> None:
    """Return once the worker has taken one item through the chain."""
    item = RawFeedback(project_id=project_id, source="bench", body="warm", external_id="warm")
    await publisher.publish([Outgoing(FEEDBACK_RAW.name, None, item.model_dump_json().encode())])

    async def clustered() -> bool:
        return clustered_items(await read_model.projects.stats(project_id)) == 1

    await wait_until(clustered)


async def all_clustered(read_model: ReadModel, run: str, count: int) -> bool:
    """Return whether so many items of a run can be read in their clusters."""
    stats = [await read_model.projects.stats(project_id) for project_id in project_ids(run)]
    return sum(clustered_items(one) for one in stats) >= count


async def processing_seconds(
    processes: Sequence[Program],
    publisher: Publisher,
    topic: str,
    values: Sequence[bytes],
    done: Callable[[], Awaitable[bool]],
) -> float:
    """Publish values while the processes are stopped; return the seconds it then takes until `done` is true."""
    for process in processes:
        process.signal(signal.SIGSTOP)
    for at in range(0, len(values), PUBLISH_MESSAGES):
        await publisher.publish([Outgoing(topic, None, value) for value in values[at : at + PUBLISH_MESSAGES]])
    begin = time.perf_counter()
    for process in processes:
        process.signal(signal.SIGCONT)
    await wait_until(done)
    return time.perf_counter() - begin
