"""Which projects messages may make, with the projects that Redis has."""

import pytest

from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.errors import Conflict
from soulcaster.services.project_limit import ProjectLimit
from soulcaster.services.source_limit import SourceLimit
from tests.conftest import RedisServer
from tests.support import make


async def test_projects_that_exist_always_pass(read_model: RedisReadModel) -> None:
    for project in ("a", "b"):
        await read_model.writer.put_items(project, [make.item("1", project=project)])
    limit = ProjectLimit(read_model.projects, 3)
    assert await limit.beyond(["c", "a", "d"]) == {"d"}
    assert await limit.beyond(["d", "e", "c", "b"]) == {"d", "e"}  # "c" is on its way
    await read_model.writer.put_items("c", [make.item("1", project="c")])
    assert await limit.beyond(["c", "d"]) == {"d"}
    await read_model.writer.put_items("d", [make.item("1", project="d")])  # as when somebody creates it
    assert await limit.beyond(["c", "d", "e"]) == {"e"}
    assert await ProjectLimit(read_model.projects, 5).beyond(["e", "f"]) == {"f"}


async def test_what_is_only_checked_makes_no_project(read_model: RedisReadModel) -> None:
    await read_model.writer.put_items("a", [make.item("1", project="a")])
    limit = ProjectLimit(read_model.projects, 2)
    await limit.check(["a", "b"])
    await limit.check(["c"])
    with pytest.raises(Conflict, match=r"'c' is refused.*SOULCASTER_PROJECTS_FROM_FEEDBACK"):
        await limit.check(["b", "a", "c"])


async def test_a_project_passes_while_nobody_can_tell(redis_to_break: RedisServer) -> None:
    model = RedisReadModel(RedisAccess(redis_to_break.url))
    redis_to_break.kill()
    await ProjectLimit(model.projects, 1).check(["a", "b"])
    await model.close()


async def test_sources_that_exist_always_pass(read_model: RedisReadModel) -> None:
    await read_model.writer.put_items("p1", [make.item("1", source="one")])
    limit = SourceLimit(read_model.sources, 2)
    assert await limit.beyond("p1", ["three", "one", "two", "github"]) == {"two"}
    assert await limit.beyond("p1", ["three", "one", "two"]) == {"two"}
    assert await limit.beyond("p2", ["two"]) == set()
