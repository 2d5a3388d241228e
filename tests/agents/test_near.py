"""Questions what is near, and their answers."""

from typing import Literal

from agents.near import Near
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.near import NOTHING_NEAR
from soulcaster.ports.messaging import Record
from soulcaster.ports.near_answers import WAITED
from soulcaster.wire.near import NearQuery
from tests.agents.test_cluster import embedded, run, where, words
from tests.support.agents import AT_MS, Flaky, Rows, record, run_batches
from tests.support.make import NOW, uid

SENT = AT_MS / 1000


def asked(kind: Literal["cluster", "item"], of_id: str, query_id: str = "q1", project: str = "p1") -> Record:
    query = NearQuery(project_id=project, id=query_id, kind=kind, of_id=of_id)
    return record("near.queries", query.to_bytes(), key=project.encode())


def agent(rows: Rows, read_model: RedisReadModel, *, later: float = 0.0) -> Near:
    """An agent that takes records so many seconds after they were sent."""
    now = NOW.fromtimestamp(SENT + later, NOW.tzinfo)
    return Near(clusters=rows.clusters(), answers=read_model.near_answers, clock=lambda: now)


async def test_what_is_near_items_and_clusters_of_a_project(read_model: RedisReadModel) -> None:
    rows, publisher = Rows(), Flaky()
    items = words("card late", "card gone missing", "login slow")
    await run(rows, publisher, [embedded(*items), embedded(*words("card stolen"), project="p2")])
    cluster_of = where(publisher)
    await run_batches(
        agent(rows, read_model),
        [[asked("item", items[0].id), asked("cluster", cluster_of[items[2].id], "q2")]],
        publisher,
    )
    answer = await read_model.near_answers.get("q1")
    assert answer is not None
    assert {near.item_id: near.cluster_id for near in answer.near}.items() <= cluster_of.items()
    assert answer.near[0].item_id == items[1].id
    assert answer.near[0].meaning > 0
    assert answer.near[0].words > 0
    other = await read_model.near_answers.get("q2")
    assert other is not None
    assert cluster_of[items[2].id] not in {near.cluster_id for near in other.near}
    assert publisher.letters == []


async def test_what_is_unknown_has_nothing_near(read_model: RedisReadModel) -> None:
    rows, publisher = Rows(), Flaky()
    batch = [asked("item", uid("never"), "q1"), asked("cluster", uid("never"), "q2", "p9")]
    assert await run_batches(agent(rows, read_model), [batch], publisher) == [2]
    assert await read_model.near_answers.get("q1") == await read_model.near_answers.get("q2") == NOTHING_NEAR
    assert rows == {}


async def test_a_question_for_which_nobody_waits_any_more_is_passed_over(read_model: RedisReadModel) -> None:
    rows, publisher = Rows(), Flaky()
    late = agent(rows, read_model, later=WAITED.total_seconds() + 0.1)
    assert await run_batches(late, [[asked("item", uid("never"))]], publisher) == [0]
    assert await read_model.near_answers.get("q1") is None


async def test_what_is_no_question_is_set_aside_and_the_next_one_answered(read_model: RedisReadModel) -> None:
    rows, publisher = Rows(), Flaky()
    wrong = record("near.queries", b'{"project_id": "p1", "id": "q0", "kind": "theme", "of_id": "t1"}')
    await run_batches(agent(rows, read_model), [[wrong, asked("item", uid("never"))]], publisher)
    assert [letter.value for letter in publisher.letters] == [wrong.value]
    assert await read_model.near_answers.get("q1") == NOTHING_NEAR
