"""A Faust table that knows which of its rows Kafka has acknowledged.

Faust sends rows in the background and does not look at what becomes of them. A row that is not acknowledged within the
producer's time limit, because the broker is away, is given up; flushing the producer then returns as if all were well.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import faust


class AcknowledgedTable(faust.Table):  # type: ignore[misc]  # faust ships no types that hold under --strict
    """A table whose rows are waited for with `stored`; for a row that is given up, `lost` is called with the reason."""

    lost: Callable[[BaseException], object]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._under_way: set[asyncio.Future[Any]] = set()

    def send_changelog(self, *args: Any, **kwargs: Any) -> Any:
        """Send a row, and remember it until it is acknowledged."""
        row = super().send_changelog(*args, **kwargs)
        self._under_way.add(row)
        row.add_done_callback(self._answered)
        return row

    async def stored(self) -> None:
        """Return once Kafka has acknowledged all rows that were written."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    def _answered(self, row: asyncio.Future[Any]) -> None:
        self._under_way.discard(row)
        if not row.cancelled() and (error := row.exception()) is not None:
            self.lost(error)
