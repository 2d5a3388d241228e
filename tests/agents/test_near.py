"""Questions what is near, and their answers."""

import asyncio
from collections.abc import Collection, Sequence
from itertools import count
from typing import Literal

import pytest

from agents.near import Near
from agents.runtime.batches import Batch
from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.near_answers import RedisNearAnswers
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.item_records import RECORD_BYTES
from soulcaster.domain.near import NOTHING_NEAR, NearAnswer
from soulcaster.ports.messaging import Record
from soulcaster.wire.near import NearQuery
from tables.segmented import SegmentedTable
from tests.agents.test_cluster import embedded, run, where, words
from tests.conftest import RedisServer
from tests.support.agents import Flaky, Rows, record, run_batches
from tests.support.make import uid

ANSWER = NearAnswer(same=("i4",))


def asked(kind: Literal["cluster", "item"], of_id: str, query_id: str = "q1", project: str = "p1") -> Record:
    query = NearQuery(project_id=project, id=query_id, kind=kind, of_id=of_id)
    return record("near.queries", query.to_bytes(), key=project.encode())


async def answer(
    rows: Rows, read_model: RedisReadModel, publisher: Flaky, *batch: Record, open_ids: Sequence[str] = ("q1", "q2")
) -> int:
    """Give questions to an agent, while somebody waits for some of them; return how many it answered."""
    for query_id in open_ids:
        await read_model.near_answers.ask(query_id)
    agent = Near(clusters=rows.clusters(), answers=read_model.near_answers)
    [answered] = await run_batches(agent, [list(batch)], publisher)
    return answered


async def test_what_is_near_items_and_clusters_of_a_project(read_model: RedisReadModel) -> None:
    rows, publisher = Rows(), Flaky()
    items = words("card late", "card gone missing", "login slow")
    await run(rows, publisher, [embedded(*items), embedded(*words("card stolen"), project="p2")])
    cluster_of = where(publisher)
    questions = asked("item", items[0].id), asked("cluster", cluster_of[items[2].id], "q2")
    assert await answer(rows, read_model, publisher, *questions) == 2
    found = await read_model.near_answers.get("q1")
    assert found is not None
    assert {one.item_id: one.cluster_id for one in found.near}.items() <= cluster_of.items()
    assert found.near[0].item_id == items[1].id
    assert found.near[0].meaning > 0
    assert found.near[0].words > 0
    other = await read_model.near_answers.get("q2")
    assert other is not None
    assert cluster_of[items[2].id] not in {one.cluster_id for one in other.near}
    assert publisher.letters == []


async def test_what_is_unknown_has_nothing_near(read_model: RedisReadModel) -> None:
    rows, publisher = Rows(), Flaky()
    batch = [asked("item", uid("never"), "q1"), asked("cluster", uid("never"), "q2", "p9")]
    assert await answer(rows, read_model, publisher, *batch) == 2
    assert await read_model.near_answers.get("q1") == await read_model.near_answers.get("q2") == NOTHING_NEAR
    assert rows == {}


async def test_an_item_of_another_project_has_nothing_near(read_model: RedisReadModel) -> None:
    rows, publisher = Rows(), Flaky()
    items = words("card late", "card gone missing")
    await run(rows, publisher, [embedded(*items), embedded(*words("card stolen"), project="p2")])
    await answer(rows, read_model, publisher, asked("item", items[0].id, project="p2"))
    assert await read_model.near_answers.get("q1") == NOTHING_NEAR


class Watched(SegmentedTable[ProjectClusters]):
    """The table of clusters; `searched` has the project of each search."""

    def __init__(self, rows: Rows) -> None:
        self.searched: list[str] = []
        super().__init__(rows, RECORD_BYTES, ProjectClusters)

    async def state(self, partition: int, project_id: str) -> ProjectClusters:
        if self.turn(partition, project_id).locked():
            self.searched.append(project_id)
        return await super().state(partition, project_id)


async def test_what_several_ask_is_answered_once_and_projects_take_turns(read_model: RedisReadModel) -> None:
    answers, watched = read_model.near_answers, Watched(Rows())
    greedy = [asked("item", uid(f"i{n}"), f"q{n}") for n in range(3)]
    again = asked("item", uid("i1"), "again")
    for query_id in ("q0", "q1", "q2", "again", "neighbour"):
        await answers.ask(query_id)
    batch = [*greedy, again, asked("cluster", uid("c"), "neighbour", "p2")]
    assert await run_batches(Near(clusters=watched, answers=answers), [batch], Flaky()) == [5]
    assert watched.searched == ["p1", "p2", "p1", "p1"]
    assert [await answers.get(query_id) for query_id in ("q1", "again", "neighbour")] == [NOTHING_NEAR] * 3


async def test_questions_for_which_nobody_waits_any_more_are_passed_over(read_model: RedisReadModel) -> None:
    """As after an outage; and what was answered before a crash is not asked again."""
    answers, watched = read_model.near_answers, Watched(Rows())
    for query_id in ("q7", "q8"):
        await answers.ask(query_id)
    await answers.put("q8", ANSWER)
    batch = [asked("item", uid(f"i{n}"), f"q{n}") for n in range(1_000)]
    assert await run_batches(Near(clusters=watched, answers=answers), [batch], Flaky()) == [1]
    assert watched.searched == ["p1"]
    assert await answers.get("q7") == NOTHING_NEAR
    assert await answers.get("q8") == ANSWER


class Impatient(RedisNearAnswers):
    """Answers of which the first one is told; then nobody waits for the others any more."""

    def __init__(self, connection: RedisConnection) -> None:
        super().__init__(connection)
        self._told = False

    async def open(self, query_ids: Sequence[str]) -> Collection[str]:
        return () if self._told else await super().open(query_ids)

    async def put(self, query_id: str, answer: NearAnswer) -> None:
        self._told = True
        await super().put(query_id, answer)


async def test_who_leaves_while_others_are_answered_is_passed_over(
    read_model: RedisReadModel, redis_server: RedisServer
) -> None:
    watched, connection = Watched(Rows()), RedisConnection(RedisAccess(redis_server.url))
    try:
        for n in range(3):
            await read_model.near_answers.ask(f"q{n}")
        batch = [asked("item", uid(f"i{n}"), f"q{n}") for n in range(3)]
        agent = Near(clusters=watched, answers=Impatient(connection))
        assert await run_batches(agent, [batch], Flaky()) == [1]
        assert watched.searched == ["p1"]
    finally:
        await connection.close()


async def test_after_a_search_the_agent_rests_as_long(
    read_model: RedisReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many ask, the other agents have at least half of the processor."""
    ticks = count(0.0, 0.5)
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", rest)
    for query_id in ("q1", "q2"):
        await read_model.near_answers.ask(query_id)
    agent = Near(clusters=Rows().clusters(), answers=read_model.near_answers, seconds=lambda: next(ticks))
    await agent.process(Batch(()), [asked("item", uid("a")), asked("item", uid("b"), "q2")])
    assert rests == [0.5, 0.5]


async def test_what_is_no_question_is_set_aside_and_the_next_one_answered(read_model: RedisReadModel) -> None:
    rows, publisher = Rows(), Flaky()
    wrong = record("near.queries", b'{"project_id": "p1", "id": "q0", "kind": "theme", "of_id": "t1"}')
    await answer(rows, read_model, publisher, wrong, asked("item", uid("never")))
    assert [letter.value for letter in publisher.letters] == [wrong.value]
    assert await read_model.near_answers.get("q1") == NOTHING_NEAR
