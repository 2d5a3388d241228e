"""The newest plan of a cluster, as the read model finds it."""

from datetime import timedelta

from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.events import ClusterMerged
from soulcaster.domain.fixes.document import Document, content_id
from soulcaster.domain.fixes.plan import Plan, PlannedFix, new_plan
from tests.support.make import NOW


def plan(title: str, cluster: str = "c1", project: str = "p1", *, minutes: int = 0) -> Plan:
    planned = PlannedFix(title, "Find where it waits.")
    return new_plan(project, cluster, planned, by="kim", at=NOW + timedelta(minutes=minutes))


async def test_the_newest_in_the_log_counts_and_the_others_stay(read_model: RedisReadModel) -> None:
    assert await read_model.documents.newest_plan("p1", "c1") is None
    first, second, brief = plan("One"), plan("Two", minutes=1), "# Brief"
    documents = [first.document(), second.document(), Document(content_id(brief), "p1", "c1", "brief", brief, NOW)]
    await read_model.writer.put_documents(documents)
    found = await read_model.documents.newest_plan("p1", "c1")
    assert found is not None
    assert Plan.of(found) == second
    stored = await read_model.documents.get("p1", first.id)
    assert stored is not None
    assert Plan.of(stored) == first
    await read_model.writer.put_documents([plan("One", minutes=2).document()])
    assert await read_model.documents.newest_plan("p1", "c1") == first.document(), "it is stored once"


async def test_a_plan_is_of_its_project_and_its_cluster(read_model: RedisReadModel) -> None:
    await read_model.writer.put_documents([plan("One", "c1").document(), plan("Two", "c2", "p2").document()])
    for project, cluster in (("p1", "c2"), ("p2", "c1"), ("p3", "c1")):
        assert await read_model.documents.newest_plan(project, cluster) is None
    assert await read_model.documents.get("p2", plan("One").id) is None


async def test_an_alias_has_the_plan_of_what_it_was_merged_into(read_model: RedisReadModel) -> None:
    await read_model.writer.put_documents([plan("One", "c1").document(), plan("Two", "c2").document()])
    await read_model.writer.apply("p1", [ClusterMerged("c2", "c1", "person", "same", 1)])
    for cluster in ("c1", "c2"):
        assert await read_model.documents.newest_plan("p1", cluster) == plan("One").document()


async def test_a_rebuild_finds_the_same_plan(read_model: RedisReadModel) -> None:
    documents = [plan("One").document(), plan("Two").document()]
    await read_model.writer.put_documents(documents)
    await read_model.writer.clear()
    assert await read_model.documents.newest_plan("p1", "c1") is None
    for document in documents:
        await read_model.writer.put_documents([document])
    assert await read_model.documents.newest_plan("p1", "c1") == documents[1]
