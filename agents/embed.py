"""feedback.items -> feedback.embedded: drop duplicates, embed the rest.

Dedupe and embed share a hop, because a topic between them would carry the same bytes again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import numpy as np

from agents.runtime.batches import Batch
from soulcaster.domain.clustering.features.vectors import Vectors
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.domain.feedback.dedupe import Judged, Seen
from soulcaster.domain.feedback.items import ComparedItem, Deleted, FeedbackItem
from soulcaster.ports.embedder import Embedder, Embedders
from soulcaster.ports.messaging import Outgoing, Publisher, Record
from soulcaster.services.retrying import until_available
from soulcaster.services.threads import away
from soulcaster.telemetry.counting import count_by_source
from soulcaster.telemetry.metrics import ITEMS_JUDGED
from soulcaster.wire.embedded import EmbedderId, embedded_envelopes
from soulcaster.wire.feedback import ItemsEnvelope
from soulcaster.wire.topics import ENVELOPE_BYTES, FEEDBACK_EMBEDDED
from tables.segmented import ProjectPartition, States


class Embed:
    """Embeds new and changed items and passes tombstones on.

    1. Judge the items against the table `seen`: new, changed, duplicate or deleted.
    2. Embed the new and changed ones, without what many items share word for word: one call for all projects that
       have the same embedder.
    3. Publish vectors and tombstones, one message a project, and await Kafka's acknowledgement.
    4. Mark the items as seen. A crash before this embeds them twice; marked first, they would be lost.
    """

    name = "embed"
    batch_bytes = ENVELOPE_BYTES
    express = True

    def __init__(
        self,
        *,
        seen: States[Seen],
        embedders: Embedders,
        used: Callable[[ProjectPartition], Awaitable[Sequence[EmbedderKey]]],
        publisher: Publisher,
    ) -> None:
        """Embed with that of `embedders` which a project has; remember in `seen` what was embedded.

        `used` returns the embedders that a project has items of, in the order in which they came.
        """
        self._seen = seen
        self._embedders = embedders
        self._used = used
        self._publisher = publisher

    async def process(self, batch: Batch, records: Sequence[Record]) -> int:
        """Embed the items of records; return how many were new or changed."""
        size = sum(len(record.value or b"") for record in records)
        items, deleted = await away(size, lambda: _parse(records))
        states: dict[ProjectPartition, Seen] = {}
        for place in items:
            await asyncio.sleep(0)  # a batch may be of a thousand projects
            states[place] = await self._seen.state(*place)
        judged, outcomes = await away(size, lambda: _judge(states, items, deleted))
        embedded = 0
        if judged:
            try:
                messages, embedded = await self._messages(size, states, judged, deleted)
                await until_available(lambda: self._publisher.publish(messages))
                rows = await away(
                    size, lambda: {place: states[place].remember(found) for place, found in judged.items()}
                )
                for (partition, project_id), changes in rows.items():
                    await asyncio.sleep(0)
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
        size: int,
        states: Mapping[ProjectPartition, Seen],
        judged: Mapping[ProjectPartition, Judged],
        deleted: Mapping[ProjectPartition, Sequence[Deleted]],
    ) -> tuple[list[Outgoing], int]:
        """Embed what is fresh; return the messages and how many items they hold."""
        chosen: dict[ProjectPartition, Embedder] = {}
        for place in judged:
            await asyncio.sleep(0)
            chosen[place] = await until_available(partial(self._choose, place))
        compared_items = await away(
            size,
            lambda: {place: states[place].compared(found, chosen[place].languages) for place, found in judged.items()},
        )
        embedded = await self._embedded(compared_items, chosen)
        messages = await away(
            size + sum(vectors.nbytes for _, vectors in embedded.values()),
            lambda: [
                Outgoing(FEEDBACK_EMBEDDED.name, place[1].encode(), envelope)
                for place, (embedder, vectors) in embedded.items()
                for envelope in embedded_envelopes(place[1], embedder, compared_items[place], vectors, deleted[place])
            ],
        )
        return messages, sum(map(len, compared_items.values()))

    async def _embedded(
        self,
        compared_items: Mapping[ProjectPartition, Sequence[ComparedItem]],
        chosen: Mapping[ProjectPartition, Embedder],
    ) -> dict[ProjectPartition, tuple[EmbedderId, Vectors]]:
        """Return for each project its embedder and the vectors of its items."""
        by_embedder: dict[Embedder, list[ProjectPartition]] = defaultdict(list)
        for place in compared_items:
            by_embedder[chosen[place]].append(place)
        found: dict[ProjectPartition, tuple[EmbedderId, Vectors]] = {}
        for embedder, places in by_embedder.items():
            texts = [compared.text for place in places for compared in compared_items[place]]
            vectors = np.zeros((0, embedder.dimensions), np.float32)
            if texts:
                vectors = await until_available(partial(embedder.embed, texts))
            ends = np.cumsum([len(compared_items[place]) for place in places])[:-1]
            of = EmbedderId(name=embedder.name, version=embedder.version, dimensions=embedder.dimensions)
            found |= {place: (of, part) for place, part in zip(places, np.split(vectors, ends), strict=True)}
        return {place: found[place] for place in compared_items}

    async def _choose(self, place: ProjectPartition) -> Embedder:
        return await self._embedders.choose(await self._used(place))


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
