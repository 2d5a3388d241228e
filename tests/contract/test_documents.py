"""Documents in the read model: written once, read by their id, the newest plan of a cluster."""

from dataclasses import replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.events import ClusterMerged
from soulcaster.domain.fixes.document import Document, content_id
from tests.conftest import RedisServer
from tests.support.make import NOW

TEXT = 'Größe 😀\n[begin item 1 abc]\n"quoted" \\ end\n'
BRIEF = Document(content_id(TEXT), "p1", "c1", "brief", TEXT, NOW, ("i1", "i2"))


def plan(name: str, cluster: str = "c1") -> Document:
    return Document(name, "p1", cluster, "plan", f"The plan {name}", NOW)


async def test_a_document_is_read_as_it_was_written(read_model: RedisReadModel) -> None:
    assert await read_model.documents.get("p1", BRIEF.id) is None
    await read_model.writer.put_documents([])
    await read_model.writer.put_documents([BRIEF, plan("plan 1")])
    assert await read_model.documents.get("p1", BRIEF.id) == BRIEF
    assert await read_model.documents.get("p1", "plan 1") == plan("plan 1")


async def test_a_document_stays_what_it_was(read_model: RedisReadModel) -> None:
    await read_model.writer.put_documents([BRIEF])
    await read_model.writer.put_documents([replace(BRIEF, text="something else", at=NOW + timedelta(days=1))])
    assert await read_model.documents.get("p1", BRIEF.id) == BRIEF


async def test_a_document_is_its_projects_alone(read_model: RedisReadModel) -> None:
    await read_model.writer.put_documents([BRIEF, plan("plan 1")])
    assert await read_model.documents.get("p2", BRIEF.id) is None
    assert await read_model.documents.newest_plan("p2", "c1") is None


async def test_the_last_plan_is_the_newest_of_its_cluster(read_model: RedisReadModel) -> None:
    await read_model.writer.put_documents([plan("plan 1"), plan("other", "c2")])
    await read_model.writer.put_documents([plan("plan 2"), BRIEF])
    assert await read_model.documents.newest_plan("p1", "c1") == plan("plan 2")
    assert await read_model.documents.newest_plan("p1", "c2") == plan("other", "c2")
    assert await read_model.documents.newest_plan("p1", "c3") is None


async def test_the_id_of_a_merged_cluster_gives_the_plan_of_the_other(read_model: RedisReadModel) -> None:
    await read_model.writer.put_documents([plan("plan 1")])
    await read_model.writer.apply("p1", [ClusterMerged("c2", "c1", "person", "same", 1)])
    assert await read_model.documents.newest_plan("p1", "c2") == plan("plan 1")


@pytest.mark.parametrize("redis_url", ["redis"], indirect=True)
async def test_a_rebuild_begins_without_documents(read_model: RedisReadModel, redis_server: RedisServer) -> None:
    await read_model.writer.put_documents([BRIEF, plan("plan 1")])
    await read_model.writer.clear()
    async with Redis.from_url(redis_server.url) as redis:
        assert await redis.exists(keys.document("p1", BRIEF.id), keys.cluster_plan("p1", "c1")) == 0
