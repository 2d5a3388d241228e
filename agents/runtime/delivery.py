"""After a rebalance Faust delivers every record from the committed offset on, in order, with nothing skipped.

Faust 0.15 delivers records of a new assignment before it has sought the committed offsets. Then it clears the queues
and seeks, partition by partition. Records delivered in between are in no queue any more, while some partitions have
already been read further; the offsets in between look like gaps left by compaction, and are committed: the records are
lost. Where nothing is committed yet, Faust does not seek at all (aiokafka's `seek_to_committed` ignores offset 0).

Only this file and `batches.py` touch Faust's privates. tests/loss shows each of these losses without it.
"""

from collections.abc import Iterable
from typing import Any

import faust
from faust.transport.drivers.aiokafka import Consumer


class OrderlyConsumer(Consumer):  # type: ignore[misc]  # faust ships no types that hold under --strict
    """Holds back the streams of a new assignment until every partition is at the offset where reading continues."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_place = False
        self._held: set[Any] = set()

    async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
        """Hold back all streams: no partition is in place yet."""
        self._in_place = False
        self._held = set()
        await super().on_partitions_assigned(assigned, generation_id)

    def resume_partitions(self, tps: Iterable[Any]) -> None:
        """Resume changelogs at once, streams when they are in place."""
        wanted = set(tps)
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
        return await super()._getmany(now, timeout)

    def on_buffer_drop(self, tp: Any) -> None:
        """Resume a partition whose queue has room again, unless it is held back or now belongs to another worker."""
        if self._in_place and tp in self.assignment():
            super().on_buffer_drop(tp)
        else:
            self._buffered_partitions.discard(tp)

    async def perform_seek(self) -> None:
        """Seek the committed offset of every partition, or its beginning when nothing is committed."""
        await super().perform_seek()
        if not self._held:
            return  # not the end of a recovery: the flow stopped while the fetcher waited
        uncommitted = [tp for tp in self.assignment() if not self._committed_offset[tp]]
        streams = [tp for tp in uncommitted if not self._is_changelog_tp(tp)]
        if streams:
            first = await self.earliest_offsets(*streams)
            await self.seek_wait(first)
        self._in_place = True

    def resume_flow(self) -> None:
        """Let records flow, those of streams when they are in place and the queues are clear."""
        super().resume_flow()
        if self._in_place and self._held:
            held, self._held = self._held, set()
            super().resume_partitions(held)


class OrderlyApp(faust.App):  # type: ignore[misc]
    """A Faust app that reads with an OrderlyConsumer."""

    def _new_transport(self) -> Any:
        transport = super()._new_transport()
        transport.Consumer = OrderlyConsumer
        return transport
