"""What became of all that was accepted: counted at rest from the log, committed offsets, tables and Redis."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from redis.asyncio import Redis

from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.domain.events import ItemAssigned
from soulcaster.domain.ids import item_id
from soulcaster.domain.lifecycle import active
from soulcaster.ports.messaging import Record
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.services.intake import read_json
from soulcaster.wire.cluster_events import ClusterEvents
from soulcaster.wire.embedded import EmbeddedEnvelope
from soulcaster.wire.feedback import ItemsEnvelope
from soulcaster.wire.topics import CLUSTER_EVENTS, DEAD_LETTERS, FEEDBACK_EMBEDDED, FEEDBACK_ITEMS, FEEDBACK_RAW
from tests.faults.site import Site
from tests.support.job_log import JobHistory, job_history
from tests.support.recount import Log, Shown, at_rest, compare, parsed, read_all, read_all_with_headers

Place = tuple[str, int, int]
"""Topic, partition, offset."""


@dataclass(frozen=True)
class Verdict:
    """What is lost, hidden and doubled, a sentence each; and how often work was done again."""

    items: int
    lost: tuple[str, ...]
    hidden: tuple[str, ...]
    doubled: tuple[str, ...]
    extra: int


async def judge(site: Site) -> Verdict:
    """Judge a site where nothing is under way any more."""
    jobs = await job_history(site.settings, site.jobs_project)
    hops = await Hops.read(site)
    found = await at_rest(site.settings, site.project_ids)
    items_on_raw, poison_on_raw = hops.raw(site)
    lost, doubled = _jobs(site, jobs)
    for project_id in site.project_ids:
        accepted = site.ledger.ids(project_id) | {i for i, p in items_on_raw.items() if p == project_id}
        findings = compare(accepted, *found[project_id])
        lost += [f"the item {i} of {project_id}" for i in sorted(findings.lost)]
        doubled += [f"{project_id}: {sentence}" for sentence in findings.doubled]
    lost += await _outdated(site)
    letters = hops.letters()
    lost += [f"the poison {value!r}" for value in sorted(site.ledger.accepted_poison - set(letters.values()))]
    lost += [f"the poison at {place}" for place in poison_on_raw if place not in letters]
    lost += [f"the batch at {place}, which decayed" for place in site.ledger.decayed - letters.keys()]
    doubled += [
        f"a dead letter of {place}, no poison"
        for place, value in letters.items()
        if value not in site.ledger.poison and place not in site.ledger.decayed
    ]
    return Verdict(
        items=len(site.ledger.accepted),
        lost=tuple(lost),
        hidden=tuple(hops.hidden(found, letters)),
        doubled=tuple(doubled),
        extra=hops.done_again(site),
    )


def _jobs(site: Site, history: JobHistory) -> tuple[list[str], list[str]]:
    """Return the jobs that are lost, and those that were launched twice."""
    lost = [f"the job {job_id}" for job_id in site.job_ids if job_id not in history.jobs]
    lost += [f"the job {job.id}, which is still {job.state}" for job in history.jobs.values() if active(job)]
    doubled = [f"the launch {launch} ran {times} times" for launch, times in history.starts().items() if times > 1]
    return lost, doubled


async def _outdated(site: Site) -> list[str]:
    """Return the items that are shown in another version than the newest accepted one."""
    redis: Redis = Redis.from_url(site.settings.redis_url, decode_responses=True)
    found = []
    async with redis:
        for an_id in site.ledger.newest.keys() - site.ledger.any_version:
            newest = site.ledger.newest[an_id]
            shown = await redis.get(f"feedback:{newest.project_id}:{an_id}")
            if shown is not None and json.loads(shown)["body"].split() != (newest.body or "").split():
                found.append(f"the newest version of the item {an_id}")
    return found


class Hops:
    """What is on the topics between the agents, and how far the workers have committed."""

    def __init__(
        self,
        topics: Mapping[str, list[Record]],
        dead_letters: list[tuple[Record, dict[str, bytes]]],
        committed: Mapping[tuple[str, int], int],
    ) -> None:
        self._topics = topics
        self._dead_letters = dead_letters
        self._committed = committed

    @classmethod
    async def read(cls, site: Site) -> "Hops":
        async with offsets_of(kafka_access(site.settings)) as offsets:
            committed = await offsets.committed(site.settings.app_id)
        names = [topic.name for topic in (FEEDBACK_RAW, FEEDBACK_ITEMS, FEEDBACK_EMBEDDED, CLUSTER_EVENTS)]
        topics = {name: await read_all(site.settings, name) for name in names}
        topics[FEEDBACK_RAW.name] += site.consumed
        letters = await read_all_with_headers(site.settings, DEAD_LETTERS.name)
        return cls(topics, letters, {(tp.topic, tp.partition): offset for tp, offset in committed.items()})

    def raw(self, site: Site) -> tuple[dict[str, str], list[Place]]:
        """Return the project of each item on feedback.raw, and where poison is; what Kafka has counts as accepted."""
        items: dict[str, str] = {}
        poison = []
        for record in self._topics[FEEDBACK_RAW.name]:
            if record.value in site.ledger.poison:
                poison.append(_place(record))
            else:
                items |= items_of(record)
        return items, poison

    def letters(self) -> dict[Place, bytes]:
        """Return the dead letters by where they come from."""
        return {place: record.value or b"" for place, record in self._letters()}

    def _letters(self) -> list[tuple[Place, Record]]:
        return [
            ((headers["topic"].decode(), int(headers["partition"]), int(headers["offset"])), record)
            for record, headers in self._dead_letters
        ]

    def hidden(self, found: Mapping[str, tuple[Log, Shown]], letters: Mapping[Place, bytes]) -> list[str]:
        """Return what lies below a committed offset and has had no effect at the next hop."""
        items = set().union(*(log.items for log, _ in found.values()))
        shown = set().union(*(shown.items for _, shown in found.values()))
        embedded = {i for record in self._topics[FEEDBACK_EMBEDDED.name] for i, _ in _embedded(record)}
        stored = set().union(*(log.stored for log, _ in found.values()))
        assigned = set().union(*(shown.assigned for _, shown in found.values()))
        hidden = []
        for record in self._below(FEEDBACK_RAW.name):
            if _place(record) not in letters:
                of_record = items_of(record)
                hidden += [f"{i} of {_place(record)}" for i in of_record if i not in items]
                hidden += [] if of_record else [f"the poison {_place(record)}"]
        for record in self._below(FEEDBACK_ITEMS.name):
            ids = _ids_of_items(record)
            hidden += [f"{i} of {_place(record)}" for i in ids if i not in embedded or i not in shown]
        for record in self._below(FEEDBACK_EMBEDDED.name):
            hidden += [f"{i} of {_place(record)}" for i, _ in _embedded(record) if i not in stored]
        for record in self._below(CLUSTER_EVENTS.name):
            hidden += [f"{i} of {_place(record)}" for i in _assigned(record) if i not in assigned]
        return hidden

    def done_again(self, site: Site) -> int:
        """Return how often a hop did its work again: items, vectors and dead letters beyond one for each input."""
        delivered = sum(
            len(_items_list(record))
            for record in self._topics[FEEDBACK_RAW.name]
            if record.value not in site.ledger.poison
        )
        normalized = sum(len(_ids_of_items(record)) for record in self._topics[FEEDBACK_ITEMS.name])
        vectors = [vector for record in self._topics[FEEDBACK_EMBEDDED.name] for vector in _embedded(record)]
        letters = Counter(place for place, _ in self._letters())
        return normalized - delivered + len(vectors) - len(set(vectors)) + letters.total() - len(letters)

    def _below(self, topic: str) -> list[Record]:
        """Return the records of a topic that are committed."""
        return [r for r in self._topics[topic] if r.offset < self._committed.get((topic, r.partition), 0)]


def _place(record: Record) -> Place:
    return record.topic, record.partition, record.offset


def _items_list(record: Record) -> list[tuple[str, str]]:
    """Return id and project of each item in a record of feedback.raw."""
    message = read_json(record.value or b"")
    parts = message.get("items", [message])
    return [(item_id(p["project_id"], p["source"], p["external_id"]), p["project_id"]) for p in parts]


def items_of(record: Record) -> dict[str, str]:
    """Return the project of each item in a record of feedback.raw."""
    try:
        return dict(_items_list(record))
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # of another producer than the load: poison of a fault, a poller's posts


def _ids_of_items(record: Record) -> list[str]:
    envelope = parsed(ItemsEnvelope, record)
    return [] if envelope is None else [item.id for item in envelope.items]


def _embedded(record: Record) -> list[tuple[str, str]]:
    """Return id and text of each item that has a vector here."""
    envelope = parsed(EmbeddedEnvelope, record)
    return [] if envelope is None else [(item.id, item.text) for item in envelope.items]


def _assigned(record: Record) -> list[str]:
    happened = parsed(ClusterEvents, record)
    return [] if happened is None else [e.item_id for e in happened.events if isinstance(e, ItemAssigned)]
