"""The dead letters read back from a real Kafka."""

import asyncio
import json
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaProducer

from soulcaster.adapters.kafka import dead_letters as kafka_dead_letters
from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.dead_letters import SHOWN_BYTES, KafkaDeadLetters
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.dead_letters import DeadLetter, DeadLetterPage
from soulcaster.ports.messaging import Record
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings
from soulcaster.services.dead_letters import dead_letter, replayed
from soulcaster.services.intake import read
from soulcaster.wire.topics import DEAD_LETTERS

pytestmark = pytest.mark.integration

AT_MS = 1_700_000_000_000


async def put(settings: Settings, project: str, numbers: range, value: bytes = b"") -> None:
    """Set aside one message a number, over all partitions in turn; a later number is a later message."""
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        for n in numbers:
            raw = value or json.dumps({"project_id": project, "source": "test", "title": f"no. {n}"}).encode()
            letter = dead_letter(Record("feedback.raw", 0, n, AT_MS, b"key", raw), f"reason {n}", index=n)
            await producer.send_and_wait(
                letter.topic,
                letter.value,
                letter.key,
                partition=n % settings.partitions,
                timestamp_ms=AT_MS + n,
                headers=list(letter.headers),
            )


async def pages(letters: KafkaDeadLetters, project: str, limit: int) -> list[list[DeadLetter]]:
    """Return all pages, the newest first."""
    found, before = [], None
    while True:
        page = await letters.newest(project, limit=limit, before=before)
        found.append(list(page.items))
        before = page.before
        if before is None:
            return found


def numbers(found: list[list[DeadLetter]]) -> list[int]:
    return [letter.original.offset for page in found for letter in page]


async def test_pages_hold_every_letter_of_a_project_once_newest_first(
    fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = f"{fresh_settings.app_id}-a", f"{fresh_settings.app_id}-b"
    letters = KafkaDeadLetters(kafka_access(fresh_settings))
    await put(fresh_settings, mine, range(100))
    await put(fresh_settings, other, range(100, 200))
    await put(fresh_settings, mine, range(200, 203))
    async with AIOKafkaProducer(bootstrap_servers=fresh_settings.kafka) as producer:
        for headers in ([], [("topic", None), ("partition", b"x")]):
            await producer.send_and_wait(DEAD_LETTERS.name, b"of somebody else's program", partition=0, headers=headers)
    expected = [*range(202, 199, -1), *range(99, -1, -1)]
    found = await pages(letters, mine, 40)
    assert numbers(found) == expected
    assert [len(page) for page in found[:2]] == [40, 40]
    assert all(letter.reason == f"reason {letter.original.offset}" for page in found for letter in page)

    monkeypatch.setattr(kafka_dead_letters, "PAGE_BYTES", 100)
    short = await pages(letters, mine, 40)
    assert (numbers(short), max(len(page) for page in short) < 10) == (expected, True)
    monkeypatch.undo()

    assert await letters.newest(mine, limit=2, before=[0] * fresh_settings.partitions) == DeadLetterPage((), None)

    first = await letters.newest(mine, limit=2, before=None)
    await put(fresh_settings, mine, range(300, 310))  # what comes in meanwhile moves nothing
    second = await letters.newest(mine, limit=2, before=first.before)
    assert numbers([list(first.items), list(second.items)]) == expected[:4]

    # So much is read for a page and no more: an empty one has the next.
    monkeypatch.setattr(kafka_dead_letters, "MAX_BYTES", 10_000)
    bounded = await pages(letters, mine, 40)
    assert [] in bounded[:-1]
    assert numbers(bounded) == [*range(309, 299, -1), *expected]
    monkeypatch.undo()

    # Nor for longer than this; each page goes on by a record at least.
    monkeypatch.setattr(kafka_dead_letters, "READ_SECONDS", 0)
    newest = await letters.newest(mine, limit=40, before=None)
    older = await letters.newest(mine, limit=40, before=newest.before)
    assert numbers([list(newest.items), list(older.items)]) == [309, 308]


async def test_a_page_is_read_on_past_the_many_letters_of_another(
    fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_dead_letters, "READ_SECONDS", 50)
    mine, other = f"{fresh_settings.app_id}-a", f"{fresh_settings.app_id}-b"
    await put(fresh_settings, mine, range(2))
    await put(fresh_settings, other, range(2, 2_600))
    letters = KafkaDeadLetters(kafka_access(fresh_settings), timeout=60)
    page = await letters.newest(mine, limit=2, before=None)
    assert [letter.original.offset for letter in page.items] == [1, 0]


async def test_a_letter_is_found_by_its_id_and_sent_again_it_is_the_item_it_was(fresh_settings: Settings) -> None:
    project = fresh_settings.app_id
    letters = KafkaDeadLetters(kafka_access(fresh_settings))
    long = {"project_id": project, "source": "test", "title": "Long", "body": "x" * 10_000}
    await put(fresh_settings, project, range(1, 2), json.dumps(long).encode())
    [shown] = (await letters.newest(project, limit=10, before=None)).items
    assert (len(shown.original.value or b""), shown.size) == (SHOWN_BYTES, len(json.dumps(long)))
    whole = await letters.get(project, shown.id)
    assert whole is not None
    assert json.loads(whole.original.value or b"") == long
    assert replace(whole, original=shown.original) == shown

    sent = replayed(whole)
    assert (sent.topic, sent.key) == ("feedback.raw", b"key")
    [late], _, _ = read(Record(sent.topic, 3, 4711, AT_MS + 99, sent.key, sent.value))
    [then], _, _ = read(Record("feedback.raw", 0, 1, AT_MS, b"key", json.dumps({"items": [{}, long]}).encode()))
    assert late.item.id == then.item.id

    assert await letters.get("another-project", shown.id) is None
    for nowhere in ("99-0", f"{shown.partition}-999999999999", "x", "-", "1", "-1-0"):
        assert await letters.get(project, nowhere) is None


async def test_many_calls_of_a_project_do_not_hold_up_another(fresh_settings: Settings) -> None:
    greedy, neighbour = f"{fresh_settings.app_id}-a", f"{fresh_settings.app_id}-b"
    letters = KafkaDeadLetters(kafka_access(fresh_settings), timeout=60)
    await put(fresh_settings, greedy, range(20))
    await put(fresh_settings, neighbour, range(20, 22))
    many = [asyncio.create_task(letters.newest(greedy, limit=10, before=None)) for _ in range(30)]
    await asyncio.sleep(0)  # all of them came first
    [letter, _] = (await letters.newest(neighbour, limit=10, before=None)).items
    assert await letters.get(neighbour, letter.id) == letter
    assert sum(not call.done() for call in many) > len(many) / 2
    assert all(len(page.items) == 10 for page in await asyncio.gather(*many))


async def test_who_waits_for_others_has_all_of_its_time_when_its_turn_comes() -> None:
    """Kafka takes connections and says nothing: each call uses up its time, those that wait the time of others."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        letters = KafkaDeadLetters(KafkaAccess(f"127.0.0.1:{port}"), timeout=2.0)
        calls = [
            asyncio.create_task(letters.newest(f"p{n}", limit=1, before=None))
            for n in range(kafka_dead_letters.AT_ONCE + 1)
        ]
        await asyncio.wait(calls[:-1])
        await asyncio.sleep(0.2)
        assert not calls[-1].done()
        for call in calls:
            with pytest.raises(KafkaUnavailable):
                await call


async def test_a_kafka_that_is_away_is_told() -> None:
    letters = KafkaDeadLetters(KafkaAccess("127.0.0.1:1"), timeout=2.0)
    with pytest.raises(KafkaUnavailable):
        await letters.newest("p1", limit=1, before=None)
    with pytest.raises(KafkaUnavailable):
        await letters.get("p1", "0-0")
