"""What the consumer does in a rebalance; tests/loss and tests/faults see it on a real Kafka."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.events import Event
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP
from mode.utils.queues import FlowControlEvent

from agents.runtime.delivery import ENOUGH_BYTES, RECORD_BYTES, ROOM_BYTES, OrderlyApp, OrderlyConsumer


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


@pytest.mark.parametrize("size", [10, 4 * 1024 * 1024])
async def test_a_queue_holds_enough_by_its_bytes_and_reading_goes_on_when_it_has_room(size: int) -> None:
    """What was fetched finds room in any case: whoever had to wait would hold up the records of all other topics."""
    app = OrderlyApp.__new__(OrderlyApp)
    app.flow_control = FlowControlEvent()
    app.flow_control.resume()
    queue = app.FlowControlQueue(2, clear_on_resume=True)
    told: list[str] = []
    one, stop, go = event(size), (lambda: told.append("stop")), (lambda: told.append("go on"))
    enough, room = (-(-most // (size + RECORD_BYTES)) for most in (ENOUGH_BYTES, ROOM_BYTES + 1))
    for _ in range(2):
        for number in range(2 * enough):
            assert told == ([] if number <= enough else ["stop"])
            assert not queue.full()
            queue.put_nowait_enhanced(one, on_pressure_high=stop, on_pressure_drop=go)
        async with asyncio.timeout(10):
            await queue.put(one)
        for left in range(2 * enough, -1, -1):
            assert await queue.get() is one
            assert told == (["stop", "go on"] if left + 1 < room else ["stop"])
        with pytest.raises(asyncio.QueueEmpty):
            queue.get_nowait()
        told.clear()
    queue.put_nowait_enhanced(one, on_pressure_high=stop, on_pressure_drop=go)
    app.flow_control.suspend()
    app.flow_control.resume()
    assert queue.qsize() == queue._bytes == 0
