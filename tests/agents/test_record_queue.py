"""The queue between the consumer and an agent: by bytes, by projects, by partitions."""

import asyncio
import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from faust.events import Event
from faust.types import TP
from mode.utils.queues import FlowControlEvent

from agents.runtime.delivery import OrderlyApp
from agents.runtime.progress import Position
from agents.runtime.record_queue import ENOUGH_BYTES, RECORD_BYTES, ROOM_BYTES, RecordQueue
from agents.runtime.taking_turns import TURN_BYTES
from soulcaster.wire.feedback import of_project

ONE, OTHER = TP("t", 1), TP("t", 2)


def make_queue() -> tuple[RecordQueue, FlowControlEvent]:
    app = OrderlyApp.__new__(OrderlyApp)
    app.flow_control = FlowControlEvent()
    app.flow_control.resume()
    return app.FlowControlQueue(2, clear_on_resume=True), app.flow_control


class Reading:
    """Puts events into a queue, and knows of which partitions reading is stopped."""

    def __init__(self, queue: RecordQueue) -> None:
        self.queue = queue
        self.stopped: set[TP] = set()
        self._offsets: dict[TP, Any] = {tp: itertools.count() for tp in (ONE, OTHER)}

    def put(self, size: int, *, tp: TP = ONE, key: bytes | None = None, headers: Any = None) -> Any:
        offset = next(self._offsets[tp])
        message = SimpleNamespace(
            key=key, value=b"x" * size, tp=tp, offset=offset, timestamp=float(offset), headers=headers
        )
        event = Event(None, key, message.value, {}, message)

        def on(change: Callable[[TP], None]) -> Callable[[], None]:
            return lambda: change(tp)

        self.queue.put_nowait_enhanced(
            value=event, on_pressure_high=on(self.stopped.add), on_pressure_drop=on(self.stopped.discard)
        )
        return event


@pytest.mark.parametrize("size", [10, 4 * 1024 * 1024])
async def test_it_holds_enough_by_its_bytes_and_reading_goes_on_when_it_has_room(size: int) -> None:
    """What was fetched finds room in any case: whoever had to wait would hold up the records of all other topics."""
    queue, flow = make_queue()
    reading = Reading(queue)
    enough, room = (-(-most // (size + RECORD_BYTES)) for most in (ENOUGH_BYTES, ROOM_BYTES + 1))
    for _ in range(2):
        for number in range(1, 2 * enough + 1):
            reading.put(size)
            assert bool(reading.stopped) == (number >= enough)
            assert not queue.full()
        for left in range(2 * enough - 1, -1, -1):
            queue.get_nowait()
            assert bool(reading.stopped) == (left + 1 >= room)
        with pytest.raises(asyncio.QueueEmpty):
            queue.get_nowait()
    reading.put(size)
    flow.suspend()
    flow.resume()
    assert queue.qsize() == queue._bytes == 0
    assert not queue.progress.positions()


async def test_a_partition_with_little_is_read_on_while_another_one_has_enough() -> None:
    queue, _ = make_queue()
    reading = Reading(queue)
    while ONE not in reading.stopped:
        reading.put(1_000_000)
    for _ in range(20):
        reading.put(1_000_000, tp=OTHER)
    assert reading.stopped == {ONE}
    for _ in range(40):
        reading.put(1_000_000, tp=OTHER)
    assert reading.stopped == {ONE, OTHER}


async def test_a_partition_that_another_queue_let_go_on_is_stopped_again() -> None:
    queue, _ = make_queue()
    reading = Reading(queue)
    reading.put(ENOUGH_BYTES)
    reading.stopped.clear()
    reading.put(1)
    assert reading.stopped == {ONE}


@pytest.mark.parametrize("by_header", [True, False])
async def test_projects_take_turns(by_header: bool) -> None:
    queue, _ = make_queue()
    reading = Reading(queue)

    def put(number: int, project: str) -> Any:
        if by_header:
            return reading.put(1_000, key=b"item %d" % number, headers=[("other", b""), *of_project(project)])
        return reading.put(1_000, key=project.encode())

    for number in range(1_000):
        put(number, "greedy")
    newcomer = put(0, "newcomer")
    ahead = next(number for number in range(1_000) if queue.get_nowait() is newcomer)
    assert ahead <= TURN_BYTES // 1_000


@pytest.mark.parametrize("headers", [None, (), [("soulcaster-project", None)]])
async def test_a_record_that_names_no_project_has_its_key(headers: Any) -> None:
    queue, _ = make_queue()
    reading = Reading(queue)
    for _ in range(1_000):
        reading.put(1_000, key=b"a", headers=headers)
    other = reading.put(1_000, key=b"b", headers=headers)
    assert any(queue.get_nowait() is other for _ in range(1 + TURN_BYTES // 1_000))


async def test_it_knows_the_first_record_that_its_agent_is_not_done_with() -> None:
    queue, _ = make_queue()
    reading = Reading(queue)
    for _ in range(3):
        reading.put(1, key=b"a")
    reading.put(1, key=b"b")
    taken = [queue.get_nowait() for _ in range(4)]
    queue.done(taken[3].message)
    queue.done(taken[0].message)
    assert queue.progress.positions() == {ONE: Position(1, 1.0)}
    for event in taken[1:3]:
        queue.done(event.message)
    assert queue.progress.positions() == {ONE: Position(4, 3.0)}


async def test_while_the_main_lane_works_what_has_little_waiting_goes_by_the_express_lane() -> None:
    queue, _ = make_queue()
    reading = Reading(queue)
    queue.open_express()
    waiting = asyncio.create_task(queue.wait_for_express())
    for _ in range(100):
        reading.put(1_000, key=b"greedy")
    queue.get_nowait()
    first = reading.put(1_000, key=b"small")
    await asyncio.sleep(0)
    assert queue.take_express() == ()
    assert not waiting.done(), "the main lane takes what there is before it begins"
    queue.main_begins()
    await waiting
    assert queue.take_express() == [first]
    assert queue.take_express() == ()
    more = reading.put(1_000, key=b"small")
    assert queue.take_express() == (), "a project is in one lane, so that its records stay in order"
    assert all(queue.get_nowait() is not more for _ in range(99))
    queue.done(first.message)
    taking = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not taking.done()
    queue.express_done([first])
    assert await taking is more
    assert queue._bytes == 0


async def test_the_express_lane_waits_while_the_main_one_does_not_work() -> None:
    queue, _ = make_queue()
    reading = Reading(queue)
    queue.open_express()
    reading.put(1_000, key=b"a")
    queue.get_nowait()
    queue.main_begins()
    queue.main_done()
    reading.put(1_000, key=b"b")
    assert queue.take_express() == ()


async def test_what_the_express_lane_takes_makes_room() -> None:
    queue, _ = make_queue()
    reading = Reading(queue)
    queue.open_express()
    reading.put(10, key=b"first")
    queue.get_nowait()
    queue.main_begins()
    for number in range(ENOUGH_BYTES // RECORD_BYTES + 1):
        reading.put(0, key=b"%d" % number)
    assert reading.stopped == {ONE}
    while queue.take_express():
        pass
    assert queue._bytes == 0
    assert not reading.stopped
