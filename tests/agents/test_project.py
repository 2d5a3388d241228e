"""The read model is the same for any order of the topics, any batches, and records that are delivered again."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from agents.project import Project as ProjectAgent
from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.adapters.redis.writer import RedisReadModelWriter
from soulcaster.domain.events import (
    ClusterChanged,
    ClusterEvent,
    ClusteringConfigured,
    ClusteringStatus,
    ClusterMerged,
    ClusterRestored,
    ClusterSplit,
    CommandDone,
    ItemAssigned,
    ItemRemoved,
    Proposal,
    ProposalsChanged,
)
from soulcaster.domain.feedback.items import Deleted, FeedbackItem
from soulcaster.domain.fixes.document import Document, content_id
from soulcaster.domain.lifecycle import JobStatus
from soulcaster.errors import RedisUnavailable
from soulcaster.ports.commands import CommandView
from soulcaster.ports.members import MemberView
from soulcaster.ports.messaging import Record
from soulcaster.ports.projects import Project
from soulcaster.ports.read_model_writer import ReadModelWriter
from soulcaster.services.projection import AT_ONCE, Projection
from soulcaster.wire.cluster_events import ClusterEvents
from soulcaster.wire.control import (
    KeyDefined,
    MemberDefined,
    ProjectConfigured,
    ProjectDefined,
    RepositorySynced,
    SourceKicked,
    SourceReported,
    UserDefined,
    WebhookSecretDefined,
)
from soulcaster.wire.documents import JobDocument
from soulcaster.wire.feedback import ItemsEnvelope
from soulcaster.wire.job_logs import JobLog
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.project_config import ProjectConfig
from tests.conftest import RedisServer
from tests.support.agents import Flaky, headers, record, run_batches
from tests.support.make import NOW, item


def items(*of: FeedbackItem) -> Record:
    return record("feedback.items", ItemsEnvelope(project_id=of[0].project_id, items=of).to_bytes())


def gone(*of: FeedbackItem) -> Record:
    tombstones = tuple(Deleted(one.id, NOW) for one in of)
    return record("feedback.items", ItemsEnvelope(project_id="p1", items=(), deleted=tombstones).to_bytes())


def happened(*of: ClusterEvent, project: str = "p1") -> Record:
    return record("cluster.events", ClusterEvents(project_id=project, events=of).to_bytes())


def assigned(one: FeedbackItem, cluster: str) -> ItemAssigned:
    return ItemAssigned(one.id, one.created_at, cluster, change="joined", score=0.9, threshold=0.5)


def changed(cluster: str, size: int) -> ClusterChanged:
    return ClusterChanged(cluster, f"Title {cluster}", f"{size} of them", size, ("manual",), NOW, NOW)


def removed(one: FeedbackItem, cluster: str | None) -> ItemRemoved:
    return ItemRemoved(one.id, cluster, NOW)


def job(seq: int, status: JobStatus, *, cluster: str = "c1", project: str = "p1") -> Record:
    event = JobEvent(
        job_id=f"job {cluster}",
        project_id=project,
        cluster_id=cluster,
        seq=seq,
        status=status,
        at=NOW + timedelta(seconds=seq),
        log=f"line {seq}",
    )
    return record("job.events", event.to_bytes())


def printed(text: str, *, token: int | None = None, cluster: str = "c1") -> Record:
    log = JobLog(job_id=f"job {cluster}", project_id="p1", token=token, at=NOW, text=text)
    return record("job.logs", log.to_bytes())


def document(text: str) -> JobDocument:
    return JobDocument.of(Document(content_id(text), "p1", "c1", "brief", text, NOW, ("i1",)))


def defined(name: str, project: str = "p1") -> Record:
    return record("control", ProjectDefined(id=project, name=name, created_at=NOW).to_bytes())


def configured(version: int) -> Record:
    message = ProjectConfigured(
        project_id="p1",
        version=version,
        config=ProjectConfig(repositories=(f"example/v{version}",)),
        updated_at=NOW,
        updated_by="me",
    )
    return record("control", message.to_bytes())


def reported(at: int) -> Record:
    message = SourceReported(project_id="p1", source="reddit", cursor={"at": at}, status="ok", reported_at=NOW)
    return record("control", message.to_bytes())


SYNCED = RepositorySynced(
    project_id="p1", repository="Acme/shop", connected_at=NOW, since=NOW, whole=True, status="ok", reported_at=NOW
)
READ = record("control", SYNCED.to_bytes())
KICKED = record("control", SourceKicked(project_id="p1", source="reddit", kicked_at=NOW).to_bytes())


async def test_many_projects_at_once_need_few_connections(
    read_model: RedisReadModel, redis_server: RedisServer
) -> None:
    """Whoever waits long for a connection takes Redis for unavailable, and tries again with all others who do."""
    batch = [items(item("x", f"p{n}")) for n in range(3 * AT_ONCE)]
    async with Redis.from_url(redis_server.url) as redis:
        before = (await redis.info("stats"))["total_connections_received"]
        assert await run(read_model.writer, batch) == [3 * AT_ONCE]
        # One more renews the lease, if the writing takes a second.
        assert (await redis.info("stats"))["total_connections_received"] - before <= AT_ONCE + 1
    assert len(await read_model.projects.list()) == 3 * AT_ONCE


async def test_keys_are_known_and_revoked(read_model: RedisReadModel) -> None:
    made = KeyDefined(
        id="k1", project_id="p1", name="CI", hash="a" * 64, scopes=("read",), created_at=NOW, created_by="me"
    )
    await run(read_model.writer, [record("control", made.to_bytes(), key=b"key:k1")])
    assert await read_model.api_keys.get("a" * 64) == made.key()
    assert await read_model.api_keys.get("b" * 64) is None
    revoked = made.model_copy(update={"revoked_at": NOW})
    await run(read_model.writer, [record("control", revoked.to_bytes(), key=b"key:k1")])
    assert [view.key for view in await read_model.api_keys.list("p1")] == [revoked.key()]


async def test_people_are_known_and_removed(read_model: RedisReadModel) -> None:
    user = UserDefined(id="u1", email="ada@example.com", created_at=NOW)
    member = MemberDefined(project_id="p1", user_id="u1", role="owner", at=NOW)
    made = ProjectDefined(id="p1", name="Mine", created_at=NOW, created_by="u1")
    await run(
        read_model.writer,
        [
            record("control", member.to_bytes(), key=b"member:p1:u1"),
            record("control", made.to_bytes(), key=b"project:p1"),
            record("control", user.to_bytes(), key=b"user:u1"),
        ],
    )
    assert await read_model.members.list("p1") == (MemberView(member.membership(), user.user()),)
    assert await read_model.projects.of_user("u1") == (Project("p1", "Mine", NOW, "u1"),)
    removed = member.model_copy(update={"removed_at": NOW})
    await run(read_model.writer, [record("control", removed.to_bytes(), key=b"member:p1:u1")])
    assert await read_model.members.list("p1") == ()


async def test_settings_secrets_and_sources_are_known(read_model: RedisReadModel) -> None:
    secret = WebhookSecretDefined(
        id="w1", project_id="p1", source="sentry", sealed="sealed", last4="abcd", created_at=NOW, created_by="me"
    )
    report = reported(1)
    await run(
        read_model.writer, [configured(1), configured(2), record("control", secret.to_bytes()), report, KICKED, READ]
    )
    assert await read_model.sources.repositories("p1") == (SYNCED.state(),)
    stored = await read_model.project_config.get("p1")
    assert (stored.version, stored.config.repositories, stored.updated_by) == (2, ("example/v2",), "me")
    assert await read_model.webhook_secrets.list("p1") == (secret.secret(),)
    assert [(s.source, s.kicked_at, s.report and s.report.cursor) for s in await read_model.sources.list("p1")] == [
        ("reddit", NOW, {"at": 1})
    ]
    removed = secret.model_copy(update={"removed_at": NOW, "sealed": ""})
    await run(read_model.writer, [record("control", removed.to_bytes()), reported(2)])
    assert await read_model.webhook_secrets.list("p1") == ()
    [state] = await read_model.sources.list("p1")
    assert state.kicked_at == NOW  # its poller's report does not take it back
    assert state.report is not None
    assert state.report.cursor == {"at": 2}


async def test_what_control_does_not_know_is_set_aside(read_model: RedisReadModel) -> None:
    publisher = Flaky()
    await run(read_model.writer, [record("control", b'{"schema_version": 1, "type": "nix"}')], publisher=publisher)
    assert len(publisher.letters) == 1


async def run(writer: ReadModelWriter, *batches: list[Record], publisher: Flaky | None = None) -> list[int]:
    return await run_batches(ProjectAgent(Projection(writer)), batches, publisher or Flaky())


async def whole(model: RedisReadModel) -> dict[str, Any]:
    """Everything a reader can see."""
    found: dict[str, Any] = {"projects": await model.projects.list()}
    for one in found["projects"]:
        p = one.id
        clusters = await model.clusters.list(p, limit=100, offset=0)
        found[p] = {
            "feedback": await model.feedback.list(p, source=None, cluster_id=None, limit=100, offset=0),
            "clusters": clusters,
            "stats": await model.projects.stats(p),
            "jobs": (jobs := await model.jobs.list(p, cluster_id=None, limit=100, offset=0)),
            "logs": [await model.jobs.logs(j.id) for j in jobs.items],
            "printed": [await model.job_logs.read(j.id, 0, limit_bytes=10_000) for j in jobs.items],
            "heartbeats": [await model.job_logs.heartbeat(j.id) for j in jobs.items],
            "in": [
                await model.feedback.list(p, source=None, cluster_id=c.id, limit=100, offset=0) for c in clusters.items
            ],
            "by id": [await model.clusters.get(p, c) for c in CLUSTERS],
            "histories": [await model.clusters.history(p, c) for c in CLUSTERS],
            "clustering": (
                await model.clustering.status(p),
                await model.clustering.proposals(p),
                await model.commands.get(p, "k1"),
            ),
            "set": (await model.project_config.get(p), await model.clustering.config(p), await model.sources.list(p)),
        }
    return found


CLUSTERS = ["c1", "c2", "c3", "c8", "c9"]
STATUS = ClusteringStatus("idle", 7, "nothing to do", NOW, 0.5, 100, 90, 8, 0.01, 0.62, 4)
PROPOSAL = Proposal("p", "merge", ("c1", "c9"), 0.75, "alike")
X, Y = item("x", "p2"), item("y", "p2", minutes=1)
V, W, Z = (item(n, source="deleted", minutes=1) for n in "vwz")
ITEMS = [item(n, minutes=n, source=["manual", "reddit"][n % 2]) for n in range(8)]
CHANGED = [item(n, minutes=n, source=["manual", "reddit"][n % 2], body="said anew") for n in range(3)]
TOPICS: list[list[Record]] = [
    [
        items(*ITEMS[:3]),
        items(ITEMS[3], Z),
        items(*ITEMS[4:]),
        items(V, W),
        items(*CHANGED),
        items(X, Y),
        gone(Z, V, W),
        items(V, Z),
    ],
    [
        happened(assigned(ITEMS[0], "c1"), assigned(ITEMS[1], "c1"), changed("c1", 2)),
        happened(assigned(ITEMS[2], "c2"), changed("c2", 1)),
        happened(assigned(Z, "c2"), assigned(V, "c8"), changed("c2", 2), changed("c8", 1)),
        happened(assigned(ITEMS[3], "c2"), assigned(ITEMS[4], "c1"), changed("c1", 3), changed("c2", 3)),
        happened(removed(Z, "c2"), removed(V, "c8"), removed(W, None), changed("c2", 2)),
        happened(assigned(ITEMS[2], "c1"), assigned(ITEMS[3], "c1"), changed("c1", 5)),  # c2 is left empty
        happened(assigned(ITEMS[5], "c3"), changed("c3", 1), assigned(ITEMS[5], "c1"), changed("c1", 6)),  # and c3
        happened(assigned(X, "c9"), assigned(Y, "c8"), changed("c9", 1), changed("c8", 1), project="p2"),
        happened(ClusterMerged("c9", "c8", "consolidation", "alike", 1, NOW), changed("c8", 2), STATUS, project="p2"),
        happened(
            ClusterRestored("c9", "asked for"), assigned(X, "c9"), changed("c9", 1), changed("c8", 1), project="p2"
        ),
        happened(CommandDone("k1", "waiting", "not yet", NOW), ProposalsChanged((PROPOSAL,)), project="p2"),
        happened(ClusterMerged("c8", "c9", "person", "the same", 2, NOW, "k1"), changed("c9", 2), project="p2"),
        happened(ClusterSplit("c3", "c9", "person", "asked for", 2), ProposalsChanged(()), project="p2"),
        happened(assigned(Y, "c3"), changed("c3", 1), changed("c9", 1), project="p2"),
        happened(CommandDone("k1", "applied", "", NOW), project="p2"),
        happened(ClusteringConfigured(0.5, "auto", NOW, "k2"), ClusteringConfigured(None, "fine", NOW, "k3")),
    ],
    [
        job(0, "pending"),
        job(1, "running"),
        job(2, "success"),
        job(0, "pending", cluster="c2"),
        job(1, "failed", cluster="c2"),
    ],
    [
        printed("of the first launch\n", token=7),
        printed("of another job\n", cluster="c2"),
        printed("of the second launch\n", token=9),
        printed("of the first launch, too late\n", token=7),
        printed("", token=9),
    ],
    [
        defined("Old name"),
        defined("Demo"),
        defined("Other", "p2"),
        configured(1),
        reported(1),
        configured(2),
        KICKED,
        READ,
    ],
]


async def test_what_comes_out(read_model: RedisReadModel) -> None:
    assert await run(read_model.writer, *TOPICS) == [8, 16, 5, 5, 8]
    seen = await whole(read_model)
    assert [(p.id, p.name) for p in seen["projects"]] == [("p1", "Demo"), ("p2", "Other")]
    one = seen["p1"]
    assert [(c.id, c.size) for c in one["clusters"].items] == [("c1", 6)]
    expected = {i.id: "c1" for i in ITEMS[:6]} | {i.id: None for i in ITEMS[6:]}
    assert {v.item.id: v.cluster_id for v in one["feedback"].items} == expected
    assert {v.item.body for v in one["feedback"].items if v.item.id in {i.id for i in CHANGED}} == {"said anew"}
    assert (one["stats"].total_feedback, one["stats"].unclustered, one["stats"].total_clusters) == (8, 2, 1)
    assert one["stats"].by_source == {"manual": 4, "reddit": 4}
    assert {(j.id, j.status) for j in one["jobs"].items} == {("job c1", "success"), ("job c2", "failed")}
    assert sorted(one["logs"]) == [("line 0", "line 1"), ("line 0", "line 1", "line 2")]
    texts = {tuple(chunk.text for chunk in log.chunks) for log in one["printed"]}
    assert texts == {("of the first launch\n", "of the second launch\n"), ("of another job\n",)}
    assert [beat and beat.token for beat in one["heartbeats"]].count(9) == 1
    assert one["stats"].by_status == {"new": 1}  # the job of c2 is of a cluster that is gone
    two = seen["p2"]
    assert sorted((c.id, c.size) for c in two["clusters"].items) == [("c3", 1), ("c9", 1)]
    assert {v.item.id: v.cluster_id for v in two["feedback"].items} == {X.id: "c9", Y.id: "c3"}
    assert [c and c.id for c in two["by id"]] == [None, None, "c3", "c9", "c9"]
    assert two["clustering"] == (STATUS, (), CommandView("k1", "applied", "", NOW))
    of_c9 = {"merged", "merged_into", "restored", "split_off"}
    kinds = [{e.kind for e in history} for history in two["histories"]]
    assert kinds == [set(), set(), {"split_from"}, of_c9, of_c9]  # c8 is c9


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_any_interleaving_and_any_cut_end_the_same(redis_server: RedisServer, data: st.DataObject) -> None:
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()
        model = RedisReadModel(RedisAccess(redis_server.url))
        try:
            await run(model.writer, *TOPICS)
            expected = await whole(model)
            await redis.flushall()
            # Each topic keeps its own order; between them there is none. A part of a topic may come once more.
            queues = []
            for topic in TOPICS:
                again = data.draw(st.integers(0, len(topic)))
                queues.append([*topic[:again], *topic])
            batches: list[list[Record]] = [[]]
            while any(queues):
                queue = data.draw(st.sampled_from([q for q in queues if q]))
                if data.draw(st.booleans()):
                    batches.append([])
                batches[-1].append(queue.pop(0))
            await run(model.writer, *[batch for batch in batches if batch])
            assert await whole(model) == expected
        finally:
            await model.close()


async def test_an_item_shows_before_it_is_embedded(read_model: RedisReadModel) -> None:
    await run(read_model.writer, [items(ITEMS[0])])
    view = await read_model.feedback.get("p1", ITEMS[0].id)
    assert view is not None
    assert (view.item, view.cluster_id) == (ITEMS[0], None)
    assert (await read_model.projects.stats("p1")).unclustered == 1


@pytest.mark.parametrize(
    "topic", ["feedback.items", "cluster.events", "job.events", "job.logs", "job.documents", "control"]
)
@pytest.mark.parametrize("value", [b"", None, b"hello", b"\xff", b'{"schema_version":2}'])
async def test_poison_is_set_aside_and_the_others_pass(
    read_model: RedisReadModel, topic: str, value: bytes | None
) -> None:
    publisher = Flaky()
    poison = record(topic, value)
    await run(read_model.writer, [items(ITEMS[0]), poison, happened(assigned(ITEMS[0], "c1"))], publisher=publisher)
    view = await read_model.feedback.get("p1", ITEMS[0].id)
    assert view is not None
    assert view.cluster_id == "c1"
    assert [letter.value for letter in publisher.letters] == [value or b""]
    assert headers(publisher.letters[0])["topic"] == topic


async def test_documents_are_kept_and_a_forged_brief_is_set_aside(read_model: RedisReadModel) -> None:
    publisher = Flaky()
    forged = document("What the agent was given").model_copy(update={"text": "Something else"})
    other = record("job.documents", document("Another").to_bytes())
    await run(read_model.writer, [record("job.documents", forged.to_bytes()), other, other], publisher=publisher)
    assert await read_model.documents.get("p1", forged.document_id) is None
    assert await read_model.documents.get("p1", content_id("Another")) == document("Another").document()
    assert [letter.value for letter in publisher.letters] == [forged.to_bytes()]


class Away(RedisReadModelWriter):
    """A writer that is unavailable for three calls."""

    calls = 0

    async def put_items(self, project_id: str, items: Any) -> None:
        self.calls += 1
        if self.calls <= 3:
            raise RedisUnavailable
        await super().put_items(project_id, items)


async def test_it_waits_while_redis_is_away(redis_server: RedisServer, read_model: RedisReadModel) -> None:
    connection = RedisConnection(RedisAccess(redis_server.url))
    publisher, away = Flaky(), Away(connection, notices=False)
    try:
        await run(away, [items(ITEMS[0])], publisher=publisher)
    finally:
        await connection.close()
    assert publisher.sent == []
    assert await read_model.feedback.get("p1", ITEMS[0].id) is not None
