import pytest

from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.events import ItemAssigned
from soulcaster.errors import NotFound
from soulcaster.services import export
from soulcaster.services.export import ExportedItem, export_items
from tests.support.make import NOW, item


async def test_an_item_is_exported_with_its_ids_its_cluster_and_its_title(read_model: RedisReadModel) -> None:
    clustered, waiting = item("K-1", minutes=1), item("K-2", title="It is slow")
    await read_model.writer.put_items("p1", [clustered, waiting])
    assigned = ItemAssigned(clustered.id, NOW, "c1", change="joined", score=0.9, threshold=0.5)
    await read_model.writer.apply("p1", [assigned])
    assert [one async for one in export_items(read_model, "p1")] == [
        ExportedItem(clustered.id, "K-1", "c1", "My card is late"),
        ExportedItem(waiting.id, "K-2", None, "It is slow"),
    ]


async def test_items_that_arrive_meanwhile_repeat_and_hide_none(
    read_model: RedisReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE_ITEMS", 2)
    await read_model.writer.put_items("p1", [item(n, minutes=-n) for n in range(5)])
    exported: list[str] = []
    async for one in export_items(read_model, "p1"):
        await read_model.writer.put_items("p1", [item(f"new {len(exported)}", minutes=len(exported) + 1)])
        exported.append(one.external_id)
    assert exported == ["0", "1", "2", "3", "4"]


async def test_a_project_that_is_unknown_is_not_found(read_model: RedisReadModel) -> None:
    with pytest.raises(NotFound, match="no project 'p2'"):
        _ = [one async for one in export_items(read_model, "p2")]
