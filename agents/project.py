"""feedback.items, cluster.events, job.events, job.logs, job.documents, control -> the read model.

Items are read before they are deduplicated and embedded, so an item shows as soon as it is normalized, as unclustered.
"""

from collections.abc import Sequence

from agents.runtime.batches import BATCH_BYTES, Batch
from soulcaster.ports.messaging import Record
from soulcaster.services.projection import Projection


class Project:
    """Projects records into the read model."""

    name = "project"
    batch_bytes = BATCH_BYTES
    express = True

    def __init__(self, projection: Projection) -> None:
        self._projection = projection

    async def process(self, batch: Batch, records: Sequence[Record]) -> int:
        """Apply records; return how many."""
        await self._projection.apply(records)
        return len(records)

    async def close(self) -> None:
        """Do nothing: nothing runs besides `process`."""
