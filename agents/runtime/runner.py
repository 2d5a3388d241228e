"""The loop of every agent: take a batch, process it under the guard, count it."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Protocol

from agents.runtime.batches import Batch
from agents.runtime.guard import Guard
from agents.runtime.meter import Meter
from soulcaster.ports.messaging import Publisher, Record
from soulcaster.telemetry.spans import TRACER


class Agent(Protocol):
    """One hop of the stream: it turns records of its topics into messages, rows of a table or writes to Redis."""

    name: str
    """The agent's key in `soulcaster.wire.topics.AGENTS`; logs and dead letters carry it."""

    batch_bytes: int
    """A batch ends when it holds this much: how much work is done again if it is given up."""

    express: bool
    """Whether projects that have little waiting are processed beside a large batch of others: `process` is called
    twice at a time then, with records of different projects."""

    async def process(self, batch: Batch, records: Sequence[Record]) -> int:
        """Process records of a batch and return how many results they gave.

        It must be idempotent: the guard calls it again, with all records of the batch or with one, after it raised.
        It waits for unavailable systems itself (`until_available`).

        Args:
            batch: the batch the records come from; tables are written within `batch.writing(partition)`.
            records: all records of the batch, or one of them.
        """

    async def close(self) -> None:
        """Stop what the agent runs besides `process`; called once, after its last batch."""


async def run_agent(agent: Agent, lanes: Sequence[AsyncIterator[Batch]], *, publisher: Publisher, meter: Meter) -> None:
    """Process the batches of some lanes, each lane one after the other, until the first lane ends or one raises.

    Args:
        agent: what processes them.
        lanes: the batches of each lane; asking for the next one acknowledges the one before.
        publisher: sends the dead letters of records that cannot be processed.
        meter: counts the batches.

    Raises:
        KafkaUnavailable: a dead letter could not be sent. The process must end: the batch is not acknowledged.
    """
    guard = Guard(agent.name, publisher)
    tasks = [asyncio.create_task(_run_lane(agent, lane, guard, meter)) for lane in lanes]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await agent.close()
    for task in ended:
        task.result()


async def _run_lane(agent: Agent, batches: AsyncIterator[Batch], guard: Guard, meter: Meter) -> None:
    async for batch in batches:
        started = time.perf_counter()
        traces = (record.trace for record in batch.records)
        with TRACER.now.processing(agent.name, traces, len(batch.records)):
            results = await batch.do(guard.run(batch.records, partial(agent.process, batch)))
        if results is not None:
            meter.done(batch.records, results, time.perf_counter() - started)
