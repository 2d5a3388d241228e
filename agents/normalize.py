"""feedback.raw -> feedback.items: parse, clean, give ids, mask; what cannot be an item goes to the dead letters.

What a project does not take of a source is left out here: it stays on feedback.raw for as long as that is kept.
Stateless, so it spreads over all partitions: here a project's items are still anywhere.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from agents.runtime.batches import Batch
from agents.runtime.guard import Guard
from soulcaster.domain.feedback.items import Deleted
from soulcaster.ports.messaging import Outgoing, Publisher, Record
from soulcaster.services.dead_letters import dead_letter, send_dead_letters
from soulcaster.services.intake import masked, read
from soulcaster.services.retrying import until_available
from soulcaster.wire.feedback import items_envelopes
from soulcaster.wire.project_config import ProjectConfig
from soulcaster.wire.topics import FEEDBACK_ITEMS

_LARGE = 128 * 1024
"""A record of this many bytes takes long enough to read (tens of milliseconds) to do it in a thread."""


async def normalize(
    batches: AsyncIterator[Batch], *, config_of: Callable[[str], Awaitable[ProjectConfig]], publisher: Publisher
) -> AsyncIterator[int]:
    """Normalize batch by batch; yield how many items each gave. `config_of` is asked once a batch and project."""
    guard = Guard("normalize", publisher)
    count = 0

    async def work(records: Sequence[Record]) -> None:
        nonlocal count
        items: dict[str, list[bytes]] = defaultdict(list)
        gone: dict[str, list[Deleted]] = defaultdict(list)
        letters: list[Outgoing] = []
        configs: dict[str, ProjectConfig] = {}
        for record in records:
            large = len(record.value or b"") > _LARGE
            contents = await asyncio.to_thread(read, record) if large else read(record)
            for one in contents.items:
                project_id = one.item.project_id
                if project_id not in configs:
                    configs[project_id] = await until_available(lambda project_id=project_id: config_of(project_id))  # type: ignore[misc]
                config = configs[project_id]
                if config.sources.take(one.item):
                    items[project_id].append((masked(one) if config.mask_personal_data else one).json)
            for project_id, deleted in contents.gone:
                gone[project_id].append(deleted)
            letters += [dead_letter(record, r.reason, value=r.value, index=r.index) for r in contents.refused]
        messages = [
            Outgoing(FEEDBACK_ITEMS.name, project_id.encode(), envelope)
            for project_id in {**items, **gone}
            for envelope in items_envelopes(project_id, items.get(project_id, ()), gone.get(project_id, ()))
        ]
        await until_available(lambda: publisher.publish(messages))
        await send_dead_letters(publisher, letters)
        count += sum(map(len, items.values()))

    async for batch in batches:
        count = 0
        await guard.run(batch.records, work)
        yield count
