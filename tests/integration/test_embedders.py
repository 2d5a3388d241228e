"""A worker whose settings name another embedder than before, on projects of before and new ones."""

import json

import pytest

from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.ids import item_id
from soulcaster.ports.messaging import Outgoing
from soulcaster.processes.connections import open_publisher
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import STACK_FILE, Settings
from tests.integration.conftest import Program, settled

pytestmark = pytest.mark.integration


def raw(project_id: str, external_id: str, text: str) -> Outgoing:
    value = {"project_id": project_id, "source": "manual", "external_id": external_id, "body": text}
    return Outgoing("feedback.raw", project_id.encode(), json.dumps(value).encode())


async def embedders_of(settings: Settings, project_id: str, *external_ids: str) -> list[str]:
    """Return the name of the embedder by which each item found its cluster."""
    read_model = RedisReadModel(redis_access(settings))
    found = []
    for external_id in external_ids:
        view = await read_model.feedback.get(project_id, item_id(project_id, "manual", external_id))
        assert view is not None
        assert view.assignment is not None
        found.append(view.assignment.embedder.split("@")[0])
    await read_model.close()
    return found


async def test_a_project_keeps_its_embedder_and_a_new_one_gets_the_new(
    on_stack: Program, fresh_settings: Settings
) -> None:
    old, new = f"old-{fresh_settings.app_id}", f"new-{fresh_settings.app_id}"
    worker = on_stack.start("worker")
    async with open_publisher(fresh_settings) as publisher:
        await publisher.publish([raw(old, "1", "The export is broken"), raw(old, "2", "I love the new colours")])
        await settled(fresh_settings, old, 2)
        await worker.stop()
        small = fresh_settings.model_copy(update={"embedder": "small"}).model_dump(mode="json", exclude={"session_key"})
        stack_file = on_stack.data_dir / STACK_FILE
        stack_file.write_text(json.dumps({**json.loads(stack_file.read_text()), "settings": small}))
        on_stack.start("worker")
        await publisher.publish([raw(old, "3", "The export does not work"), raw(new, "1", "The export is broken")])
        await settled(fresh_settings, old, 3)
        await settled(fresh_settings, new, 1)
    assert await embedders_of(fresh_settings, old, "1", "2", "3") == ["minilm-static-256"] * 3
    assert await embedders_of(fresh_settings, new, "1") == ["bge-small-en-v1.5"]
