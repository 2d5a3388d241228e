"""feedback.items -> feedback.embedded: drop duplicates, embed the rest in one call.

Dedupe and embed share a hop, because a topic between them would carry the same bytes again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from agents.runtime.batches import Batch
from soulcaster.domain.feedback.dedupe import Judged, Seen
from soulcaster.domain.feedback.items import Deleted, FeedbackItem
from soulcaster.ports.embedder import Embedder
from soulcaster.ports.messaging import Outgoing, Publisher, Record
from soulcaster.services.retrying import until_available
from soulcaster.services.threads import away
from soulcaster.telemetry.counting import count_by_source
from soulcaster.telemetry.metrics import ITEMS_JUDGED
from soulcaster.wire.embedded import EmbedderId, embedded_envelopes
from soulcaster.wire.feedback import ItemsEnvelope
from soulcaster.wire.topics import FEEDBACK_EMBEDDED
from tables.segmented import ProjectPartition, States


class Embed:
    """Embeds new and changed items and passes tombstones on.

    1. Judge the items against the table `seen`: new, changed, duplicate or deleted.
    2. Embed the new and changed ones of all projects in one call, without what many items share word for word.
    3. Publish vectors and tombstones, one message a project, and await Kafka's acknowledgement.
    4. Mark the items as seen. A crash before this embeds them twice; marked first, they would be lost.
    """

    name = "embed"

    def __init__(self, *, seen: States[Seen], embedder: Embedder, publisher: Publisher) -> None:
        """Embed with `embedder`; remember in `seen` what was embedded."""
        self._seen = seen
        self._embedder = embedder
        self._embedder_id = EmbedderId(name=embedder.name, version=embedder.version, dimensions=embedder.dimensions)
        self._publisher = publisher

    async def process(self, batch: Batch, records: Sequence[Record]) -> int:
        """Embed the items of records; return how many were new or changed."""
        size = sum(len(record.value or b"") for record in records)
        items, deleted = await away(size, lambda: _parse(records))
        states: dict[ProjectPartition, Seen] = {}
        for place in items:
            await asyncio.sleep(0)  # a batch may be of a thousand projects
            states[place] = self._seen.state(*place)
        judged, outcomes = await away(size, lambda: _judge(states, items, deleted))
        embedded = 0
        if judged:
            try:
                messages, embedded = await self._messages(states, judged, deleted)
                await until_available(lambda: self._publisher.publish(messages))
                rows = await away(
                    size, lambda: {place: states[place].remember(found) for place, found in judged.items()}
                )
                for (partition, project_id), changes in rows.items():
                    with batch.writing(partition):
                        self._seen.write(partition, project_id, changes)
            except BaseException:
                for place in judged:
                    self._seen.forget(*place)
                raise
        count_by_source(ITEMS_JUDGED, outcomes)
        return embedded

    async def close(self) -> None:
        """Do nothing: nothing runs besides `process`."""

    async def _messages(
        self,
        states: Mapping[ProjectPartition, Seen],
        judged: Mapping[ProjectPartition, Judged],
        deleted: Mapping[ProjectPartition, Sequence[Deleted]],
    ) -> tuple[list[Outgoing], int]:
        """Embed what is fresh; return the messages and how many items they hold."""
        size = sum(len(item.body) for found in judged.values() for item in found.fresh)
        compared_items = await away(
            size, lambda: {place: states[place].compared(found) for place, found in judged.items()}
        )
        texts = [compared.text for of_project in compared_items.values() for compared in of_project]
        vectors = np.zeros((0, self._embedder.dimensions), np.float32)
        if texts:
            vectors = await until_available(lambda: self._embedder.embed(texts))
        parts = np.split(vectors, np.cumsum([len(of_project) for of_project in compared_items.values()])[:-1])
        messages = await away(
            size + vectors.nbytes,
            lambda: [
                Outgoing(FEEDBACK_EMBEDDED.name, place[1].encode(), envelope)
                for (place, of_project), part in zip(compared_items.items(), parts, strict=True)
                for envelope in embedded_envelopes(place[1], self._embedder_id, of_project, part, deleted[place])
            ],
        )
        return messages, len(texts)


def _judge(
    states: Mapping[ProjectPartition, Seen],
    items: Mapping[ProjectPartition, Sequence[FeedbackItem]],
    deleted: Mapping[ProjectPartition, Sequence[Deleted]],
) -> tuple[dict[ProjectPartition, Judged], list[tuple[str, str]]]:
    """Return what is judged of the projects that have news, and each item's source and verdict."""
    judged: dict[ProjectPartition, Judged] = {}
    outcomes: list[tuple[str, str]] = []
    for place, of_project in items.items():
        found = states[place].judge(of_project, [tombstone.id for tombstone in deleted[place]])
        outcomes += [(item.source, verdict) for item, verdict in zip(found.items, found.verdicts, strict=True)]
        if found.fresh or deleted[place]:
            judged[place] = found
    return judged, outcomes


def _parse(
    records: Sequence[Record],
) -> tuple[dict[ProjectPartition, list[FeedbackItem]], dict[ProjectPartition, list[Deleted]]]:
    """Return the items and the tombstones of each project."""
    items: dict[ProjectPartition, list[FeedbackItem]] = defaultdict(list)
    deleted: dict[ProjectPartition, list[Deleted]] = defaultdict(list)
    for record in records:
        envelope = ItemsEnvelope.model_validate_json(record.value or b"")
        items[record.partition, envelope.project_id] += envelope.items
        deleted[record.partition, envelope.project_id] += envelope.deleted
    return items, deleted
