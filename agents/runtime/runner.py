"""The loop of every agent: take a batch, process it under the guard, report how much it produced."""

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


async def run_agent(
    agent: Agent, batches: AsyncIterator[Batch], *, publisher: Publisher, meter: Meter
) -> AsyncIterator[int]:
    """Process batch after batch; yield how many results each gave.

    Args:
        agent: what processes them.
        batches: the batches; asking for the next one acknowledges the one before.
        publisher: sends the dead letters of records that cannot be processed.
        meter: counts the batches.

    Raises:
        KafkaUnavailable: a dead letter could not be sent. The process must end: the batch is not acknowledged.
    """
    guard = Guard(agent.name, publisher)
    try:
        async for batch in batches:
            started = time.perf_counter()
            traces = (record.trace for record in batch.records)
            with TRACER.now.processing(agent.name, traces, len(batch.records)):
                results = await batch.do(guard.run(batch.records, partial(agent.process, batch)))
            if results is None:
                continue
            meter.done(batch.records, results, time.perf_counter() - started)
            yield results
    finally:
        await agent.close()
