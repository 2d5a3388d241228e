"""feedback.raw -> feedback.items: parse, clean, identify and mask items.

The agent is stateless, so it runs on all partitions; a project's items are still spread over them here.
"""

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from agents.runtime.batches import Batch
from soulcaster.domain.feedback.items import Deleted
from soulcaster.domain.feedback.times import TimesTold
from soulcaster.ports.messaging import Outgoing, Publisher, Record
from soulcaster.services.dead_letters import dead_letter, send_dead_letters
from soulcaster.services.intake import Contents, CpuClock, TooSlow, masked, read
from soulcaster.services.retrying import until_available
from soulcaster.services.threads import away
from soulcaster.telemetry.counting import OTHER, count_by_source
from soulcaster.telemetry.metrics import ITEMS_READ, TIMES_REPLACED
from soulcaster.wire.feedback import items_envelopes
from soulcaster.wire.project_config import ProjectConfig
from soulcaster.wire.topics import FEEDBACK_ITEMS

ConfigOf = Callable[[str], Awaitable[ProjectConfig]]
"""Returns a project's settings by its id."""


class Normalize:
    """Turns what sources sent into items.

    1. Read the records: items, tombstones and refusals.
    2. Leave out what a project's source filters exclude; it stays on feedback.raw for as long as that is kept.
    3. Publish items and tombstones, one message a project.
    4. Dead-letter the refusals. They come last, so a batch that fails at 3 is read again without dead letters of it.
    """

    name = "normalize"

    def __init__(self, *, config_of: ConfigOf, publisher: Publisher, cpu_clock: CpuClock = time.thread_time) -> None:
        """`config_of` is called once for each batch and project; `cpu_clock` measures what an item takes."""
        self._cpu_clock = cpu_clock
        self._config_of = config_of
        self._publisher = publisher

    async def process(self, batch: Batch, records: Sequence[Record]) -> int:
        """Normalize records; return how many items they gave."""
        size = sum(len(record.value or b"") for record in records)
        contents = await away(size, lambda: [read(record, self._cpu_clock) for record in records])
        projects = dict.fromkeys(one.item.project_id for found in contents for one in found.items)
        configs = {project_id: await self._config(project_id) for project_id in projects}
        done = await away(size, lambda: _normalized(records, contents, configs, self._cpu_clock))
        items, deleted = done.items, done.deleted
        messages = [
            Outgoing(FEEDBACK_ITEMS.name, project_id.encode(), envelope)
            for project_id in {**items, **deleted}
            for envelope in items_envelopes(project_id, items.get(project_id, ()), deleted.get(project_id, ()))
        ]
        await until_available(lambda: self._publisher.publish(messages))
        await send_dead_letters(self._publisher, done.dead_letters, "invalid")
        count_by_source(ITEMS_READ, done.outcomes)
        count_by_source(TIMES_REPLACED, done.replaced)
        return sum(map(len, items.values()))

    async def close(self) -> None:
        """Do nothing: nothing runs besides `process`."""

    async def _config(self, project_id: str) -> ProjectConfig:
        return await until_available(lambda: self._config_of(project_id))


def _replaced(told: TimesTold | None) -> list[str]:
    return [] if told is None else [name for name, at in asdict(told).items() if at is not None]


@dataclass(slots=True)
class _Normalized:
    """What becomes of records: items as JSON and tombstones by project, dead letters, what is counted by source."""

    items: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    deleted: dict[str, list[Deleted]] = field(default_factory=lambda: defaultdict(list))
    dead_letters: list[Outgoing] = field(default_factory=list)
    outcomes: list[tuple[str, str]] = field(default_factory=list)
    replaced: list[tuple[str, str]] = field(default_factory=list)


def _normalized(
    records: Sequence[Record], contents: Sequence[Contents], configs: Mapping[str, ProjectConfig], clock: CpuClock
) -> _Normalized:
    """Filter and mask what is in records."""
    done = _Normalized()
    for record, found in zip(records, contents, strict=True):
        for one in found.items:
            config = configs[one.item.project_id]
            outcome = "accepted" if config.sources.accepts(one.item) else "filtered"
            if outcome == "accepted":
                try:
                    as_json = (masked(one, clock) if config.mask_personal_data else one).json
                    done.items[one.item.project_id].append(as_json)
                except TooSlow as error:
                    outcome = "refused"
                    done.dead_letters.append(dead_letter(record, str(error), value=one.json))
            done.outcomes.append((one.item.source, outcome))
            done.replaced += [(one.item.source, name) for name in _replaced(one.item.times_told)]
        for project_id, tombstone in found.deleted:
            done.deleted[project_id].append(tombstone)
        done.outcomes += [(OTHER, "deleted")] * len(found.deleted) + [(OTHER, "refused")] * len(found.refused)
        done.dead_letters += [dead_letter(record, r.reason, value=r.value, index=r.index) for r in found.refused]
    return done
