"""From a stream to batches, with a double of the parts of a Faust stream that are used."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from faust.events import Event
from faust.types import TP
from mode.utils.queues import FlowControlEvent

from agents.runtime import batches as module
from agents.runtime.batches import BATCH_BYTES, Batch, InProgress, batches, express_batches
from agents.runtime.meter import Meter
from agents.runtime.record_queue import RecordQueue
from agents.runtime.runner import run_agent
from agents.runtime.taking_turns import TURN_BYTES
from tests.support.publisher import RecordingPublisher


class Message:
    def __init__(
        self, app: "App", offset: int, value: bytes | None, partition: int, streams: int, key: bytes = b"k"
    ) -> None:
        self.app = app
        self.topic = "t"
        self.partition = partition
        self.tp = TP("t", partition)
        self.offset = offset
        self.key = key
        self.headers = None
        self.value = value
        self.timestamp = 1_700_000_000.125
        self.generation_id = app.consumer_generation_id
        self.tracked = False
        self.acked = False
        self.refcount = streams


class App:
    """Tracks messages as Faust's consumer does: one is acknowledged when its last stream acknowledges it."""

    def __init__(self) -> None:
        self.consumer_generation_id = 1
        self.flow_control = FlowControlEvent(initially_suspended=False)
        self.tracked: Counter[int] = Counter()
        self.consumer = SimpleNamespace(unacked=set(), track_message=self.track)
        self.in_progress = InProgress(self)

    def track(self, message: Message) -> None:
        self.tracked[message.offset] += 1
        self.consumer.unacked.add(message)

    @property
    def waits_for(self) -> list[int]:
        """The messages that a stop or a rebalance waits for."""
        return sorted(message.offset for message in self.consumer.unacked)


class Stream:
    def __init__(self, app: App) -> None:
        self.app = app
        self.channel = SimpleNamespace(queue=RecordQueue(flow_control=FlowControlEvent(initially_suspended=False)))
        self.enable_acks = True
        self.current_event: Event | None = None
        self.current_for_tables: Event | None = None
        self.acks: list[int] = []

    def put(self, *messages: Message) -> None:
        for message in messages:
            self.channel.queue.force_put_nowait(Event(None, message.key, message.value, {}, message))

    async def __aiter__(self) -> AsyncIterator[bytes | None]:
        while not self.channel.queue.empty():
            acknowledges = self.enable_acks
            event: Event = self.channel.queue.get_nowait()
            message = event.message
            if not self.app.flow_control.is_active() or message.generation_id != self.app.consumer_generation_id:
                continue
            if not message.tracked:
                message.tracked = True
                self.app.track(message)
            self.current_event = event
            try:
                yield event.value
            finally:
                self.current_event = None
                if acknowledges:
                    await self.ack(event)

    async def ack(self, event: Event) -> bool:
        self.acks.append(event.message.offset)
        event.message.refcount -= 1
        if event.message.refcount == 0:
            event.message.acked = True
            self.app.consumer.unacked.discard(event.message)
        return bool(event.message.acked)

    def _set_current_event(self, event: Event) -> None:
        self.current_event = self.current_for_tables = event

    def batches(self, most_bytes: int = BATCH_BYTES) -> AsyncIterator[Batch]:
        return batches(self, self.app.in_progress, most_bytes=most_bytes)


def messages(app: App, count: int, *, partitions: int = 1, size: int = 1, streams: int = 1) -> list[Message]:
    return [Message(app, n, bytes(size), n % partitions, streams) for n in range(count)]


def offsets(batch: Batch) -> list[int]:
    return [record.offset for record in batch.records]


async def test_what_is_at_hand_is_one_batch_in_its_order() -> None:
    app = App()
    stream = Stream(app)
    stream.put(*messages(app, 10, partitions=3))
    [batch] = [b async for b in stream.batches()]
    assert offsets(batch) == list(range(10))
    first = batch.records[0]
    assert (first.topic, first.partition, first.key, first.value) == ("t", 0, b"k", b"\0")
    assert first.timestamp_ms == 1_700_000_000_125
    parts = batch.by_partition()
    assert {p: [r.offset for r in some] for p, some in parts.items()} == {0: [0, 3, 6, 9], 1: [1, 4, 7], 2: [2, 5, 8]}


async def test_an_event_without_a_value_is_a_record_too() -> None:
    app = App()
    stream = Stream(app)
    stream.put(Message(app, 0, None, 0, 1), Message(app, 1, None, 0, 1))
    [batch] = [b async for b in stream.batches()]
    assert [r.value for r in batch.records] == [None, None]


async def test_it_is_acknowledged_when_the_consumer_comes_back_and_not_before() -> None:
    app = App()
    stream = Stream(app)
    stream.put(*messages(app, 3))
    taken = stream.batches()
    await anext(taken)
    assert (stream.acks, app.waits_for) == ([], [0, 1, 2])
    stream.put(Message(app, 7, b"x", 0, 1))
    assert offsets(await anext(taken)) == [7]
    assert (stream.acks, app.waits_for) == ([0, 1, 2], [7])
    assert await anext(taken, None) is None
    assert (stream.acks, app.waits_for) == ([0, 1, 2, 7], [])
    assert app.tracked == {0: 1, 1: 1, 2: 1, 7: 1}


async def test_a_consumer_that_stops_in_the_middle_has_acknowledged_nothing() -> None:
    app = App()
    stream = Stream(app)
    stream.put(*messages(app, 3))
    taken = stream.batches()
    await anext(taken)
    await taken.aclose()  # type: ignore[attr-defined]  # it is a generator
    assert stream.acks == []


async def test_a_consumer_that_raises_has_acknowledged_nothing() -> None:
    app = App()
    stream = Stream(app)
    stream.put(*messages(app, 3))

    async def agent(of: AsyncIterator[Batch]) -> AsyncIterator[int]:
        async for _ in of:
            raise RuntimeError("the agent failed")
            yield 1

    with pytest.raises(RuntimeError):
        await anext(agent(stream.batches()))
    assert stream.acks == []


async def test_one_that_is_cancelled_has_acknowledged_nothing() -> None:
    app = App()
    stream = Stream(app)
    stream.put(*messages(app, 3))
    busy = asyncio.Event()

    async def work() -> None:
        async for _ in stream.batches():
            busy.set()
            await asyncio.sleep(3600)

    task = asyncio.create_task(work())
    await busy.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stream.acks == []


@pytest.mark.parametrize("first_is_old", [True, False])
async def test_what_is_of_before_a_rebalance_is_left_to_its_new_owner(first_is_old: bool) -> None:
    app = App()
    stream = Stream(app)
    some = messages(app, 6)
    for n, message in enumerate(some):
        if (n % 2 == 0) == first_is_old:
            message.generation_id = 0
    stream.put(*some)
    [batch] = [b async for b in stream.batches()]
    expected = [1, 3, 5] if first_is_old else [0, 2, 4]
    assert offsets(batch) == expected
    assert stream.acks == expected
    assert sorted(app.tracked) == expected


async def test_nothing_is_taken_while_a_rebalance_is_under_way() -> None:
    app = App()
    stream = Stream(app)
    stream.put(*messages(app, 3))
    app.flow_control.suspend()
    assert [b async for b in stream.batches()] == []
    assert stream.acks == []


async def test_a_batch_has_a_largest_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RECORDS", 4)
    app = App()
    stream = Stream(app)
    stream.put(*messages(app, 10))
    taken = stream.batches()
    assert offsets(await anext(taken)) == [0, 1, 2, 3]
    assert app.waits_for == [0, 1, 2, 3]  # a rebalance does not wait for messages that no agent has begun
    assert [offsets(b) async for b in taken] == [[4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([40] * 7, [[0, 1, 2], [3, 4, 5], [6]]),
        ([100, 1, 1], [[0], [1, 2]]),
        ([1, 500, 1], [[0, 1], [2]]),
        ([500, 500], [[0], [1]]),
    ],
)
async def test_a_batch_has_a_largest_size(sizes: list[int], expected: list[list[int]]) -> None:
    app = App()
    stream = Stream(app)
    stream.put(*(Message(app, n, bytes(size), 0, 1) for n, size in enumerate(sizes)))
    assert [offsets(b) async for b in stream.batches(most_bytes=100)] == expected


async def test_tables_are_written_at_an_event_of_their_partition() -> None:
    app = App()
    stream = Stream(app)
    stream.put(*messages(app, 5, partitions=2))
    async for batch in stream.batches():
        for partition in (1, 0):
            with batch.writing(partition):
                assert stream.current_for_tables is not None
                assert stream.current_for_tables.message.partition == partition
        with pytest.raises(LookupError), batch.writing(9):
            pass


async def test_a_batch_of_its_own_can_write_no_table() -> None:
    with pytest.raises(LookupError), Batch(()).writing(0):
        pass


async def test_a_message_of_two_agents_is_acknowledged_by_both() -> None:
    app = App()
    one, other = Stream(app), Stream(app)
    some = messages(app, 3, streams=2)
    one.put(*some)
    other.put(*some)
    taken, others = one.batches(), other.batches()
    await anext(taken)
    await anext(others)
    assert app.tracked == {0: 1, 1: 1, 2: 1}
    assert await anext(taken, None) is None
    assert app.waits_for == [0, 1, 2]  # the other agent still processes them
    assert not any(m.acked for m in some)
    assert await anext(others, None) is None
    assert app.waits_for == []
    assert all(m.acked for m in some)


async def test_what_another_agent_has_not_begun_holds_up_no_stop() -> None:
    app = App()
    one, other = Stream(app), Stream(app)
    some = messages(app, 3, streams=2)
    one.put(*some)
    other.put(*some)
    assert [offsets(b) async for b in one.batches()] == [[0, 1, 2]]
    assert app.waits_for == []
    assert not any(m.acked for m in some)
    others: Any = other.batches()
    await anext(others)
    assert app.waits_for == [0, 1, 2]
    assert await anext(others, None) is None
    assert all(m.acked for m in some)


class Waiting:
    """Work on a batch that waits for a system that is away."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.there = asyncio.Event()

    async def __call__(self) -> int:
        self.begun.set()
        await self.there.wait()
        return 1


async def test_a_stop_waits_for_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "END_SECONDS", 60.0)
    app = App()
    stream, work = Stream(app), Waiting()
    stream.put(*messages(app, 3))
    taken = stream.batches()
    doing = asyncio.create_task((await anext(taken)).do(work()))
    await work.begun.wait()
    ending = asyncio.create_task(app.in_progress.end())
    await asyncio.sleep(0)
    work.there.set()
    await ending
    assert await doing == 1
    assert await anext(taken, None) is None
    assert (stream.acks, app.waits_for) == ([0, 1, 2], [])


async def test_a_stop_gives_up_work_that_waits_for_a_system_and_acknowledges_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "END_SECONDS", 0.01)
    app = App()
    stream, work = Stream(app), Waiting()
    stream.put(*messages(app, 3))
    taken = stream.batches()
    doing = asyncio.create_task((await anext(taken)).do(work()))
    await work.begun.wait()
    await app.in_progress.end()
    assert await doing is None
    stream.put(Message(app, 7, b"x", 0, 1))  # after a rebalance the agent goes on
    later = await anext(taken)
    assert (stream.acks, app.waits_for) == ([], [7])
    work.there.set()
    assert await later.do(work()) == 1
    assert await anext(taken, None) is None
    assert (stream.acks, app.waits_for) == ([7], [])


async def test_an_agent_that_is_cancelled_takes_its_work_along() -> None:
    app = App()
    stream, work = Stream(app), Waiting()
    stream.put(*messages(app, 3))
    doing = asyncio.create_task((await anext(stream.batches())).do(work()))
    await work.begun.wait()
    doing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doing
    await app.in_progress.end()  # nothing is at work
    assert stream.acks == []


# ---- the express lane ------------------------------------------------------------------------------------------------


def keyed(app: App, key: bytes, *offsets: int, size: int = 1) -> list[Message]:
    return [Message(app, offset, bytes(size), 0, 1, key) for offset in offsets]


async def both(stream: Stream) -> tuple[AsyncIterator[Batch], AsyncIterator[Batch], Batch]:
    """Return the batches of both lanes, and the one that the main lane works on."""
    main = stream.batches()
    return main, express_batches(stream, stream.app.in_progress), await anext(main)


async def test_beside_a_batch_others_go_by_the_express_lane_and_are_acknowledged_first() -> None:
    app = App()
    stream = Stream(app)
    stream.put(*keyed(app, b"greedy", 0, 1))
    main, express, first = await both(stream)
    stream.put(*keyed(app, b"greedy", 2), *keyed(app, b"a", 3, 4), *keyed(app, b"b", 5))
    assert (offsets(first), offsets(await anext(express))) == ([0, 1], [3, 4])
    assert offsets(await anext(express)) == [5]
    waiting = asyncio.ensure_future(anext(express))
    await asyncio.sleep(0)
    assert (stream.acks, app.waits_for) == ([3, 4, 5], [0, 1])
    assert offsets(await anext(main)) == [2]
    stream.put(*keyed(app, b"a", 6))
    assert offsets(await waiting) == [6]
    assert stream.acks == [3, 4, 5, 0, 1]


async def test_a_project_whose_batch_takes_long_holds_up_no_other_one_that_has_little_waiting() -> None:
    app = App()
    stream = Stream(app)
    stream.put(*keyed(app, b"greedy", 0))
    _main, express, _ = await both(stream)
    beside = express_batches(stream, app.in_progress)
    stream.put(*keyed(app, b"slow", 1, 2))
    assert offsets(await anext(express)) == [1, 2]
    for number in range(3, 6):
        stream.put(*keyed(app, b"%d" % number, number), *keyed(app, b"slow", number + 10))
        assert offsets(await anext(beside)) == [number]
    assert offsets(await anext(express)) == [13, 14, 15]
    assert stream.acks == [3, 4, 1, 2]


async def test_a_batch_of_what_a_project_sent_in_bulk_is_of_nobody_who_has_little_waiting() -> None:
    app = App()
    stream = Stream(app)
    beside = asyncio.ensure_future(anext(express_batches(stream, app.in_progress)))
    await asyncio.sleep(0)
    stream.put(*keyed(app, b"large", 0, 1, size=TURN_BYTES), *keyed(app, b"small", 2))
    assert offsets(await anext(stream.batches())) == [0, 1]
    assert offsets(await beside) == [2]


async def test_the_express_lane_leaves_what_is_of_before_a_rebalance_and_waits_while_one_is_under_way() -> None:
    app = App()
    stream = Stream(app)
    stream.put(*keyed(app, b"greedy", 0))
    main, express, _ = await both(stream)
    old, new = keyed(app, b"a", 1, 2)
    old.generation_id = 0
    app.flow_control.suspend()
    stream.put(old, new)
    waiting = asyncio.ensure_future(anext(express))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    app.flow_control.resume()
    assert offsets(await waiting) == [2]
    assert await anext(main, None) is None
    assert stream.acks == [0]


async def test_the_main_lane_takes_what_it_was_given_though_the_express_lane_writes_tables_meanwhile() -> None:
    """A lane sets the event by which Faust writes tables, while the other one waits for its queue to fill."""
    app = App()
    stream = Stream(app)
    stream.put(*keyed(app, b"greedy", 0, 1))
    main, express, _ = await both(stream)
    stream.put(*keyed(app, b"a", 2))
    beside = await anext(express)
    stream.put(*keyed(app, b"greedy", 3, 4))
    taking = asyncio.ensure_future(anext(main))
    while 0 not in stream.acks or stream.channel.queue.qsize() > 1:
        await asyncio.sleep(0)
    assert not taking.done(), "it waits for its queue to fill"
    with beside.writing(0):
        pass
    assert offsets(await taking) == [3, 4]


class Fails:
    """An agent that fails with one project, and waits for ever with the others."""

    name = "fails"
    batch_bytes = BATCH_BYTES
    express = True

    def __init__(self) -> None:
        self.working = asyncio.Event()
        self.closed = False

    async def process(self, batch: Batch, records: object) -> int:
        if batch.records[0].key == b"bad":
            raise RuntimeError("it fails")
        self.working.set()
        await asyncio.sleep(3600)
        return 1

    async def close(self) -> None:
        self.closed = True


async def test_an_agent_whose_express_lane_raises_ends_and_has_acknowledged_nothing() -> None:
    app, agent = App(), Fails()
    stream = Stream(app)
    stream.put(*keyed(app, b"greedy", 0))
    lanes = [stream.batches(), express_batches(stream, app.in_progress)]
    publisher = RecordingPublisher()
    publisher.fail = ValueError("the dead letter cannot be sent")
    running = asyncio.create_task(run_agent(agent, lanes, publisher=publisher, meter=Meter("normalize")))
    await agent.working.wait()
    stream.put(*keyed(app, b"bad", 1))
    with pytest.raises(ValueError, match="the dead letter"):
        await running
    assert stream.acks == []
    assert agent.closed


async def test_an_agent_whose_stream_ends_ends_its_express_lane() -> None:
    app, agent = App(), Fails()
    stream = Stream(app)
    lanes = [stream.batches(), express_batches(stream, app.in_progress)]
    await run_agent(agent, lanes, publisher=RecordingPublisher(), meter=Meter("normalize"))
    assert agent.closed
