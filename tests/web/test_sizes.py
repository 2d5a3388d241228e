"""No answer is larger than 1 MB, whatever a project holds; what is longer has a cursor, or is a stream."""

import json
from collections.abc import Mapping

from aiohttp.test_utils import TestClient, TestServer

from soulcaster.domain.api_keys import KEPT_KEYS
from soulcaster.web.api import OPERATIONS
from soulcaster.web.pages import create_pages
from tests.support.crowded import LONGEST, MANY, crowd
from tests.support.make import uid
from tests.support.web import SESSION_KEY, Client, World

MOST_BYTES = 1024 * 1024
STREAMS = {"stream_live_updates", "/app/projects/{project_id}/jobs/{job_id}/log"}
"""Server-Sent Events: each event is bounded, and each queue (tests/services/test_live_updates.py)."""

IDS: Mapping[str, str] = {
    "project_id": "p1", "cluster_id": "c1", "job_id": "j1", "source": "source-1", "command_id": "k1", "user_id": uid(0),
    "theme_id": "t1",
}  # fmt: skip
ABSENT = {"get_command", "get_job_order"}
"""What the crowded project does not have: an outcome of a command, a launch."""


async def test_no_answer_is_larger_than_one_megabyte(world: World) -> None:
    await crowd(world)
    async with TestClient(TestServer(world.app())) as client:
        await world.sign_in.offer("link", "owner", seconds=60)
        assert (await client.get("/app/sign-in", params={"token": "link"})).status == 200
        await _walk(world, client)
        await _follow(client)


async def _walk(world: World, client: Client) -> None:
    [newest] = (await world.read_model.feedback.list("p1", limit=1, offset=0)).items
    ids = {**IDS, "item_id": newest.item.id}
    sizes: dict[str, int] = {}
    for operation in OPERATIONS:
        if operation.method == "GET" and operation.id not in STREAMS:
            for query in ("", "&limit=1000", "&q=e", "&limit=1000&source=manual"):
                answer = await client.get(f"{operation.path.format(**ids)}?project_id=p1{query}", allow_redirects=False)
                assert operation.id in ABSENT or answer.status in (200, 303), (operation.id, await answer.text())
                sizes[f"{operation.id}{query}"] = len(await answer.read())
    for path in _pages() - STREAMS:
        for query in ("", "?page=2", "?q=e"):
            answer = await client.get(path.format(**ids) + query, allow_redirects=False)
            assert answer.status in (200, 303, 422), (path, query)
            sizes[path + query] = len(await answer.read())
    too_large = {name: size for name, size in sizes.items() if size > MOST_BYTES}
    assert not too_large, json.dumps(too_large, indent=1)


def _pages() -> set[str]:
    routes = create_pages(SESSION_KEY, secure=False).router.routes()
    return {
        f"/app{route.resource.canonical}"
        for route in routes
        if route.method == "GET" and route.resource is not None and "sign-in" not in route.resource.canonical
    }


async def _follow(client: Client) -> None:
    """Read lists to their end, by their cursors: each entry comes once."""
    counts = {"/feedback": LONGEST + MANY + 10, "/keys": min(MANY, KEPT_KEYS), "/projects/p1/members": MANY}
    for path, count in counts.items():
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            params = {"project_id": "p1", "limit": "1000"} | ({"cursor": cursor} if cursor else {})
            answer = await client.get(path, params=params)
            body = await answer.json()
            found += [one.get("id") or one["user_id"] for one in (body["items"] if path == "/feedback" else body)]
            cursor = body["next_cursor"] if path == "/feedback" else answer.headers.get("X-Next-Cursor")
        assert len(found) == len(set(found)) == count, path
