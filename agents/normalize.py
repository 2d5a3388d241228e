"""feedback.raw -> feedback.items: parse, clean, give ids; what cannot be an item goes to the dead letters.

Stateless, so it spreads over all partitions: here a project's items are still anywhere.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

from agents.batches import Batch
from agents.guard import Guard
from soulcaster.failures import dead_letter, set_aside, until_available
from soulcaster.intake import Masks, masks_all, read
from soulcaster.messages import items_envelopes
from soulcaster.ports import Outgoing, Publisher, Record
from soulcaster.topics import FEEDBACK_ITEMS

_LARGE = 128 * 1024
"""A record of this many bytes takes long enough to read (tens of milliseconds) to do it in a thread."""


async def normalize(
    batches: AsyncIterator[Batch], *, publisher: Publisher, masks: Masks = masks_all
) -> AsyncIterator[int]:
    """Normalize batch by batch; yield how many items each gave. `masks` is asked for each item, so it must be quick."""
    guard = Guard("normalize", publisher)
    count = 0

    async def work(records: Sequence[Record]) -> None:
        nonlocal count
        items: dict[str, list[bytes]] = defaultdict(list)
        letters: list[Outgoing] = []
        for record in records:
            large = len(record.value or b"") > _LARGE
            accepted, refused = await asyncio.to_thread(read, record, masks) if large else read(record, masks)
            for one in accepted:
                items[one.item.project_id].append(one.json)
            letters += [dead_letter(record, r.reason, value=r.value, index=r.index) for r in refused]
        messages = [
            Outgoing(FEEDBACK_ITEMS.name, project_id.encode(), envelope)
            for project_id, of_project in items.items()
            for envelope in items_envelopes(project_id, of_project)
        ]
        await until_available(lambda: publisher.publish(messages))
        await set_aside(publisher, letters)
        count += sum(map(len, items.values()))

    async for batch in batches:
        count = 0
        await guard.run(batch.records, work)
        yield count
