"""What the consumer does in a rebalance; tests/loss and tests/faults see it on a real Kafka."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from agents.runtime.delivery import OrderlyConsumer
from agents.runtime.progress import Progress


async def test_a_fetch_from_before_a_rebalance_ends_before_partitions_are_sought(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    answers = asyncio.Event()

    async def fetch(self: Any, active: Any, seconds: float) -> dict[Any, Any]:
        await answers.wait()
        done.append("fetched")
        return {}

    async def seek(self: Any) -> None:
        done.append("sought")

    monkeypatch.setattr(Consumer, "_getmany", fetch)
    monkeypatch.setattr(Consumer, "perform_seek", seek)
    consumer = OrderlyConsumer.__new__(OrderlyConsumer)  # without a Faust app
    consumer._fetches, consumer._held = set(), set()
    fetcher = asyncio.create_task(consumer._getmany({TP("t", 0)}, 1.0))
    await asyncio.sleep(0)
    fetcher.cancel()  # as Faust does in a rebalance
    seeking = asyncio.create_task(consumer.perform_seek())
    await asyncio.sleep(0.01)
    assert done == []
    answers.set()
    await seeking
    assert done == ["fetched", "sought"]


class Delivered:
    """A record, once its agents have it."""

    topic = "t"
    tp = TP("t", 0)
    timestamp = 1.0
    acked = False

    def __init__(self, offset: int) -> None:
        self.offset = offset


async def test_one_record_at_the_head_that_is_not_done_is_not_committed_past() -> None:
    """Projects take turns, so a later record may be done first; Faust's own rule commits 12 here."""
    taken: list[int] = []

    async def to_agents(message: Any) -> None:
        taken.append(message.offset)

    class Topics:
        def acks_enabled_for(self, topic: str) -> bool:
            return topic == "t"

    consumer = OrderlyConsumer.__new__(OrderlyConsumer)  # without a Faust app
    consumer._progress, consumer._to_agents = Progress(), to_agents
    consumer._acked, consumer._acked_index, consumer._gap = defaultdict(list), defaultdict(set), {}
    consumer._committed_offset, consumer._unacked_messages = {Delivered.tp: 10}, set()
    consumer._waiting_for_ack, consumer._n_acked = None, 0
    consumer.app = SimpleNamespace(topics=Topics())
    records = [Delivered(offset) for offset in (10, 11)]
    for record in records:
        await consumer._deliver(record).coroutine
    assert taken == [10, 11]
    assert consumer.ack(records[1])
    assert consumer._new_offset(Delivered.tp) is None
    assert consumer.ack(records[0])
    assert consumer._new_offset(Delivered.tp) == 12


async def test_records_are_delivered_without_a_task_for_each() -> None:
    """Faust's own loop, over our delivery; with its `wait_first` it makes four tasks for each record."""
    taken: list[int] = []
    made: list[Any] = []

    async def to_agents(message: Any) -> None:
        taken.append(message.offset)

    async def fetched(timeout: float) -> AsyncIterator[tuple[TP, Delivered]]:  # noqa: ASYNC109  Faust's
        for offset in range(10, 13):
            yield Delivered.tp, Delivered(offset)
        consumer._stopped.set()

    def task(loop: asyncio.AbstractEventLoop, coroutine: Any, **kwargs: Any) -> "asyncio.Task[Any]":
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **kwargs)

    consumer = OrderlyConsumer.__new__(OrderlyConsumer)  # without a Faust app
    consumer._progress, consumer._to_agents, consumer.callback = Progress(), to_agents, consumer._deliver
    consumer.getmany, consumer._read_offset, consumer._commit_every = fetched, {Delivered.tp: 10}, None
    consumer._stopped, consumer._crashed, consumer.suspend_flow = asyncio.Event(), asyncio.Event(), asyncio.Event()
    consumer.diag = SimpleNamespace(set_flag=lambda flag: None, unset_flag=lambda flag: None)
    consumer.app = SimpleNamespace(topics=SimpleNamespace(acks_enabled_for=lambda topic: True))
    consumer.sleep = asyncio.sleep
    asyncio.get_running_loop().set_task_factory(task)
    try:
        await consumer._drain_messages(SimpleNamespace(_stopped=asyncio.Event()))
    finally:
        asyncio.get_running_loop().set_task_factory(None)
    assert taken == [10, 11, 12]
    assert made == []
