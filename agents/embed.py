"""feedback.items -> feedback.embedded: drop what was seen just like that, embed the rest in one go.

A tombstone goes on to the clusterer, after what there was of its item; what comes of it later is dropped.

Dedupe and embed share a hop: a topic between them would carry the same bytes again. An item is marked as seen only
after its vector was acknowledged, so a crash between the two embeds it twice and loses nothing.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

import numpy as np

from agents.runtime.batches import Batch
from agents.runtime.guard import Guard
from soulcaster.domain.feedback.dedupe import Judged, Seen
from soulcaster.domain.feedback.items import Deleted, FeedbackItem, brief
from soulcaster.ports.embedder import Embedder
from soulcaster.ports.messaging import Outgoing, Publisher, Record
from soulcaster.services.retrying import until_available
from soulcaster.wire.embedded import EmbedderId, embedded_envelopes
from soulcaster.wire.feedback import ItemsEnvelope
from soulcaster.wire.topics import FEEDBACK_EMBEDDED
from tables.segmented import States


async def embed(
    batches: AsyncIterator[Batch], *, seen: States[Seen], embedder: Embedder, publisher: Publisher
) -> AsyncIterator[int]:
    """Embed batch by batch; yield how many items of each were new or changed."""
    guard = Guard("embed", publisher)
    embedder_id = EmbedderId(name=embedder.name, version=embedder.version, dimensions=embedder.dimensions)
    count = 0

    async def work(batch: Batch, records: Sequence[Record]) -> None:
        nonlocal count
        items: dict[tuple[int, str], list[FeedbackItem]] = defaultdict(list)
        deleted: dict[tuple[int, str], list[Deleted]] = defaultdict(list)
        for record in records:
            envelope = ItemsEnvelope.model_validate_json(record.value or b"")
            items[record.partition, envelope.project_id] += envelope.items
            deleted[record.partition, envelope.project_id] += envelope.deleted
        judged: dict[tuple[int, str], Judged] = {}
        for (partition, project_id), of_project in items.items():
            gone = deleted[partition, project_id]
            found = seen.state(partition, project_id).judge(of_project, [one.id for one in gone])
            if found.fresh or gone:
                judged[partition, project_id] = found
        if not judged:
            return
        briefs = {key: [brief(item) for item in found.fresh] for key, found in judged.items()}
        texts = [b.text for of_project in briefs.values() for b in of_project]
        vectors = np.zeros((0, embedder.dimensions), np.float32)
        if texts:
            vectors = await until_available(lambda: embedder.embed(texts))
        parts = np.split(vectors, np.cumsum([len(of_project) for of_project in briefs.values()])[:-1])
        messages = [
            Outgoing(FEEDBACK_EMBEDDED.name, place[1].encode(), envelope)
            for (place, of_project), part in zip(briefs.items(), parts, strict=True)
            for envelope in embedded_envelopes(place[1], embedder_id, of_project, part, deleted[place])
        ]
        await until_available(lambda: publisher.publish(messages))
        try:
            for (partition, project_id), found in judged.items():
                with batch.writing(partition):
                    seen.write(partition, project_id, seen.state(partition, project_id).remember(found))
        except BaseException:
            for place in judged:
                seen.forget(*place)
            raise
        count += len(texts)

    async for batch in batches:
        count = 0
        await guard.run(batch.records, lambda records, batch=batch: work(batch, records))  # type: ignore[misc]
        yield count
