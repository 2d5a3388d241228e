"""A deletion through all agents, from the tombstone to the read model, and a rebuild after it."""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from agents.cluster import Cluster
from agents.project import Project
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.commands import CommandKind
from soulcaster.domain.feedback.items import Deleted, FeedbackItem
from soulcaster.ports.messaging import Outgoing, Record
from soulcaster.services.projection import Projection
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.feedback import ItemsEnvelope
from tests.conftest import RedisServer
from tests.support.agents import Flaky, HashEmbedder, Rows, embed_agent, record, records, run_batches, stored
from tests.support.make import NOW, item


class Chain:
    """All agents of one project, each restarted for every batch, and the topics between them."""

    def __init__(self, read_model: RedisReadModel) -> None:
        self.read_model = read_model
        self.seen, self.clusters = Rows(), Rows()
        self.items: list[Record] = []
        self.events: list[Outgoing] = []
        self.jobs: list[Outgoing] = []

    async def send(self, *items: FeedbackItem, deleted: Sequence[Deleted] = ()) -> None:
        """Put items and tombstones on feedback.items, and let all agents process what follows."""
        envelope = ItemsEnvelope(project_id="p1", items=items, deleted=tuple(deleted))
        new = record("feedback.items", envelope.to_bytes())
        self.items.append(new)
        embedded = Flaky()
        agent = embed_agent(self.seen.seen(), HashEmbedder(), embedded)
        await run_batches(agent, [[new]], embedded, self.seen)
        await self.project([new])
        await self.cluster(records(embedded.sent, "feedback.embedded"))

    async def ask(self, kind: CommandKind, cluster_id: str, **fields: Any) -> None:
        asked = {"id": f"{kind} {len(self.events)}", "type": kind, "requested_by": "me", "requested_at": NOW}
        command = ClusterCommand.model_validate({"project_id": "p1", "cluster_id": cluster_id, **asked, **fields})
        await self.cluster([record("cluster.commands", command.to_bytes())])

    async def cluster(self, batch: list[Record]) -> None:
        told = Flaky()
        states = self.clusters.clusters()
        agent = Cluster(clusters=states, stored=stored, publisher=told, clock=lambda: NOW)
        await run_batches(agent, [batch], told, self.clusters)
        assert told.letters == []
        self.events += told.of("cluster.events")
        self.jobs += told.of("job.events")
        await self.project(records(told.sent, "cluster.events"))

    async def project(self, *batches: list[Record]) -> None:
        publisher = Flaky()
        await run_batches(Project(Projection(self.read_model.writer)), batches, publisher)
        assert publisher.letters == []

    async def answers(self) -> dict[str, Any]:
        """Return everything that can be read about the project."""
        model = self.read_model
        clusters = await model.clusters.list("p1", limit=100, offset=0)
        return {
            "items": await model.feedback.list("p1", source=None, cluster_id=None, limit=100, offset=0),
            "clusters": clusters,
            "in": [
                await model.feedback.list("p1", source=None, cluster_id=c.id, limit=100, offset=0)
                for c in clusters.items
            ],
            "histories": [await model.clusters.history("p1", c.id) for c in clusters.items],
            "stats": await model.projects.stats("p1"),
        }


def said(n: int, text: str, **more: Any) -> FeedbackItem:
    return item(n, title=text, body=text, minutes=n, **more)


async def test_a_deleted_item_is_gone_and_a_rebuild_answers_the_same(
    redis_server: RedisServer, read_model: RedisReadModel
) -> None:
    chain = Chain(read_model)
    items = [said(n, f"{['card', 'login', 'map'][n % 3]} {n}") for n in range(9)]
    await chain.send(*items)
    card, login, map_ = [
        view.cluster_id or "" for n in range(3) if (view := await read_model.feedback.get("p1", items[n].id))
    ]
    await chain.ask("merge", login, cluster_ids=(map_,))
    await chain.ask("resolve", card)
    for n in (0, 2, 5, 8):
        await chain.send(deleted=[Deleted(items[n].id, NOW, f"delete {n}")])
        done = await read_model.commands.get("p1", f"delete {n}")
        assert done is not None
        assert done.outcome == "applied"
        assert await read_model.feedback.get("p1", items[n].id) is None
    await chain.send(said(0, "card anew"), said(2, "map anew"), said(20, "card again"))
    answers = await chain.answers()
    assert {view.item.external_id for view in answers["items"].items} == {"1", "3", "4", "6", "7", "20"}
    sizes = {c.id: (c.size, c.title.split()[0], c.status) for c in answers["clusters"].items}
    assert sizes == {card: (3, "card", "regressed"), login: (3, "login", "new")}
    assert [page.total for page in answers["in"]] == [3, 3]
    assert (answers["stats"].total_feedback, answers["stats"].unclustered) == (6, 0)
    kinds = {entry.kind for history in answers["histories"] for entry in history}
    assert {"resolve", "regressed", "merged"} <= kinds
    happened = records(chain.events, "cluster.events")
    for batches in (
        [*([one] for one in chain.items), *([one] for one in happened)],
        [*([one] for one in happened), *([one] for one in chain.items)],
        [[*happened, *chain.items]],
    ):
        await read_model.writer.clear()
        await chain.project(*batches)
        assert await chain.answers() == answers
    async with Redis.from_url(redis_server.url, decode_responses=True) as redis:
        strings = [key for key in await redis.keys("*") if await redis.type(key) == "string"]
        texts = [str(await redis.get(key)) for key in strings]
        assert not [text for text in texts if "map 2" in text or "card anew" in text]


async def test_what_a_person_changes_is_the_newest_version(read_model: RedisReadModel) -> None:
    chain = Chain(read_model)
    await chain.send(said(1, "card late"), said(2, "card gone"))
    await chain.send(said(1, "login late"))
    view = await read_model.feedback.get("p1", said(1, "").id)
    assert view is not None
    assert view.item.title == "login late"
    [only] = (await read_model.clusters.list("p1", limit=9, offset=0)).items
    assert view.cluster_id == only.id  # it keeps its cluster
