"""Faults 5, 11 and 19: what happens to messages."""

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from soulcaster.ports.messaging import Outgoing
from soulcaster.wire.message import SCHEMA_VERSION
from soulcaster.wire.topics import AGENTS, FEEDBACK_RAW
from tests.faults.corrupt import corrupt_batches
from tests.faults.fault import Fault
from tests.faults.load import Load, Message
from tests.faults.site import Site
from tests.support import damage

COPIES = 5
TURNS_LATE = 20
"""A copy comes so many turns of the load after the first one at most: ten seconds."""

POISONED = 1_000
CODECS = (None, "gzip", "snappy", "lz4", "zstd")


class DeliveredAgain(Fault):
    number = 5
    name = "every message delivered five times and out of order"
    seeds = 20
    seconds = 30.0

    def __init__(self) -> None:
        self._late: list[list[Message]] = [[] for _ in range(TURNS_LATE)]

    def load(self, site: Site, seed: int) -> Load:
        return site.load(seed, arrange=self._arrange)

    def _arrange(self, chance: random.Random, messages: list[Message]) -> list[Message]:
        """Put every copy into some later turn, and return those of this turn."""
        for message in messages * COPIES:
            chance.choice(self._late).append(message)
        self._late.append([])
        now = self._late.pop(0)
        chance.shuffle(now)
        return now

    async def strike(self, site: Site, chance: random.Random) -> None:
        await asyncio.sleep(self.seconds)
        site.watch.blow()


class Poisoned(Fault):
    number = 11
    name = f"{POISONED:,} poison messages in a row, by every codec; corrupt batches, refused or decayed"

    async def strike(self, site: Site, chance: random.Random) -> None:
        feed = site.feed(site.chance.randrange(1_000, 2_000))
        for codec in CODECS:
            producer = AIOKafkaProducer(
                bootstrap_servers=site.settings.kafka, compression_type=codec, linger_ms=50, acks="all"
            )
            async with producer:
                poison = [Message(poison=_garbage(chance)) for _ in range(POISONED // len(CODECS))]
                between = list(feed.take(20))
                for message in [*poison[: len(poison) // 2], *between, *poison[len(poison) // 2 :]]:
                    site.ledger.attempt(message)
                    await producer.send(FEEDBACK_RAW.name, message.value(), partition=0)
                await producer.flush()
                await _refused(producer)
            for message in [*poison, *between]:
                site.ledger.accept(message)
        for how in (damage.checksum_is_wrong, damage.codec_is_unknown, damage.cannot_be_unpacked):
            await _decayed(site, chance.randbytes(8).hex(), how)
        site.watch.blow()


async def _decayed(site: Site, words: str, how: Callable[[bytearray], None]) -> None:
    """Write a batch that decays before any worker has read it."""
    for worker in site.workers:
        worker.pause()
    try:
        async with AIOKafkaProducer(bootstrap_servers=site.settings.kafka, acks="all") as producer:
            batch = producer.create_batch()
            for _ in range(20):
                batch.append(key=None, value=words.encode(), timestamp=None)
            written = await (await producer.send_batch(batch, FEEDBACK_RAW.name, partition=0))
        await asyncio.to_thread(damage.damage, site.stack.data_dir / "kafka", FEEDBACK_RAW.name, words, how)
        site.ledger.decayed.add((FEEDBACK_RAW.name, 0, written.offset))
    finally:
        for worker in site.workers:
            worker.resume()


async def _refused(producer: AIOKafkaProducer) -> None:
    """Send a batch that cannot be unpacked: nobody may be told that it was accepted."""
    with corrupt_batches():
        try:
            await producer.send_and_wait(FEEDBACK_RAW.name, bytes(1_000), partition=0)
        except KafkaError:
            return
    raise AssertionError("the broker has taken a corrupt batch")


def _garbage(chance: random.Random) -> bytes:
    size = chance.choice([0, 1, 10, 1_000])
    return chance.choice([b"", b"{", b"[[[", b"\x00", b'{"items":']) + chance.randbytes(size) + chance.randbytes(8)


class Mixed(Fault):
    number = 19
    name = "old and new version mixed; a newer major is set aside"

    def hire(self, site: Site) -> None:
        """Start workers, all but one of which are newer."""
        site.hire()
        for _ in range(site.scale.workers - 1):
            site.hire(("tests.faults.newer_worker",))

    async def strike(self, site: Site, chance: random.Random) -> None:
        """Send messages of a newer major version on every topic that workers read, and let workers change."""
        topics = sorted({topic.name for read in AGENTS.values() for topic in read})
        newer = [
            Outgoing(topic, site.project_ids[0].encode(), _of_newer_major(topic, number))
            for topic in topics
            for number in range(5)
        ]
        for message in newer:
            assert message.value is not None
            site.ledger.attempt(Message(poison=message.value))
        async with AIOKafkaProducer(bootstrap_servers=site.settings.kafka, acks="all") as producer:
            for message in newer:
                await producer.send_and_wait(message.topic, message.value, key=message.key)
                assert message.value is not None
                site.ledger.accept(Message(poison=message.value))
        for worker in [*site.workers]:
            site.watch.blow()
            await worker.stop()
            await site.until_shown(1)


def _of_newer_major(topic: str, number: int) -> bytes:
    message: dict[str, Any] = {"schema_version": SCHEMA_VERSION + 1, "project_id": "faults-0", "items": [], "n": number}
    return json.dumps({**message, "of": topic}).encode()
