"""What is near, by the API and on pages: a worker's agents answer, on rows that its clusterer has written."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from agents.near import Near
from soulcaster.domain.events import ClusterMerged
from soulcaster.domain.feedback.items import FeedbackItem, compared_item
from soulcaster.services import near as near_service
from soulcaster.services.near import MOST_WAITING
from soulcaster.web.api.clusters.models import NearClustersOut
from soulcaster.web.api.feedback.models import NearItemsOut
from soulcaster.wire.near import NearQuery
from tests.agents.test_cluster import embedded, events, run, where
from tests.support.agents import Flaky, Rows, record, run_batches
from tests.support.answers import problem
from tests.support.make import item
from tests.support.web import Client, World

HERE = {"project_id": "p1"}
TEXTS = ("card late again", "card gone missing", "login down again", "card late AGAIN")


class Worker:
    """Rows with clusters of `TEXTS`, which the read model of a world shows too; it answers what the web server asks."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rows = Rows()
        self.items: Sequence[FeedbackItem] = ()
        self.cluster_of: dict[str, str] = {}

    async def fill(self) -> None:
        publisher = Flaky()
        self.items = [item(n, title=text, body=text) for n, text in enumerate(TEXTS)]
        await run(self._rows, publisher, [embedded(*map(compared_item, self.items))])
        await self._world.read_model.writer.put_items("p1", self.items)
        await self._world.read_model.writer.apply("p1", events(publisher))
        self.cluster_of = where(publisher)

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._answer())
        try:
            yield
        finally:
            task.cancel()

    async def _answer(self) -> None:
        sent = self._world.publisher.sent
        agent = Near(clusters=self._rows.clusters(), answers=self._world.read_model.near_answers)
        done = 0
        while True:
            await asyncio.sleep(0.005)
            asked = [message for message in sent[done:] if message.topic == "near.queries"]
            done = len(sent)
            await run_batches(agent, [[record(m.topic, m.value, key=m.key) for m in asked]] if asked else [], Flaky())


@pytest.fixture
async def worker(world: World) -> Worker:
    worker = Worker(world)
    await worker.fill()
    return worker


async def test_items_near_an_item(worker: Worker, client: Client) -> None:
    first, near, _, same = worker.items
    async with worker.answering():
        found = await (await client.get(f"/feedback/{first.id}/near", params=HERE)).json()
    NearItemsOut.model_validate(found)
    assert (found["item_id"], found["cluster_id"]) == (first.id, worker.cluster_of[first.id])
    assert [one["item_id"] for one in found["same"]] == [same.id]
    assert found["near"][0]["item_id"] == near.id
    assert found["near"][0]["title"] == TEXTS[1]
    assert found["near"][0]["cluster_id"] == worker.cluster_of[near.id]
    assert 0 < found["near"][0]["words"] < 1
    assert found["near"][0]["meaning"] > 0


async def test_what_was_deleted_or_merged_since_is_told_as_it_is_now(
    world: World, worker: Worker, client: Client
) -> None:
    first, near, login, _ = worker.items
    cards, logins = worker.cluster_of[first.id], worker.cluster_of[login.id]
    assert cards != logins
    async with worker.answering():
        before = await (await client.get(f"/clusters/{logins}/near", params=HERE)).json()
        assert [one["cluster_id"] for one in before["near"]] == [cards]
        await world.read_model.writer.delete_items("p1", [near.id])
        found = await (await client.get(f"/feedback/{first.id}/near", params=HERE)).json()
        assert near.id not in [one["item_id"] for one in found["near"]]
        await world.read_model.writer.apply("p1", [ClusterMerged(logins, cards, "person", "they are one", 0)])
        merged = await (await client.get(f"/clusters/{logins}/near", params=HERE)).json()
    assert (merged["cluster_id"], merged["near"]) == (cards, [])


async def test_clusters_near_a_cluster_on_its_page(worker: Worker, client: Client, owner: Client) -> None:
    cards, logins = (worker.cluster_of[worker.items[n].id] for n in (0, 2))
    page = await (await owner.get(f"/app/projects/p1/clusters/{cards}")).text()
    assert f"/app/projects/p1/clusters/{cards}/near" in page
    async with worker.answering():
        found = await (await client.get(f"/clusters/{cards}/near", params=HERE)).json()
        NearClustersOut.model_validate(found)
        shown = await (await owner.get(f"/app/projects/p1/clusters/{cards}/near")).text()
    assert [one["cluster_id"] for one in found["near"]] == [logins]
    assert "Near: maybe the same" in shown
    assert f'href="/app/projects/p1/clusters/{logins}"' in shown
    assert f'name="other" value="{logins}"' in shown


@pytest.mark.parametrize("path", ["/clusters/c9/near", "/feedback/6f1d6a1e-3a52-5d0c-9d2e-0f6f3f2a7c11/near"])
async def test_what_a_project_does_not_have_is_not_found(worker: Worker, client: Client, path: str) -> None:
    await problem(await client.get(path, params=HERE), 404)


async def test_an_item_of_another_project_is_not_found(worker: Worker, client: Client) -> None:
    await problem(await client.get(f"/feedback/{worker.items[0].id}/near", params={"project_id": "p2"}), 404)


async def test_without_a_worker_the_caller_is_told_to_try_again(
    worker: Worker, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_service, "WAITED", timedelta(0))
    answer = await client.get(f"/feedback/{worker.items[0].id}/near", params=HERE)
    assert "Retry-After" in answer.headers
    assert "worker" in (await problem(answer, 503))["detail"]


def questions(world: World) -> list[NearQuery]:
    return [NearQuery.model_validate_json(sent.value) for sent in world.publisher.sent if sent.topic == "near.queries"]


async def test_a_project_asks_one_thing_after_the_other_and_reads_on_meanwhile(
    world: World, worker: Worker, client: Client
) -> None:
    """Nobody answers yet, and the neighbour's question is asked all the same. Who asks the same shares the answer."""
    first, other, *_ = worker.items
    await world.read_model.writer.put_items("p2", [item(50, project="p2")])
    asking = [
        asyncio.create_task(client.get(f"/feedback/{one.id}/near", params=HERE)) for one in [first] * 9 + [other] * 9
    ]
    neighbour = asyncio.create_task(
        client.get(f"/feedback/{item(50, project='p2').id}/near", params={"project_id": "p2"})
    )
    async with asyncio.timeout(60):
        while len(questions(world)) < 2:
            await asyncio.sleep(0.01)
        for path in ("/feedback", "/clusters", f"/feedback/{first.id}"):
            assert (await client.get(path, params=HERE)).status == 200
    assert sorted(question.project_id for question in questions(world)) == ["p1", "p2"]
    asked = {question.project_id: question.of_id for question in questions(world)}
    assert asked["p1"] in {first.id, other.id}
    assert asked["p2"] == item(50, project="p2").id
    async with worker.answering():
        assert {answer.status for answer in await asyncio.gather(neighbour, *asking)} == {200}
    assert [question.of_id for question in questions(world)[2:]] == [({first.id, other.id} - {asked["p1"]}).pop()]


async def test_too_many_callers_of_a_project_are_refused(world: World, worker: Worker, client: Client) -> None:
    path = f"/feedback/{worker.items[0].id}/near"
    asking = [asyncio.create_task(client.get(path, params=HERE)) for _ in range(MOST_WAITING + 1)]
    async with asyncio.timeout(60):
        while not (refused := [task for task in asking if task.done()]):
            await asyncio.sleep(0.01)
    assert "Retry-After" in refused[0].result().headers
    await problem(refused[0].result(), 429)
    async with worker.answering():
        assert sorted([answer.status for answer in await asyncio.gather(*asking)]) == [200] * MOST_WAITING + [429]
