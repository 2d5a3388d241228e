"""What the consumer does in a rebalance; tests/loss and tests/faults see it on a real Kafka."""

import asyncio
from collections import defaultdict
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
        await consumer._deliver(record)
    assert taken == [10, 11]
    assert consumer.ack(records[1])
    assert consumer._new_offset(Delivered.tp) is None
    assert consumer.ack(records[0])
    assert consumer._new_offset(Delivered.tp) == 12
