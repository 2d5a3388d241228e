"""What the consumer does in a rebalance; tests/loss and tests/faults see it on a real Kafka."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from agents.runtime.delivery import OrderlyConsumer


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
    consumer._fetches, consumer._held, consumer._careful_fetches = set(), set(), 0
    consumer.app = SimpleNamespace(conf=SimpleNamespace(broker_max_poll_records=None))
    consumer._thread = SimpleNamespace(_ensure_consumer=SimpleNamespace)
    fetcher = asyncio.create_task(consumer._getmany({TP("t", 0)}, 1.0))
    await asyncio.sleep(0)
    fetcher.cancel()  # as Faust does in a rebalance
    seeking = asyncio.create_task(consumer.perform_seek())
    await asyncio.sleep(0.01)
    assert done == []
    answers.set()
    await seeking
    assert done == ["fetched", "sought"]
