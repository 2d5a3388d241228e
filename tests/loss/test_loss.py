"""Nothing accepted is lost, whatever a worker is doing when it is hurt; tests/faults hurts whole systems."""

import asyncio
import json
import random
import signal
from collections import Counter
from uuid import uuid4

import pytest

from soulcaster.bench.feeds import texts
from soulcaster.domain.ids import item_id
from soulcaster.ports.messaging import Outgoing
from soulcaster.wire.feedback import RawEnvelope, RawFeedback
from soulcaster.wire.topics import FEEDBACK_ITEMS, FEEDBACK_RAW
from tests.loss.conftest import Crew, publisher
from tests.support.recount import arrivals, assert_nothing_lost, dead_letters, from_log

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group(__name__)]

FEW = 40


def project() -> str:
    return f"p{uuid4().hex[:10]}"


def raw_items(project_id: str, count: int, start: int = 0) -> list[RawFeedback]:
    bodies = texts(count, 90, seed=start)
    return [
        RawFeedback(project_id=project_id, source="test", external_id=str(start + i), body=body)
        for i, body in enumerate(bodies)
    ]


def ids(items: list[RawFeedback]) -> set[str]:
    return {item_id(i.project_id, i.source, i.external_id or "") for i in items}


def mixed(items: list[RawFeedback], seed: int = 0) -> list[Outgoing]:
    """Singles and envelopes of all sizes, mixed."""
    chance = random.Random(seed)
    messages = []
    at = 0
    while at < len(items):
        size = chance.choice([1, 1, 1, 3, 20, 60])
        part = items[at : at + size]
        at += size
        value = part[0].model_dump_json().encode() if len(part) == 1 else RawEnvelope(items=tuple(part)).to_bytes()
        messages.append(Outgoing(FEEDBACK_RAW.name, None, value))
    return messages


async def post(crew: Crew, messages: list[Outgoing]) -> None:
    async with publisher(crew.settings) as to_kafka:
        await to_kafka.publish(messages)


@pytest.mark.parametrize("committed", [False, True], ids=["fresh", "committed"])
async def test_sigterm_in_mid_handler(crew: Crew, committed: bool) -> None:
    project_id = project()
    items = raw_items(project_id, FEW)
    if committed:
        first = crew.hire()
        earlier = raw_items(project_id, FEW, start=10_000)
        await post(crew, mixed(earlier))
        await crew.settled(project_id, FEW)
        await first.stop()
        items += earlier
    worker, begun = crew.hire_slow(2)
    await post(crew, mixed(items[:FEW]))
    async with asyncio.timeout(60):
        while not begun.exists():
            await asyncio.sleep(0.02)
    await worker.stop()
    assert await worker.wait() in (0, -signal.SIGTERM)
    crew.hire()
    await crew.settled(project_id, len(items))
    await assert_nothing_lost(crew.settings, project_id, ids(items))


@pytest.mark.parametrize("committed", [False, True], ids=["fresh", "committed"])
async def test_rebalance_in_mid_handler(crew: Crew, committed: bool) -> None:
    project_ids = [project() for _ in range(4)]
    items = {p: raw_items(p, FEW) for p in project_ids}
    if committed:
        first = crew.hire()
        for p in project_ids:
            earlier = raw_items(p, FEW, start=10_000)
            await post(crew, mixed(earlier))
            items[p] += earlier
        for p in project_ids:
            await crew.settled(p, FEW)
        await first.stop()
    _, begun = crew.hire_slow(2)
    for p in project_ids:
        await post(crew, mixed(items[p][:FEW]))
    async with asyncio.timeout(60):
        while not begun.exists():
            await asyncio.sleep(0.02)
    crew.hire()
    for p in project_ids:
        await crew.settled(p, len(items[p]))
    await crew.dismiss()
    crew.hire()  # a round may have been on its way: what the two left in the topics is carried out by a third
    for p in project_ids:
        marker = raw_items(p, 1, start=50_000)  # comes behind all of that
        await post(crew, mixed(marker))
        items[p] += marker
    for p in project_ids:
        await crew.settled(p, len(items[p]))
        await assert_nothing_lost(crew.settings, p, ids(items[p]))


async def test_a_worker_that_waits_for_its_embedder_holds_up_neither_a_rebalance_nor_its_own_end(crew: Crew) -> None:
    project_ids = [project() for _ in range(8)]  # some of them in partitions that the second worker gets
    waiting, begun = crew.hire_slow(3_600)
    for p in project_ids:
        await post(crew, mixed(raw_items(p, FEW)))
    async with asyncio.timeout(60):
        while not begun.exists():
            await asyncio.sleep(0.02)
    crew.hire()
    async with asyncio.timeout(60):
        while not any([await crew.clustered(p) for p in project_ids]):
            await asyncio.sleep(0.1)
    assert waiting.running
    await waiting.stop()
    assert await waiting.wait() in (0, -signal.SIGTERM)
    for p in project_ids:
        await crew.settled(p, FEW)
    for p in project_ids:
        await assert_nothing_lost(crew.settings, p, ids(raw_items(p, FEW)))


async def test_a_long_backlog_holds_up_no_other_project_and_nothing_is_lost_when_its_worker_is_killed(
    crew: Crew,
) -> None:
    """The other projects' items are done before records that stand before them, and those are not committed past."""
    greedy, elsewhere, *many = (project() for _ in range(50))
    async with publisher(crew.settings) as to_kafka:
        there, *of_many = await to_kafka.partitions(FEEDBACK_ITEMS.name, [p.encode() for p in (greedy, *many)])
    others = [elsewhere, next(p for p, partition in zip(many, of_many, strict=True) if partition == there)]
    long = "Again and again and again. " * 150
    items = {greedy: [one.model_copy(update={"body": f"{one.body} {long}"}) for one in raw_items(greedy, 1_500)]}
    items |= {p: raw_items(p, 2) for p in others}
    worker, begun = crew.hire_slow(0.3)
    await post(crew, [Outgoing(FEEDBACK_RAW.name, None, one.model_dump_json().encode()) for one in items[greedy]])
    async with asyncio.timeout(60):
        while not begun.exists():
            await asyncio.sleep(0.02)
    for p in others:
        await post(crew, mixed(items[p]))
    for p in others:
        await crew.settled(p, 2)
    assert await crew.clustered(greedy) < len(items[greedy])
    await worker.kill()
    crew.hire()
    for p in items:
        await crew.settled(p, len(items[p]))
        await assert_nothing_lost(crew.settings, p, ids(items[p]))


async def test_a_batch_that_takes_for_ever_holds_up_no_other_project_and_is_not_lost_with_its_worker(
    crew: Crew,
) -> None:
    """The others go by the express lane, in any partition; what they leave behind is not committed past."""
    stuck, elsewhere, *many = (project() for _ in range(50))
    async with publisher(crew.settings) as to_kafka:
        there, *of_many = await to_kafka.partitions(FEEDBACK_ITEMS.name, [p.encode() for p in (stuck, *many)])
    others = [elsewhere, next(p for p, partition in zip(many, of_many, strict=True) if partition == there)]
    [hard] = (one.model_copy(update={"body": f"This is {stuck}."}) for one in raw_items(stuck, 1))
    worker, begun = crew.hire_slow(3600, word=stuck)
    await post(crew, [Outgoing(FEEDBACK_RAW.name, None, hard.model_dump_json().encode())])
    async with asyncio.timeout(60):
        while not begun.exists():
            await asyncio.sleep(0.02)
    for more in (20, 40):
        for p in others:
            await post(crew, mixed(raw_items(p, 20, start=more)))
        for p in others:
            await crew.settled(p, more)
    await worker.kill()
    crew.hire()
    await crew.settled(stuck, 1)
    await assert_nothing_lost(crew.settings, stuck, ids([hard]))
    for p in others:
        await assert_nothing_lost(crew.settings, p, ids(raw_items(p, 40, start=20)))


async def test_the_same_messages_posted_twice(crew: Crew) -> None:
    project_id = project()
    items = raw_items(project_id, 600)
    crew.hire()
    await post(crew, mixed(items, seed=1))
    await crew.settled(project_id, 600)
    await post(crew, mixed(items, seed=2))
    marker = raw_items(project_id, 1, start=50_000)
    await post(crew, mixed(marker))
    await crew.settled(project_id, 601)
    await assert_nothing_lost(crew.settings, project_id, ids(items) | ids(marker))
    assert await arrivals(crew.settings, project_id) == dict.fromkeys(ids(items) | ids(marker), 1)


async def test_identical_words_without_an_id_are_two_items(crew: Crew) -> None:
    project_id = project()
    crew.hire()
    same = RawFeedback(project_id=project_id, source="test", body="the export button does nothing at all")
    await post(crew, [Outgoing(FEEDBACK_RAW.name, None, same.model_dump_json().encode())] * 2)
    await crew.settled(project_id, 2)
    log = await from_log(crew.settings, project_id)
    assert len(log.assigned) == 2
    assert len(set(log.assigned.values())) == 1


async def test_poison_between_good_messages(crew: Crew) -> None:
    project_id = project()
    items = raw_items(project_id, 200)
    half_an_emoji = json.dumps(
        {"project_id": project_id, "source": "test", "external_id": "half", "body": "cut in the middle \ud83d"}
    ).encode()
    with_nul = json.dumps(
        {"project_id": project_id, "source": "test", "external_id": "nul", "body": "before\x00after"}
    ).encode()
    refused = [
        b"not JSON",
        b'{"schema_version": 99, "project_id": "x", "source": "y", "body": "z"}',
        json.dumps({"project_id": project_id, "source": "test", "body": "x" * 2_000_000}).encode(),
        b"",
        b"\x00\x00\x00\x00",
        b"\xff\xfe" + "text".encode("utf-16-le"),
        b"[" * 100_000,
        b'{"project_id": "p", "source": "test", "body": "   "}',
        b'{"project_id": "p p", "source": "test", "body": "a project id with a space"}',
        b"null",
        b"[]",
        b'{"items": 3}',
    ]
    good = mixed(items)
    poison = [Outgoing(FEEDBACK_RAW.name, None, value) for value in [*refused, half_an_emoji, with_nul]]
    everything = good + poison
    random.Random(3).shuffle(everything)
    before = Counter(await dead_letters(crew.settings))
    crew.hire()
    await post(crew, everything)
    await crew.settled(project_id, 202)
    accepted = ids(items) | {item_id(project_id, "test", "half"), item_id(project_id, "test", "nul")}
    await assert_nothing_lost(crew.settings, project_id, accepted)
    assert Counter(await dead_letters(crew.settings)) - before == Counter(refused)


async def test_poison_on_every_topic_a_worker_reads(crew: Crew) -> None:
    project_id = project()
    items = raw_items(project_id, 100)
    topics = ["feedback.items", "feedback.embedded", "cluster.commands", "cluster.events", "job.events", "control"]
    crew.hire()
    nonsense = f"not a message, said {project_id}".encode()
    poison = [Outgoing(topic, project_id.encode(), nonsense) for topic in topics]
    await post(crew, [*mixed(items[:50]), *poison, *mixed(items[50:])])
    await crew.settled(project_id, 100)
    async with asyncio.timeout(30):
        # feedback.items has two readers, each of which sets it aside
        while (await dead_letters(crew.settings)).count(nonsense) < len(topics) + 1:
            await asyncio.sleep(0.2)
    await assert_nothing_lost(crew.settings, project_id, ids(items))
