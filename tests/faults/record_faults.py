"""Faults 16 and 18: records that are deleted from Kafka before they were read, or that a table is made of."""

import asyncio
import random

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.dev.child import Child
from soulcaster.ports.messaging import Record
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.wire.topics import CLUSTER_EVENTS, FEEDBACK_RAW, TABLES, changelog
from tests.faults.fault import Fault
from tests.faults.judge import items_of
from tests.faults.site import Site
from tests.support.recount import read_all

SAID_SECONDS = 120.0
AWAY_SECONDS = 15.0
HURT = 3
"""So many partitions lose records."""


class ChangelogDeleted(Fault):
    number = 16
    name = "changelogs deleted: noticed, nothing made up; then restored"

    def __init__(self) -> None:
        self._wrong: list[str] = []

    async def strike(self, site: Site, chance: random.Random) -> None:
        workers = len(site.workers)
        await site.dismiss_all()
        kept = {name: await read_all(site.settings, name) for name in _changelogs(site)}
        await _make_again(site)
        before = await _published(site)
        watching = [site.hire() for _ in range(workers)]
        for name in kept:
            if not await _said(watching, f"{name}, partition"):
                self._wrong.append(f"nobody said that {name} is lost")
        if await _published(site) != before:
            self._wrong.append("clusters were made up from an empty table")
        await site.dismiss_all()
        await _make_again(site)
        await _restore(site, kept)
        for _ in range(workers):
            site.hire()
        site.watch.blow()

    async def wrong(self, site: Site) -> tuple[list[str], list[str]]:
        return [], self._wrong


class AwayTooLong(Fault):
    number = 18
    name = "workers away longer than retention: the loss is counted and accepted by a person"

    def __init__(self) -> None:
        self._wrong: list[str] = []

    async def strike(self, site: Site, chance: random.Random) -> None:
        assert site.beside is not None
        workers = len(site.workers)
        await site.dismiss_all()
        await asyncio.sleep(AWAY_SECONDS)
        async with offsets_of(kafka_access(site.settings)) as offsets:
            spans = await offsets.spans([FEEDBACK_RAW.name])
            committed = await offsets.committed(site.settings.app_id)
        behind = [tp for tp, span in spans.items() if span.end - 2 > committed.get(tp, 0)]
        hurt = {tp: spans[tp].end - 1 for tp in chance.sample(behind, min(HURT, len(behind)))}
        records = await read_all(site.settings, FEEDBACK_RAW.name)
        await _delete_before(site, hurt)
        gone = [r for r in records if r.offset < hurt.get(TopicPartition(r.topic, r.partition), 0)]
        unread = [r for r in gone if r.offset >= committed.get(TopicPartition(r.topic, r.partition), 0)]
        site.consumed += [r for r in gone if r not in unread]
        _forgive(site, unread, [r for r in records if r not in unread])
        watching = [site.hire() for _ in range(workers)]
        for tp in hurt:
            if not await _said(watching, f"{tp.topic}, partition {tp.partition}"):
                self._wrong.append(f"nobody said that {tp} has lost records")
        await site.until_shown(1)  # the other partitions go on
        await site.dismiss_all()
        async with asyncio.timeout(SAID_SECONDS):  # Kafka forgets a worker some seconds after it has ended
            while await (accept := site.beside.soulcaster("topics", "skip-lost", "--accept")).wait():
                assert "stop them first" in accept.log.read_text(), accept.log.read_text()
        for tp, first in hurt.items():
            count = first - committed.get(tp, 0)
            if f"{count} record" not in accept.log.read_text():
                self._wrong.append(f"the {count} records of {tp} were not counted: {accept.log.read_text()}")
        for _ in range(workers):
            site.hire()
        site.watch.blow()

    async def wrong(self, site: Site) -> tuple[list[str], list[str]]:
        return self._wrong, []


def _forgive(site: Site, unread: list[Record], others: list[Record]) -> None:
    """Owe nothing for records that are lost, unless what is in them was delivered in another record, too."""
    elsewhere = {item_id for record in others for item_id in items_of(record)}
    for record in unread:
        site.ledger.accepted_poison.discard(record.value or b"")
        for item_id in items_of(record):
            site.ledger.any_version.add(item_id)  # the newest one may be lost
            if item_id not in elsewhere:
                site.ledger.accepted.pop(item_id, None)


async def _said(workers: list[Child], words: str) -> bool:
    try:
        async with asyncio.timeout(SAID_SECONDS):
            while not any(words in worker.log.read_text() for worker in workers):
                await asyncio.sleep(0.2)
    except TimeoutError:
        return False
    return True


def _changelogs(site: Site) -> list[str]:
    return [changelog(site.settings.app_id, table).name for table in TABLES]


async def _published(site: Site) -> list[int]:
    """Return where every partition of cluster.events ends."""
    async with offsets_of(kafka_access(site.settings)) as offsets:
        spans = await offsets.spans([CLUSTER_EVENTS.name])
    return [span.end for _, span in sorted(spans.items())]


async def _make_again(site: Site) -> None:
    """Delete the changelogs, and make them again, empty."""
    names = _changelogs(site)
    client = AIOKafkaAdminClient(bootstrap_servers=site.settings.kafka)
    await client.start()
    try:
        await client.delete_topics(names)
        missing = set(names)
        async with asyncio.timeout(60):
            while missing:
                missing -= set((await site.stack.provision()).created)
    finally:
        await client.close()


async def _restore(site: Site, kept: dict[str, list[Record]]) -> None:
    """Write what the changelogs held, as a restored backup does."""
    async with AIOKafkaProducer(
        bootstrap_servers=site.settings.kafka, acks="all", max_request_size=8 * 1024 * 1024
    ) as producer:
        for name, records in kept.items():
            for record in records:
                await producer.send(name, record.value, key=record.key, partition=record.partition)
        await producer.flush()


async def _delete_before(site: Site, offsets: dict[TopicPartition, int]) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=site.settings.kafka)
    await client.start()
    try:
        await client.delete_records({tp: RecordsToDelete(before_offset=offset) for tp, offset in offsets.items()})
    finally:
        await client.close()
