"""A Faust table that knows which of its rows Kafka has acknowledged.

Faust sends rows in the background and does not look at what becomes of them. A row that is not acknowledged within the
producer's time limit, because the broker is away, is given up; flushing the producer then returns as if all were well.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import faust


class AcknowledgedTable(faust.Table):  # type: ignore[misc]  # faust ships no types that hold under --strict
    """A table whose rows are waited for with `stored`; for a row that is given up, `lost` is called with the reason."""

    lost: Callable[[BaseException], object]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._under_way: dict[int, set[asyncio.Future[Any]]] = defaultdict(set)

    def send_changelog(self, *args: Any, **kwargs: Any) -> Any:
        """Send a row, and remember it until it is acknowledged."""
        row = super().send_changelog(*args, **kwargs)
        partition = row.message.partition
        self._under_way[partition].add(row)
        row.add_done_callback(partial(self._answered, partition))
        return row

    async def stored(self, partitions: Iterable[int]) -> None:
        """Return once Kafka has acknowledged all rows of these partitions that were written."""
        rows = set[asyncio.Future[Any]]().union(*(self._under_way[partition] for partition in partitions))
        if rows:
            await asyncio.wait(rows)

    def _answered(self, partition: int, row: asyncio.Future[Any]) -> None:
        self._under_way[partition].discard(row)
        if not row.cancelled() and (error := row.exception()) is not None:
            self.lost(error)
