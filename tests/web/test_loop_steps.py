"""No handler holds up the event loop, whatever a project has and whatever is sent to it."""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import quote_plus

from soulcaster.web.api import OPERATIONS
from tests.support.answers import page
from tests.support.crowded import LAST_WORDS, crowd, lengthen
from tests.support.loop_steps import measured_steps, too_long
from tests.support.make import uid
from tests.support.web import Client, World
from tests.support.worst_bodies import bodies_of, forms_of

IDS: Mapping[str, str] = {
    "project_id": "p1", "cluster_id": "c1", "job_id": "j1", "source": "source-1", "user_id": uid(0),
}  # fmt: skip
QUERIES = ("", "limit=1000", f"q={quote_plus(LAST_WORDS)}", "q=no-such", "limit=1000&source=manual", "offset=500")
LONG = ("/clusters", "/feedback", "/jobs", "/app/projects/long")
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


class Asked(NamedTuple):
    """A request and what is bad about it."""

    what: str
    method: str
    path: str
    body: bytes | None = None
    content_type: str = JSON


async def _walk(client: Client, requests: Iterator[Asked]) -> None:
    found: dict[str, str | None] = {}
    with measured_steps() as steps:
        for asked in requests:
            found[f"{asked.method} {asked.path}: {asked.what}"] = await too_long(steps, _asking(client, asked))
    assert len(found) >= 40
    assert not any(found.values()), "\n".join(f"{what}: {fault}" for what, fault in found.items() if fault)


def _asking(client: Client, asked: Asked) -> Callable[[], Awaitable[None]]:
    async def ask() -> None:
        headers = {} if asked.body is None else {"Content-Type": asked.content_type}
        request = client.request(asked.method, asked.path, data=asked.body, headers=headers, allow_redirects=False)
        async with request as answer:
            if answer.content_type == "text/event-stream":
                await answer.content.readany()
                answer.close()
            else:
                await answer.read()
            assert answer.status not in (500, 503), asked

    return ask


def _address(path: str) -> str:
    return re.sub(r"{(\w+)}", lambda name: IDS.get(name[1], "x"), path)


def _paths(client: Client, method: str) -> set[str]:
    routes = client.app.router.routes()
    return {route.resource.canonical for route in routes if route.method == method and route.resource is not None}


async def _signed_in(world: World, client: Client) -> str:
    """Sign the owner in; return the token of the forms."""
    await world.sign_in.offer("link", "owner", seconds=60)
    assert (await client.get("/app/sign-in", params={"token": "link"})).status == 200
    found = re.search(r'name="csrf_token" value="([^"]+)"', await page(await client.get("/app/projects")))
    assert found
    return found[1]


async def test_no_answer_holds_up_the_loop(world: World, client: Client) -> None:
    await crowd(world)
    await lengthen(world, "long")
    await _signed_in(world, client)
    await _walk(client, _answers(client))


def _answers(client: Client) -> Iterator[Asked]:
    for path in sorted(_paths(client, "GET")):
        if path != "/events" and "sign-in" not in path:
            for query in QUERIES:
                yield Asked("", "GET", f"{_address(path)}?project_id=p1&{query}")
    for path in LONG:
        for query in (*QUERIES, "status=new&source=source-000000000000000000000000000001"):
            yield Asked("", "GET", f"{path}?project_id=long&{query}")


async def test_no_body_holds_up_the_loop(world: World, client: Client) -> None:
    await _fill(world)
    await _walk(client, _bodies())


async def _fill(world: World) -> None:
    await world.fill()
    await world.fix("j1", "running")
    world.publisher.outcome = "applied"


def _bodies() -> Iterator[Asked]:
    for one in OPERATIONS:
        if one.body is not None or one.signed is not None:
            for what, body in bodies_of(one.body).items():
                yield Asked(what, one.method, f"{_address(one.path)}?project_id=p1&wait=0", body)


async def test_no_form_holds_up_the_loop(world: World, client: Client) -> None:
    await _fill(world)
    token = await _signed_in(world, client)
    await _walk(client, _forms(client, token))


def _forms(client: Client, token: str) -> Iterator[Asked]:
    for path in sorted(_paths(client, "POST")):
        if path.startswith("/app/projects/"):
            for what, body in forms_of(token).items():
                yield Asked(what, "POST", _address(path), body, FORM)
