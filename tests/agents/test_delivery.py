"""What the consumer does in a rebalance; tests/loss and tests/faults see it on a real Kafka."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.events import Event
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP
from mode.utils.queues import FlowControlEvent

from agents.runtime.delivery import QUEUE_BYTES, OrderlyApp, OrderlyConsumer


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


@pytest.mark.parametrize(("size", "most"), [(10, 512), (4 * 1024 * 1024, 16), (2 * QUEUE_BYTES, 1)])
async def test_a_queue_is_full_by_its_bytes_too_and_reading_goes_on_when_it_has_room(size: int, most: int) -> None:
    app = OrderlyApp.__new__(OrderlyApp)
    app.flow_control = FlowControlEvent()
    app.flow_control.resume()
    queue = app.FlowControlQueue(512, clear_on_resume=True)
    told: list[str] = []
    put, one = 0, event(size)
    for _ in range(2):
        while not queue.full():
            queue.put_nowait_enhanced(one, on_pressure_high=lambda: told.append("stop"), on_pressure_drop=go_on(told))
            put += 1
        assert put == most
        waiting = asyncio.create_task(queue.put(one))
        await asyncio.sleep(0)
        assert not waiting.done()
        while put + 1:
            assert await queue.get() is one
            put -= 1
        assert waiting.done()
        assert queue.empty()
        with pytest.raises(asyncio.QueueEmpty):
            queue.get_nowait()
        put = 0
    assert most < 4 or (told[0], told[-1]) == ("stop", "go on")
    queue.put_nowait_enhanced(one, on_pressure_high=told.clear, on_pressure_drop=told.clear)
    app.flow_control.suspend()
    app.flow_control.resume()
    assert (queue.qsize(), queue.full()) == (0, False)


def go_on(told: list[str]) -> Any:
    return lambda: told.append("go on")
