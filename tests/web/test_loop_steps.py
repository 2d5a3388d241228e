"""No handler holds up the event loop, whatever a project has and whatever is sent to it."""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple
from urllib.parse import quote_plus

from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from soulcaster.adapters.github.sign_in import GitHubSignIn
from soulcaster.ports.sign_in import Entrance
from soulcaster.services.live_updates import MAX_SUBSCRIPTIONS
from soulcaster.web.api import OPERATIONS
from tests.support.answers import page
from tests.support.crowded import LAST_WORDS, crowd, lengthen
from tests.support.github_oauth import CLIENT_ID, CLIENT_SECRET, Account, GitHub
from tests.support.loop_steps import measured_steps, too_long
from tests.support.make import item, uid
from tests.support.web import Client, World
from tests.support.worst_bodies import LETTERS, bodies_of, forms_of

IDS: Mapping[str, str] = {
    "project_id": "p1", "cluster_id": "c1", "job_id": "j1", "source": "source-1", "user_id": uid(0), "session_id": "x",
    "theme_id": "t1",
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
    walked = [(f"{asked.method} {asked.path}: {asked.what}", _asking(client, asked)) for asked in requests]
    assert len(walked) >= 40
    await _measure(walked)


async def _measure(walked: Sequence[tuple[str, Callable[[], Awaitable[None]]]]) -> None:
    found: dict[str, str | None] = {}
    with measured_steps() as steps:
        for what, work in walked:
            found[what] = await too_long(steps, work)
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
    return await _form_token(client)


async def _form_token(client: Client) -> str:
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


ENDING = ("/app/sign-out", "/app/sessions/end-others", "/app/sessions/end-all", "/app/sessions/x/end")


async def test_no_form_that_ends_sessions_holds_up_the_loop(world: World, client: Client) -> None:
    """Each is sent in a session of its own; signing in is measured, too."""
    await _fill(world)
    paths = {_address(path) for path in _paths(client, "POST") if path.startswith("/app/")}
    assert {path for path in paths if not path.startswith("/app/projects/")} == set(ENDING)
    forms = list(forms_of(""))
    await _measure([(f"{path}: {form}", _ending(world, client, path, form)) for path in ENDING for form in forms])


def _ending(world: World, client: Client, path: str, form: str) -> Callable[[], Awaitable[None]]:
    async def end() -> None:
        body = forms_of(await _signed_in(world, client))[form]
        answer = await client.post(path, data=body, headers={"Content-Type": FORM}, allow_redirects=False)
        assert answer.status in (303, 404, 422), (path, answer.status)

    return end


async def test_signing_in_does_not_hold_up_the_loop(world: World) -> None:
    async with GitHub() as github:
        github.account = Account(name=LETTERS * 1_000)
        for n in range(99):
            github.account.email(f"{n}@e.example", primary=False)
        adapter = GitHubSignIn(CLIENT_ID, CLIENT_SECRET, url=github.url, api_url=f"{github.url}/api")
        app = world.app(entrance=Entrance(adapter, "anyone", None))
        async with TestClient(TestServer(app)) as client:

            async def by_github() -> None:
                away = await client.get("/app/sign-in/github", allow_redirects=False)
                back = await client.session.get(away.headers["Location"], allow_redirects=False)
                answer = await client.get(URL(back.headers["Location"]).path_qs, allow_redirects=False)
                assert answer.status == 303, await answer.text()

            long = "%F0%9F%98%80" * 600
            refused = [
                Asked("", "GET", f"{path}?{name}={long}")
                for path in ("/app/sign-in", "/app/sign-in/github", "/app/sign-in/github/callback")
                for name in ("token", "state", "code", "error")
            ]
            walked = [(asked.path[:60], _asking(client, asked)) for asked in refused]
            await _measure([*walked, ("GitHub", by_github)])


async def test_live_updates_do_not_hold_up_the_loop(world: World, client: Client) -> None:
    """As many streams as a caller may have; none is read while its project changes a hundred times."""

    async def follow() -> None:
        async with AsyncExitStack() as stack:
            opening = [client.get("/events?project_id=p1") for _ in range(MAX_SUBSCRIPTIONS)]
            streams = [await stack.enter_async_context(one) for one in opening]
            assert {stream.status for stream in streams} == {200}
            for n in range(100):
                await world.read_model.writer.put_items("p1", [item(f"{n} {many}", "p1") for many in range(20)])
            for stream in streams:
                while not (line := await stream.content.readline()).startswith((b"event: changed", b"event: reset")):
                    assert line

    await _measure([("GET /events", follow)])


def _forms(client: Client, token: str) -> Iterator[Asked]:
    for path in sorted(_paths(client, "POST")):
        if path.startswith("/app/projects/"):
            for what, body in forms_of(token).items():
                yield Asked(what, "POST", _address(path), body, FORM)
