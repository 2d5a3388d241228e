"""What the consumer does in a rebalance; tests/loss and tests/faults see it on a real Kafka."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.events import Event
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP
from mode.utils.queues import FlowControlEvent

from agents.runtime.delivery import OrderlyApp, OrderlyConsumer


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


def event(size: int) -> Any:
    return Event(None, b"", b"", {}, SimpleNamespace(key=None, value=b"x" * size))


@pytest.mark.parametrize(("size", "most"), [(10, 409), (4 * 1024 * 1024, 13)])
async def test_a_queue_holds_enough_by_its_bytes_too_and_reading_goes_on_when_it_has_room(size: int, most: int) -> None:
    app = OrderlyApp.__new__(OrderlyApp)
    app.flow_control = FlowControlEvent()
    app.flow_control.resume()
    queue = app.FlowControlQueue(512, clear_on_resume=True)
    told: list[str] = []
    one, stop, go = event(size), (lambda: told.append("stop")), go_on(told)
    for _ in range(2):
        for number in range(most + 1):
            assert told == ([] if number <= most else ["stop"])
            queue.put_nowait_enhanced(one, on_pressure_high=stop, on_pressure_drop=go)
        assert told == ["stop"]
        while not queue.empty():
            assert await queue.get() is one
        with pytest.raises(asyncio.QueueEmpty):
            queue.get_nowait()
        assert told == ["stop", "go on"]
        told.clear()
    queue.put_nowait_enhanced(one, on_pressure_high=stop, on_pressure_drop=go)
    app.flow_control.suspend()
    app.flow_control.resume()
    assert queue.qsize() == 0


async def test_what_was_fetched_finds_room_in_a_queue_that_holds_enough() -> None:
    """Whoever had to wait would hold up the records of all other topics."""
    app = OrderlyApp.__new__(OrderlyApp)
    app.flow_control = FlowControlEvent()
    app.flow_control.resume()
    queue = app.FlowControlQueue(512, clear_on_resume=True)
    async with asyncio.timeout(10):
        for _ in range(2_000):
            assert not queue.full()
            await queue.put(event(10))
    assert queue.qsize() == 2_000


def go_on(told: list[str]) -> Any:
    return lambda: told.append("go on")
