"""What a run is fed: items by a seed, with bursts, duplicates and poison; and the ledger of what was accepted."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import aiohttp

from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.bench.feeds import texts
from soulcaster.domain.ids import item_id
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.messaging import Outgoing
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings
from soulcaster.wire.feedback import RawEnvelope, RawFeedback
from soulcaster.wire.topics import FEEDBACK_RAW

SOURCE = "faults"
TICK_SECONDS = 0.5
BURST_EVERY_SECONDS, BURST_SECONDS, BURST_FACTOR = 10.0, 2.0, 10
DUPLICATES, CHANGED, POISON, BY_HTTP = 0.2, 0.05, 0.01, 0.25
SIZES = (1, 1, 1, 1, 5, 20)
"""Items in one message."""

RETRY_SECONDS = 0.5
SEND_SECONDS = 10.0
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
TEXTS = 40_000


@dataclass(frozen=True)
class Message:
    """A message for feedback.raw: items, or bytes that are poison."""

    items: tuple[RawFeedback, ...] = ()
    poison: bytes = b""

    def value(self) -> bytes:
        if self.poison:
            return self.poison
        return (
            self.items[0].model_dump_json().encode()
            if len(self.items) == 1
            else RawEnvelope(items=self.items).to_bytes()
        )

    def by_http(self) -> bool:
        """Whether the API takes it: items of one project."""
        return len({item.project_id for item in self.items}) == 1


class Feed:
    """Messages without end, the same ones for the same seed."""

    def __init__(self, seed: int, project_ids: Sequence[str], *, prefix: str = "") -> None:
        """The items of feeds with different prefixes are different items."""
        self._prefix = prefix
        self._chance = random.Random(seed)
        self._project_ids = project_ids
        self._texts = texts(TEXTS, 90, seed=seed)
        self._posted: list[RawFeedback] = []
        self._number = 0

    def take(self, count: int) -> Iterator[Message]:
        """Yield messages with so many items, and what poison comes between them."""
        while count > 0:
            size = min(count, self._chance.choice(SIZES))
            count -= size
            project_id = self._chance.choice(self._project_ids)
            mixed = self._chance.random() < 0.5
            items = tuple(
                self._item(self._chance.choice(self._project_ids) if mixed else project_id) for _ in range(size)
            )
            yield Message(items)
            if self._chance.random() < POISON * size:
                self._number += 1
                yield Message(poison=self._poison())

    def _item(self, project_id: str) -> RawFeedback:
        kind = self._chance.random()
        if self._posted and kind < DUPLICATES:
            return self._chance.choice(self._posted)
        self._number += 1
        name = f"{self._prefix}{self._number}"
        fresh = {"body": next(self._texts), "updated_at": BEGAN + timedelta(seconds=self._number)}
        if self._posted and kind < DUPLICATES + CHANGED:
            item = self._chance.choice(self._posted).model_copy(update=fresh)
        else:
            item = RawFeedback(project_id=project_id, source=SOURCE, external_id=name, **fresh)
        self._posted.append(item)
        return item

    def _poison(self) -> bytes:
        """Return bytes that no parser takes; each is another one."""
        number = f"poison {self._prefix}{self._number}"
        broken: tuple[bytes, ...] = (
            number.encode(),
            json.dumps({"schema_version": 99, "project_id": "x", "source": "y", "body": number}).encode(),
            b"\xff\xfe" + number.encode("utf-16-le"),
            json.dumps({"project_id": "no such id", "source": "test", "body": number}).encode(),
            json.dumps({"items": number}).encode(),
            json.dumps([number]).encode(),
        )
        return self._chance.choice(broken)


def id_of(item: RawFeedback) -> str:
    return item_id(item.project_id, item.source, item.external_id or "")


@dataclass
class Ledger:
    """What was tried, and what was accepted: by the id of an item, when, and in which version."""

    accepted: dict[str, float] = field(default_factory=dict)
    project_of: dict[str, str] = field(default_factory=dict)
    newest: dict[str, RawFeedback] = field(default_factory=dict)
    any_version: set[str] = field(default_factory=set)
    """Items of which any version may be shown."""

    poison: set[bytes] = field(default_factory=set)
    accepted_poison: set[bytes] = field(default_factory=set)
    decayed: set[tuple[str, int, int]] = field(default_factory=set)
    """Where batches decayed on the broker's disk before anybody had read them."""

    def attempt(self, message: Message) -> None:
        """Note what is about to be sent: it may arrive without being accepted."""
        if message.poison:
            self.poison.add(message.poison)

    def accept(self, message: Message) -> None:
        now = time.monotonic()
        if message.poison:
            self.accepted_poison.add(message.poison)
        for item in message.items:
            self.expect(id_of(item), item.project_id, now)
            known = self.newest.setdefault(id_of(item), item)
            if (item.updated_at or BEGAN) > (known.updated_at or BEGAN):
                self.newest[id_of(item)] = item

    def expect(self, an_id: str, project_id: str, now: float) -> None:
        self.accepted.setdefault(an_id, now)
        self.project_of[an_id] = project_id

    def ids(self, project_id: str) -> set[str]:
        return {i for i in self.accepted if self.project_of[i] == project_id}


class Load:
    """Posts a feed at a rate until it is told to stop; what is not acknowledged it posts again, as a producer does."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        seed: int,
        project_ids: Sequence[str],
        rate: float,
        *,
        by_http: float = BY_HTTP,
        arrange: Callable[[random.Random, list[Message]], list[Message]] = lambda chance, messages: messages,
    ) -> None:
        """`arrange` may repeat and reorder the messages of a tick."""
        self._settings = settings
        self._ledger = ledger
        self._feed = Feed(seed, project_ids)
        self._chance = random.Random(seed + 1)
        self._rate = rate
        self._by_http = by_http
        self._arrange = arrange
        self._stopped = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """Post nothing new."""
        self._stopped.set()

    async def post(self, count: int) -> None:
        """Post so many items and return once all are accepted."""
        async with self._connections() as (to_kafka, http):
            await self._post(to_kafka, http, list(self._feed.take(count)))

    async def run(self) -> None:
        """Post until `stop`, and return once all is accepted."""
        async with self._connections() as (to_kafka, http):
            began = time.monotonic()
            while not self._stopped.is_set():
                since = time.monotonic() - began
                burst = since % BURST_EVERY_SECONDS < BURST_SECONDS
                count = int(self._rate * TICK_SECONDS * (BURST_FACTOR if burst else 1))
                messages = self._arrange(self._chance, list(self._feed.take(count)))
                task = asyncio.create_task(self._post(to_kafka, http, messages))
                self._sending.add(task)
                await asyncio.sleep(TICK_SECONDS)
                for done in [task for task in self._sending if task.done()]:
                    self._sending.discard(done)
                    done.result()
            await asyncio.gather(*self._sending)

    @asynccontextmanager
    async def _connections(self) -> AsyncIterator[tuple[KafkaPublisher, aiohttp.ClientSession]]:
        publisher = KafkaPublisher(kafka_access(self._settings), timeout=SEND_SECONDS)
        address = f"http://127.0.0.1:{self._settings.port}"
        try:
            async with aiohttp.ClientSession(address, timeout=aiohttp.ClientTimeout(SEND_SECONDS)) as http:
                yield publisher, http
        finally:
            await publisher.stop()

    async def _post(self, to_kafka: KafkaPublisher, http: aiohttp.ClientSession, messages: Sequence[Message]) -> None:
        for message in messages:
            self._ledger.attempt(message)
        by_http = [m for m in messages if m.by_http() and self._chance.random() < self._by_http]
        direct = [m for m in messages if m not in by_http]
        await asyncio.gather(self._produce(to_kafka, direct), *(self._request(http, m) for m in by_http))

    async def _produce(self, to_kafka: KafkaPublisher, messages: Sequence[Message]) -> None:
        outgoing = [Outgoing(FEEDBACK_RAW.name, None, message.value()) for message in messages]
        while True:
            try:
                await to_kafka.publish(outgoing)
                break
            except KafkaUnavailable:
                await asyncio.sleep(RETRY_SECONDS)
        for message in messages:
            self._ledger.accept(message)

    async def _request(self, http: aiohttp.ClientSession, message: Message) -> None:
        items = [item.model_dump(mode="json", exclude={"metadata"}) for item in message.items]
        while True:
            try:
                async with http.post("/ingest/feedback", json={"items": items}) as answer:
                    if answer.status == 202:
                        break
                    assert answer.status in {429, 500, 502, 503}, await answer.text()
            except (aiohttp.ClientError, TimeoutError, ConnectionError):
                pass  # the server is away, or its answer is lost
            await asyncio.sleep(RETRY_SECONDS)
        self._ledger.accept(message)
