"""feedback.raw -> feedback.items: parse, clean, identify and mask items.

The agent is stateless, so it runs on all partitions; a project's items are still spread over them here.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from itertools import chain

from agents.runtime.batches import BATCH_BYTES, Batch
from soulcaster.domain.feedback.items import Deleted
from soulcaster.domain.feedback.times import TimesTold
from soulcaster.ports.messaging import Outgoing, Publisher, Record
from soulcaster.services.dead_letters import dead_letter, send_dead_letters
from soulcaster.services.intake import Accepted, Contents, as_other, masked, read
from soulcaster.services.item_watch import ItemWatch
from soulcaster.services.project_limit import ProjectLimit
from soulcaster.services.retrying import until_available
from soulcaster.services.source_limit import SourceLimit
from soulcaster.services.storage_limit import StorageLimit
from soulcaster.services.threads import away
from soulcaster.telemetry.counting import OTHER, count_by_source
from soulcaster.telemetry.metrics import ITEMS_READ, TIMES_REPLACED
from soulcaster.wire.feedback import MAX_ITEM_BYTES, items_envelopes
from soulcaster.wire.project_config import ProjectConfig
from soulcaster.wire.topics import FEEDBACK_ITEMS

LETTERS = 100
"""Projects whose items of one record get dead letters of their own."""

ConfigOf = Callable[[str], Awaitable[ProjectConfig]]
"""Returns a project's settings by its id."""


@dataclass(frozen=True, slots=True)
class _Settings:
    """A project's settings, which of its sources are too many, and whether it may store no more."""

    config: ProjectConfig
    too_many: Set[str]
    full: bool


class Normalize:
    """Turns what sources sent into items.

    1. Read the records: items, tombstones and refusals.
    2. Set aside what is of a project that may not be made, or stores as much as it may; an item of a source too many
       gets the source `generic`.
    3. Leave out what a project's source filters exclude; it stays on feedback.raw for as long as that is kept.
    4. Publish items and tombstones, one message a project.
    5. Dead-letter the refusals. They come last, so a batch that fails at 4 is read again without dead letters of it.
    """

    name = "normalize"
    batch_bytes = BATCH_BYTES
    express = True

    def __init__(
        self,
        *,
        config_of: ConfigOf,
        project_limit: ProjectLimit,
        source_limit: SourceLimit,
        storage_limit: StorageLimit,
        publisher: Publisher,
        new_watch: Callable[[], ItemWatch] = ItemWatch,
    ) -> None:
        """`config_of` is called once for each batch and project, `new_watch` for each step of a batch."""
        self._new_watch = new_watch
        self._project_limit = project_limit
        self._source_limit = source_limit
        self._storage_limit = storage_limit
        self._config_of = config_of
        self._publisher = publisher

    async def process(self, batch: Batch, records: Sequence[Record]) -> int:
        """Normalize records; return how many items they gave."""
        size = sum(len(record.value or b"") for record in records)
        contents = await away(size, lambda: _read(records, self._new_watch()))
        settings = await self._settings(contents)
        reasons = _Reasons(self._project_limit.reason, self._storage_limit.reason)
        done = await away(size, lambda: _normalized(records, contents, settings, reasons, self._new_watch()))
        messages = await away(size, done.messages)
        await until_available(lambda: self._publisher.publish(messages))
        await send_dead_letters(self._publisher, done.dead_letters, "invalid")
        count_by_source(ITEMS_READ, done.outcomes)
        count_by_source(TIMES_REPLACED, done.replaced)
        return sum(map(len, done.items.values()))

    async def close(self) -> None:
        """Do nothing: nothing runs besides `process`."""

    async def _settings(self, contents: Sequence[Contents]) -> Mapping[str, _Settings]:
        """Return what holds for each project that is named; one that may not be made has no settings."""
        named: dict[str, set[str]] = defaultdict(set)
        for found in contents:
            for one in found.items:
                named[one.item.project_id].add(one.item.source)
            for project_id, _ in found.deleted:
                named.setdefault(project_id, set())
        too_many = await until_available(lambda: self._project_limit.beyond(named))
        settings: dict[str, _Settings] = {}
        for project_id, sources in named.items():
            if project_id not in too_many:
                await asyncio.sleep(0)  # a batch may be of a thousand projects, all of them known here
                settings[project_id] = await self._settings_of(project_id, sources)
        return settings

    async def _settings_of(self, project_id: str, sources: Set[str]) -> _Settings:
        return _Settings(
            await until_available(lambda: self._config_of(project_id)),
            await until_available(lambda: self._source_limit.beyond(project_id, sources)),
            await until_available(lambda: self._storage_limit.is_full(project_id)),
        )


def _replaced(told: TimesTold | None) -> list[str]:
    return [] if told is None else [name for name, at in asdict(told).items() if at is not None]


@dataclass(frozen=True, slots=True)
class _Reasons:
    """Why items are set aside: of a project that may not be made, of one that may store no more."""

    too_many: str
    full: str


@dataclass(slots=True)
class _Normalized:
    """What becomes of records: items as JSON and tombstones by project, dead letters, what is counted by source."""

    items: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    deleted: dict[str, list[Deleted]] = field(default_factory=lambda: defaultdict(list))
    dead_letters: list[Outgoing] = field(default_factory=list)
    outcomes: list[tuple[str, str]] = field(default_factory=list)
    replaced: list[tuple[str, str]] = field(default_factory=list)

    def messages(self) -> list[Outgoing]:
        """Return the messages for feedback.items."""
        return [
            Outgoing(FEEDBACK_ITEMS.name, project_id.encode(), envelope)
            for project_id in {**self.items, **self.deleted}
            for envelope in items_envelopes(
                project_id, self.items.get(project_id, ()), self.deleted.get(project_id, ())
            )
        ]


def _read(records: Sequence[Record], watch: ItemWatch) -> list[Contents]:
    return [read(record, watch) for record in records]


def _normalized(
    records: Sequence[Record],
    contents: Sequence[Contents],
    settings: Mapping[str, _Settings],
    reasons: _Reasons,
    watch: ItemWatch,
) -> _Normalized:
    """Filter and mask what is in records; a project without settings may not be made."""
    done = _Normalized()
    for record, found in zip(records, contents, strict=True):
        too_many: dict[str, list[bytes]] = defaultdict(list)
        full: dict[str, list[bytes]] = defaultdict(list)
        for one in found.items:
            of_project = settings.get(one.item.project_id)
            if of_project is None or of_project.full:
                aside = too_many if of_project is None else full
                aside[one.item.project_id].append(one.json)
                outcome = "refused"
            else:
                outcome = _take(one, of_project, record, done, watch)
            done.outcomes.append((one.item.source, outcome))
            done.replaced += [(one.item.source, name) for name in _replaced(one.item.times_told)]
        for project_id, tombstone in found.deleted:
            if project_id in settings:  # else nothing of it was ever accepted
                done.deleted[project_id].append(tombstone)
        done.outcomes += [(OTHER, "deleted")] * len(found.deleted) + [(OTHER, "refused")] * len(found.refused)
        for aside, reason in ((too_many, reasons.too_many), (full, reasons.full)):
            done.dead_letters += _set_aside(record, reason, aside)
        done.dead_letters += [dead_letter(record, r.reason, value=r.value, index=r.index) for r in found.refused]
    return done


def _take(one: Accepted, settings: _Settings, record: Record, done: _Normalized, watch: ItemWatch) -> str:
    """Add an item to what is done, unless it is filtered or refused; return what became of it."""
    try:
        if one.item.source in settings.too_many:
            one = as_other(one)
        if not settings.config.sources.accepts(one.item):
            return "filtered"
        as_json = (masked(one, watch) if settings.config.mask_personal_data else one).json
    except ValueError as error:
        done.dead_letters.append(dead_letter(record, str(error), value=one.json))
        return "refused"
    done.items[one.item.project_id].append(as_json)
    return "accepted"


def _set_aside(record: Record, reason: str, aside: Mapping[str, Sequence[bytes]]) -> list[Outgoing]:
    """Return dead letters of items, by project: one a project, or the record as it came where that would be many."""
    if len(aside) > LETTERS or sum(map(len, chain.from_iterable(aside.values()))) > MAX_ITEM_BYTES:
        return [dead_letter(record, reason)]
    values = (items[0] if len(items) == 1 else b'{"items":[%b]}' % b",".join(items) for items in aside.values())
    return [dead_letter(record, reason, value=value) for value in values]
