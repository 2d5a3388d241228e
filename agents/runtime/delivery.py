"""After a rebalance Faust delivers every record from the committed offset on, in order, with nothing skipped.

Faust 0.15 delivers records of a new assignment before it has sought the committed offsets. Then it clears the queues
and seeks, partition by partition. Records delivered in between are in no queue any more, while some partitions have
already been read further; the offsets in between look like gaps left by compaction, and are committed: the records are
lost. Where nothing is committed yet, Faust does not seek at all (aiokafka's `seek_to_committed` ignores offset 0).

A partition that cannot go on from its committed offset, because records were deleted, stands still until a person has
accepted the loss; so does one whose table has lost rows. With a reset policy aiokafka would start over at another
offset and say nothing. So the app is to have none (`consumer_auto_offset_reset`). Records that cannot be read are set
aside by the consumer that the app is given; the partition goes on behind them.

Faust's rule of what may be committed holds for records that are done in order. Ours are not, because projects take
turns: with it, one record at the head of a partition that is not done would be passed over (`_new_offset`).

Only this file, `batches.py` and `record_queue.py` touch Faust's privates. tests/loss shows these losses without it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

import faust
from aiokafka import TopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP
from mode import Service

from agents.runtime.batches import InProgress
from agents.runtime.progress import Progress
from agents.runtime.record_queue import RecordQueue
from soulcaster.domain.lost_records import DamagedRecords, LostTable, lost_records, lost_table
from soulcaster.services.stopped_partitions import Loss, StoppedPartitions
from soulcaster.wire.topics import TABLES, changelog, changelog_mark

FETCH_WAIT_MS = 1500
"""How long a broker holds back a fetch that has no data yet."""


class _Thread(AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread of the consumer, which is one that the app is given."""

    def _create_worker_consumer(self, _transport: Any) -> Any:
        conf = self.app.conf
        self._assignor = self.app.assignor
        return self.app.new_consumer(
            set_aside=self.consumer.set_aside,
            client_id=conf.broker_client_id,
            group_id=conf.id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset=conf.consumer_auto_offset_reset,
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=_ms(conf.broker_max_poll_interval),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            request_timeout_ms=_ms(conf.broker_request_timeout),
            session_timeout_ms=_ms(conf.broker_session_timeout),
            rebalance_timeout_ms=_ms(conf.broker_rebalance_timeout),
            heartbeat_interval_ms=_ms(conf.broker_heartbeat_interval),
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            connections_max_idle_ms=conf.consumer_connections_max_idle_ms,
        )


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


class OrderlyConsumer(Consumer):  # type: ignore[misc]  # faust ships no types that hold under --strict
    """Holds back the streams of a new assignment until every partition is at the offset where reading continues."""

    callback: Callable[[Any], Awaitable[None]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_place = False
        self._held: set[Any] = set()
        self._fetches: set[asyncio.Future[Any]] = set()
        self._lost = StoppedPartitions()
        self._damaged_tables: dict[TP, LostTable] = {}
        self._progress = Progress()
        self._to_agents, self.callback = self.callback, self._deliver

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
        """Hold back all streams: no partition is in place yet."""
        self._in_place = False
        self._held = set()
        self._lost.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """Commit what is done, and forget the partitions: whoever has them next reads on from there."""
        await super().on_partitions_revoked(revoked)
        for tp in revoked:
            self._progress.forget(tp)

    def resume_partitions(self, tps: Iterable[Any]) -> None:
        """Resume changelogs at once, streams when they are in place; those that have lost records stay paused."""
        wanted = {tp for tp in tps if tp not in self._lost}
        if not self._in_place:
            streams = {tp for tp in wanted if not self._is_changelog_tp(tp)}
            self._held |= streams
            wanted -= streams
        super().resume_partitions(wanted)

    async def _getmany(self, active_partitions: set[Any] | None, timeout: float) -> Any:  # noqa: ASYNC109  Faust's
        """Fetch records of the partitions that are active now.

        Faust passes a set that it changes during the fetch. When the set becomes empty, the fetch returns records of
        every partition; Faust drops them as inactive, and they have been read past.
        """
        now = None if active_partitions is None else set(active_partitions)
        fetch = asyncio.ensure_future(self._fetch(now, timeout))
        self._fetches.add(fetch)
        fetch.add_done_callback(self._fetches.discard)
        return await asyncio.shield(fetch)

    async def _fetch(self, active: set[Any] | None, seconds: float) -> Any:
        try:
            return await super()._getmany(active, seconds)
        except OffsetOutOfRangeError as error:
            self._fetch_ended()
            await self._out_of_range(error.args[0])
        except NoOffsetForPartitionError:
            self._fetch_ended()  # it was assigned a moment ago and is sought in a moment
        return {}

    def on_buffer_drop(self, tp: Any) -> None:
        """Resume a partition whose queue has room again, unless it is held back or now belongs to another worker."""
        if self._in_place and tp in self.assignment() and tp not in self._lost:
            super().on_buffer_drop(tp)
        else:
            self._buffered_partitions.discard(tp)

    async def perform_seek(self) -> None:
        """Seek the committed offset of every partition, or its beginning when nothing is committed.

        A fetch that began before the rebalance ends first, even if nobody waits for it any more: it would read on from
        the offsets sought here, and Faust drops its records, because their partitions are held back.
        """
        if self._fetches:
            await asyncio.wait(self._fetches)
        await super().perform_seek()
        if not self._held:
            return  # not the end of a recovery: the flow stopped while the fetcher waited
        assigned = self.assignment()
        firsts, ends = await self._spans(assigned)
        streams = {tp for tp in assigned if not self._is_changelog_tp(tp)}
        await self.seek_wait({tp: firsts[tp] for tp in streams if not self._committed_offset[tp]})
        await self._stop_lost({tp: self._committed_offset[tp] or 0 for tp in streams}, firsts, ends)
        await self._stop_without_tables(firsts, ends)
        self._progress.clear()  # a delivery that the rebalance broke off may have left a record that never comes again
        self._in_place = True

    async def wait_empty(self) -> None:
        """Wait for the batches that agents work on, but not for one that waits for a system that is away."""
        await self.app.in_progress.end()
        await super().wait_empty()

    def resume_flow(self) -> None:
        """Let records flow, those of streams when they are in place and the queues are clear."""
        super().resume_flow()
        if self._in_place and self._held:
            held, self._held = self._held, set()
            super().resume_partitions({tp for tp in held if tp not in self._lost})

    def verify_event_path(self, now: float, tp: Any) -> None:
        """Look for a partition that stands still, unless it has to."""
        if tp not in self._lost:
            super().verify_event_path(now, tp)

    def stands_still(self, topic: str, partition: int) -> bool:
        """Return whether a partition is not read on because something of it is lost."""
        return (topic, partition) in self._lost

    # ---- what is done --------------------------------------------------------------------------------------------

    async def _deliver(self, message: Any) -> None:
        """Put a record into the queues of its agents; from now on nothing is committed past it until all are done."""
        if self.app.topics.acks_enabled_for(message.topic):
            self._progress.delivered(message.tp, message.offset, message.timestamp)
        await self._to_agents(message)

    def ack(self, message: Any) -> bool:
        """Note that all agents are done with a record."""
        self._progress.done(message.tp, message.offset)
        return bool(super().ack(message))

    def _new_offset(self, tp: Any) -> int | None:
        """Return the offset to commit, in place of Faust's rule and its lists."""
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return self._progress.committable(tp)

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        """Do nothing: offsets that are no record are never waited for."""

    # ---- what is lost --------------------------------------------------------------------------------------------

    async def _out_of_range(self, wanted: Mapping[Any, int]) -> None:
        """Stop streams whose next record was deleted while the worker ran; begin changelogs at their first record.

        Faust begins a changelog one record too early, which does not exist where records were deleted.
        """
        at = {TP(tp.topic, tp.partition): offset for tp, offset in wanted.items()}
        firsts, ends = await self._spans(at)
        await self.seek_wait({tp: firsts[tp] for tp in at if self._is_changelog_tp(tp)})
        await self._stop_lost({tp: at[tp] for tp in at if not self._is_changelog_tp(tp)}, firsts, ends)

    async def set_aside(self, damaged: DamagedRecords) -> None:
        """Set aside records that cannot be read, as asked by the thread of the consumer, which then goes on."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._set_aside(damaged), self.app.loop))

    async def _set_aside(self, damaged: DamagedRecords) -> None:
        await self.app.set_aside(damaged)
        tp = TP(damaged.topic, damaged.partition)
        if self._is_changelog_tp(tp):
            # The other tables are recovered; the streams of this one stop before they are read (`perform_seek`).
            self._damaged_tables[tp] = LostTable(tp.topic, tp.partition, 0, damaged.next, damaged)
            recovered = self.app.tables.recovery.active_offsets
            recovered[tp] = max(recovered[tp] or 0, damaged.next - 1)

    @Service.task  # type: ignore[untyped-decorator]
    async def _pass_what_is_no_record(self) -> None:
        """Commit what is behind the last record and is none, as a marker of a transaction is: it is no work left."""
        async for _ in self.itertimer(self.commit_interval, name="no records"):
            if self._in_place and self.flow_active and not self.app.rebalancing:
                await self._commit_offsets(dict(self._behind_no_records()))

    def _behind_no_records(self) -> Iterator[tuple[Any, int]]:
        consumer = self._thread._ensure_consumer()
        for tp in self.assignment():
            if tp not in self._lost and not self._is_changelog_tp(tp):
                committed = self._committed_offset[tp] or 0
                behind = consumer.past_no_records(TopicPartition(tp.topic, tp.partition), committed)
                if behind > committed:
                    yield tp, behind

    async def _stop_lost(self, wanted: Mapping[Any, int], firsts: Mapping[Any, int], ends: Mapping[Any, int]) -> None:
        """Stop streams that do not have the offset from which they are to go on."""
        for tp, offset in wanted.items():
            lost = lost_records(tp.topic, tp.partition, committed=offset, first=firsts[tp], end=ends[tp])
            if lost is not None:
                await self._stop([tp], lost, firsts)

    async def _stop_without_tables(self, firsts: Mapping[Any, int], ends: Mapping[Any, int]) -> None:
        """Stop streams whose table has lost rows; mark the changelogs of tables that begin now."""
        for name, topics in TABLES.items():
            changelog_name = changelog(self.app.conf.id, name).name
            for tp in [tp for tp in firsts if tp.topic == changelog_name]:
                streams = [TP(topic.name, tp.partition) for topic in topics]
                read = any(self._committed_offset[stream] for stream in streams)
                lost = self._damaged_tables.get(tp) or lost_table(
                    changelog_name, tp.partition, read=read, first=firsts[tp], end=ends[tp]
                )
                if lost is not None:
                    await self._stop(streams, lost, firsts)
                elif not ends[tp]:
                    mark = changelog_mark(tp.partition)
                    await self.app.producer.send_and_wait(tp.topic, mark, b"", tp.partition, None, None)

    async def _stop(self, tps: Iterable[Any], lost: Loss, firsts: Mapping[Any, int]) -> None:
        """Read no more of partitions, nor of their prefetched records."""
        stopped = set(tps)
        self._lost.add(stopped, lost)
        self.pause_partitions(stopped)
        of_aiokafka = (TopicPartition(tp.topic, tp.partition) for tp in stopped)
        await self._thread.call_thread(self._thread._ensure_consumer().pause, *of_aiokafka)
        await self.seek_wait({tp: firsts[tp] for tp in stopped})

    async def _spans(self, tps: Iterable[Any]) -> tuple[dict[Any, int], dict[Any, int]]:
        """Return the first offset of each partition, and the offset of its next record."""
        partitions = [TopicPartition(tp.topic, tp.partition) for tp in tps]
        firsts = await self.earliest_offsets(*tps)
        ends = await self._thread.call_thread(self._thread._ensure_consumer().log_ends, partitions)
        return (
            {TP(tp.topic, tp.partition): first for tp, first in firsts.items()},
            {TP(tp.topic, tp.partition): end for tp, end in ends.items()},
        )

    def _fetch_ended(self) -> None:
        """Count a fetch that raised as ended; aiokafka forgets to, and would never miss a worker that hangs."""
        self._thread._ensure_consumer()._subscription._fetch_count -= 1


class OrderlyApp(faust.App):  # type: ignore[misc]
    """A Faust app that reads with an OrderlyConsumer, into queues that count bytes."""

    def __init__(
        self,
        *args: Any,
        new_consumer: Callable[..., Any],
        set_aside: Callable[[DamagedRecords], Awaitable[None]],
        **kwargs: Any,
    ) -> None:
        """Let `new_consumer` make the consumer: one that takes aiokafka's options and hands over what is damaged.

        `set_aside` keeps records that cannot be read, and is called in the loop of the app.
        """
        self.new_consumer = new_consumer
        self.set_aside = set_aside
        super().__init__(*args, **kwargs)
        self.in_progress = InProgress(self)

    def FlowControlQueue(self, maxsize: int | None = None, *, clear_on_resume: bool = False) -> RecordQueue:  # noqa: N802
        """Return a queue, as Faust's own method, but one that no number of records fills."""
        return RecordQueue(0, flow_control=self.flow_control, clear_on_resume=clear_on_resume)

    def _new_transport(self) -> Any:
        transport = super()._new_transport()
        transport.Consumer = OrderlyConsumer
        return transport
