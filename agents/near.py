"""near.queries -> Redis: what is near a cluster or an item, for somebody who waits for it."""

import asyncio
from collections.abc import Sequence
from functools import partial

from agents.runtime.batches import BATCH_BYTES, Batch
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.near import NearQuestion
from soulcaster.domain.near import NOTHING_NEAR
from soulcaster.ports.clock import Clock
from soulcaster.ports.messaging import Record
from soulcaster.ports.near_answers import WAITED, NearAnswers
from soulcaster.services.retrying import until_available
from soulcaster.wire.near import NearQuery
from tables.segmented import States


class Near:
    """Answers questions about the clusters that the agent `cluster` keeps in this process.

    It changes nothing, and nothing is lost with a question: one that is older than anybody waits is passed over. It
    reads topics of its own, so that an answer does not wait for all the items that have come before.
    """

    name = "near"
    batch_bytes = BATCH_BYTES

    def __init__(self, *, clusters: States[ProjectClusters], answers: NearAnswers, clock: Clock) -> None:
        """`clusters` is the table of the agent `cluster`."""
        self._clusters = clusters
        self._answers = answers
        self._clock = clock

    async def process(self, batch: Batch, records: Sequence[Record]) -> int:
        """Answer questions, one after the other; return how many."""
        answered = 0
        for record in records:
            query = NearQuery.model_validate_json(record.value or b"")
            if self._clock().timestamp() - record.timestamp_ms / 1000 > WAITED.total_seconds():
                continue
            async with self._clusters.turn:  # until the search has its copy
                project = self._clusters.state(record.partition, query.project_id)
                question = await asyncio.to_thread(_question, project, query)
            answer = NOTHING_NEAR if question is None else await asyncio.to_thread(question.answer)
            await until_available(partial(self._answers.put, query.id, answer))
            answered += 1
        return answered

    async def close(self) -> None:
        """Do nothing: nothing runs besides `process`."""


def _question(project: ProjectClusters, query: NearQuery) -> NearQuestion | None:
    return project.near_cluster(query.of_id) if query.kind == "cluster" else project.near_item(query.of_id)
