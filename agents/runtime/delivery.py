"""What Faust delivers after a rebalance: from the committed offset on, in order, with nothing skipped.

Faust 0.15 lets records of a new assignment flow before it has gone back to the committed offsets. It then clears the
queues and goes back, partition by partition, so that what was delivered in between is in no queue any more, while some
partitions have already read on; the offsets in between look like holes that compaction made, and are committed: lost.
And it does not go back at all where nothing was committed yet (aiokafka's `seek_to_committed` passes offset 0 over).

With `batches.py` this is the only place that touches Faust's privates.
"""

from collections.abc import Iterable
from typing import Any

import faust
from faust.transport.drivers.aiokafka import Consumer


class OrderlyConsumer(Consumer):  # type: ignore[misc]  # faust ships no types that hold under --strict
    """Holds a new assignment's streams back until every partition stands where it must be read from."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_place = False
        self._held: set[Any] = set()

    async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
        """Begin to hold back: no partition stands in its place yet."""
        self._in_place = False
        self._held = set()
        await super().on_partitions_assigned(assigned, generation_id)

    def resume_partitions(self, tps: Iterable[Any]) -> None:
        """Resume changelogs at once, streams once they are in place."""
        wanted = set(tps)
        if not self._in_place:
            streams = {tp for tp in wanted if not self._is_changelog_tp(tp)}
            self._held |= streams
            wanted -= streams
        super().resume_partitions(wanted)

    async def _getmany(self, active_partitions: set[Any] | None, timeout: float) -> Any:  # noqa: ASYNC109  Faust's
        """Fetch for the partitions that are active now.

        Faust hands over a set that it changes while the fetch is under way; when it empties it, records of every
        partition come back, are dropped as of no active one, and have been read past.
        """
        now = None if active_partitions is None else set(active_partitions)
        return await super()._getmany(now, timeout)

    def on_buffer_drop(self, tp: Any) -> None:
        """Resume a partition whose queue has room again; not one that is held back, or another worker's by now."""
        if self._in_place and tp in self.assignment():
            super().on_buffer_drop(tp)
        else:
            self._buffered_partitions.discard(tp)

    async def perform_seek(self) -> None:
        """Go back to the committed offsets, and where there is none to the beginning."""
        await super().perform_seek()
        if not self._held:
            return  # not the end of a recovery: the fetcher found that the flow had stopped while it waited
        uncommitted = [tp for tp in self.assignment() if not self._committed_offset[tp]]
        streams = [tp for tp in uncommitted if not self._is_changelog_tp(tp)]
        if streams:
            first = await self.earliest_offsets(*streams)
            await self.seek_wait(first)
        self._in_place = True

    def resume_flow(self) -> None:
        """Let records flow; the streams' too, once they are in place and the queues are clear."""
        super().resume_flow()
        if self._in_place and self._held:
            held, self._held = self._held, set()
            super().resume_partitions(held)


class OrderlyApp(faust.App):  # type: ignore[misc]
    """A Faust app that reads by an OrderlyConsumer."""

    def _new_transport(self) -> Any:
        transport = super()._new_transport()
        transport.Consumer = OrderlyConsumer
        return transport
