"""From a vendor to the clusters in Redis and on the page, by the program's own processes, which are killed on the way.

The vendors are servers on loopback. What becomes of each of their answers, and of a cut at each place, is in
tests/pollers and tests/web.
"""

import asyncio
import html
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest
import pytest_asyncio
from cryptography.fernet import Fernet
from yarl import URL

from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.adapters.redis.sign_in_tokens import RedisSignIn
from soulcaster.dev.child import Child
from soulcaster.dev.loopback import free_port
from soulcaster.dev.stack import Stack
from soulcaster.domain.ids import item_id
from soulcaster.domain.source_state import Position
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import Settings
from tests.integration.conftest import Program, fresh, project_of, ready, settled
from tests.support.captured import load
from tests.support.github_issues import GitHub
from tests.support.recount import assert_nothing_lost, from_redis
from tests.support.reddit_server import HANGS, Fault, Post, Reddit, post
from tests.support.webhooks import HEADER, SECRET, signature

pytestmark = pytest.mark.integration

T = TypeVar("T")

SUBREDDIT = "my_app"
SAID = ("The export of my orders is broken", "I cannot sign in any more", "The new colours hurt my eyes")
ISSUES = 1000
WEBHOOKS = 20


@dataclass(frozen=True)
class Running:
    """A web server and a worker, which tests may end: the next test starts them again."""

    settings: Settings
    program: Program
    web: Child
    worker: Child

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    @asynccontextmanager
    async def http(self, **more: Any) -> AsyncIterator[aiohttp.ClientSession]:
        """Return a session with the web server, once that is ready; keys are not needed there."""
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(self.url, cookie_jar=jar, **more) as http:
            await ready(http)
            yield http


@pytest.fixture(scope="module")
def for_all(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    github = {"github_api_url": f"http://127.0.0.1:{free_port()}"}
    settings = asyncio.run(fresh(stack)).model_copy(update=github)
    program = Program(tmp_path_factory.mktemp("sources") / "data")
    program.beside(settings)
    key = Fernet.generate_key().decode()
    web, worker = (
        program.start(command, SOULCASTER_SESSION_KEY=key, SOULCASTER_SECRETS_KEY=key) for command in ("web", "worker")
    )
    yield Running(settings, program, web, worker)
    for child in (web, worker):
        asyncio.run(child.stop())


@pytest_asyncio.fixture
async def running(for_all: Running) -> Running:
    for child in (for_all.web, for_all.worker):
        child.start()
    return for_all


async def becomes(ask: Callable[[], Awaitable[T]], wanted: T, seconds: float = 60) -> None:
    """Return once it is so; else fail by what it is then."""
    deadline = time.monotonic() + seconds
    while (found := await ask()) != wanted and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert found == wanted


async def feedback(http: aiohttp.ClientSession, project_id: str) -> dict[str, dict[str, Any]]:
    """Return every item of a project by its external id."""
    async with http.get("/feedback", params={"project_id": project_id, "limit": 1000}) as answer:
        listed = await answer.json()
    assert listed["total"] == len(listed["items"])
    return {item["external_id"]: item for item in listed["items"]}


# ---- Reddit ----------------------------------------------------------------------------------------------------------


def said(number: int) -> Post:
    return post(number, SAID[number % len(SAID)])


async def test_reddit_from_the_poller_to_the_page(running: Running, tmp_path: Path) -> None:
    scopes = ("--scope", "ingest", "--scope", "poll", "--scope", "read", "--scope", "write")
    key = running.program("keys", "create", "--project", "Reddit's", "--name", "poller", *scopes).stdout.strip()
    elsewhere = Program(tmp_path / "elsewhere")  # where nothing is known of Kafka and Redis
    async with Reddit() as reddit, running.http() as http:
        async with running.http(headers={"Authorization": f"Bearer {key}"}) as with_key:
            project_id = await project_of(with_key)
        here = {"project_id": project_id}
        reddit.add(SUBREDDIT, *map(said, range(1, 151)))

        def poll(way: str) -> Child:
            environment = reddit.environment(way=way)
            return elsewhere.start("poll", "reddit", BACKEND_URL=running.url, SOULCASTER_API_KEY=key, **environment)

        def edit(number: int) -> None:
            found = next(one for one in reddit.posts[SUBREDDIT] if one.id == post(number).id)
            found.text += ". I have tried it again."

        async def stands() -> dict[str, Any]:
            async with http.get("/sources/reddit/cursor", params=here) as answer:
                found: dict[str, Any] = await answer.json()
                return found

        async def fails_by(words: str) -> bool:
            found = await stands()
            return found["status"] == "failing" and words in found["last_error"]

        async def status_and_cursor() -> Any:
            found = await stands()
            return found["status"], found["cursor"]

        def well_at(number: int) -> Any:
            return "ok", {"newest": {SUBREDDIT: [post(number).id, post(number).created]}}

        async def to_come() -> int:
            return len(reddit.faults)

        body = {"subreddits": [SUBREDDIT], "sorts": ["new"], "interval_seconds": 86_400}
        async with http.post("/config/reddit/subreddits", params=here, json=body) as answer:
            assert answer.status < 300, await answer.text()

        poller = poll("Atom")
        await settled(running.settings, project_id, reddit.page_posts["feed"])
        await poller.kill()
        edit(150)

        reddit.faults = [Fault(429, {"Retry-After": "1"}), None, HANGS]
        poller = poll("OAuth")
        await becomes(lambda: fails_by("429"), wanted=True)
        await settled(running.settings, project_id, reddit.page_posts["json"])
        await becomes(to_come, 0)
        await poller.kill()
        assert (await stands())["cursor"] == {"newest": {}}, "in the middle of a reading"

        reddit.faults = [None, HANGS]
        poller = poll("OAuth")
        await becomes(lambda: fails_by("in time"), wanted=True)
        edit(140)
        reddit.add(SUBREDDIT, *map(said, range(151, 156)))
        await becomes(status_and_cursor, well_at(150))
        async with http.post("/reddit/poll", params=here) as answer:
            assert answer.status < 300, await answer.text()
        await becomes(status_and_cursor, well_at(155))
        await poller.stop()
        assert "Traceback" not in "".join(child.log.read_text() for child in elsewhere.children)

        posts = {one.id: one for one in reddit.posts[SUBREDDIT]}
        ids = {item_id(project_id, "reddit", external_id) for external_id in posts}
        await settled(running.settings, project_id, len(posts))
        await assert_nothing_lost(running.settings, project_id, ids)
        items = await feedback(http, project_id)
        assert {name: item["body"] for name, item in items.items()} == {name: one.text for name, one in posts.items()}
        assert {item["metadata"]["score"] for item in items.values()} == {1}, "the feed has none"
        shown = await from_redis(running.settings, project_id)
        assert len(shown.sizes) < len(posts) / 10
        assert await on_the_pages(http, running.settings, project_id) == shown.members


async def on_the_pages(http: aiohttp.ClientSession, settings: Settings, project_id: str) -> dict[str, str]:
    """Sign in, and return in which cluster each item is shown, by every page of every cluster of a project."""
    sign_in = RedisSignIn(redis_access(settings))
    await sign_in.offer("let-me-in", "owner", seconds=60)
    await sign_in.close()

    async def page(path: str) -> tuple[str, str | None]:
        """Return a page, and the path of the next one."""
        async with http.get(path) as answer:
            text = await answer.text()
            assert answer.status == 200, text
        following = re.search(r'rel="next" href="([^"]+)"', text)
        return text, following and str(URL(path).join(URL(html.unescape(following[1]))))

    await page("/app/sign-in?token=let-me-in")
    clusters, following = await page(f"/app/projects/{project_id}")
    assert following is None
    shown: dict[str, str] = {}
    for cluster_id in re.findall(rf'<h3><a href="/app/projects/{project_id}/clusters/([^"]+)">', clusters):
        path: str | None = f"/app/projects/{project_id}/clusters/{cluster_id}"
        while path is not None:
            text, path = await page(path)
            for found in re.findall(r'name="item_ids" value="([^"]+)"', text):
                assert found not in shown, "shown twice"
                shown[found] = cluster_id
    return shown


# ---- GitHub ----------------------------------------------------------------------------------------------------------


async def test_a_thousand_issues_synced_by_a_web_server_that_is_killed(running: Running) -> None:
    project_id = f"issues-{running.settings.app_id}"
    here = {"project_id": project_id}
    read_model = RedisReadModel(redis_access(running.settings))
    hub = GitHub(port=URL(running.settings.github_api_url).port, now=datetime.now(UTC) - timedelta(hours=1))

    def kill() -> None:
        os.kill(running.web.pid, signal.SIGKILL)

    page_of_kill: dict[int, Callable[[], object]] = {
        3: kill,
        6: kill,  # while it waits for a page
        9: lambda: asyncio.get_running_loop().call_later(0.05, kill),  # while it posts one
    }

    def people_go_on() -> None:
        page = len(hub.calls)
        hub.now = max(hub.now, datetime.now(UTC))
        hub.put(page * 97 % ISSUES, title=f"Edited while page {page} was read", after=timedelta(seconds=1))
        hub.put((page * 61 + 5) % ISSUES, state="closed")
        hub.put((max(0, page - 2) * 61 + 5) % ISSUES, state="open")
        if page in page_of_kill:
            page_of_kill.pop(page)()

    async def position() -> Position | None:
        state = await read_model.sources.repository(project_id, "acme/shop")
        return None if state is None else state.position

    async def sync() -> dict[str, Any] | None:
        """Return what came of it, None where the server was killed meanwhile."""
        try:
            async with (
                running.http() as http,
                http.post("/ingest/github/sync/acme/shop", params=here, headers={"X-GitHub-Token": "any"}) as answer,
            ):
                assert answer.status == 200, await answer.text()
                body: dict[str, Any] = await answer.json()
                return body
        except aiohttp.ClientError:
            return None

    async def killed() -> None:
        assert await running.web.wait() == -signal.SIGKILL
        running.web.start()

    async def has_since() -> bool:
        found = await position()
        return found is not None and found.since is not None

    async def has_etag() -> bool:
        await sync()  # until the newest change is no longer ahead of our clock, there is none to keep
        found = await position()
        return found is not None and found.etag is not None

    async with hub:
        for number in range(ISSUES):
            hub.put(number)
        hub.before_each = people_go_on
        went_on: list[int] = []
        while (body := await sync()) is None:
            await killed()
            await becomes(has_since, wanted=True)
            went_on.append(len(hub.calls))
        assert body["complete"]
        assert len(went_on) == 3
        assert all("since" in hub.calls[call].query for call in went_on), "it goes on where it was"
        hub.before_each = lambda: None
        await sync()  # the second reads what changed while the first read

        async with running.http() as http:

            async def shown() -> dict[int, tuple[str, str]]:
                items = (await feedback(http, project_id)).values()
                return {one["metadata"]["number"]: (one["title"], one["metadata"]["state"]) for one in items}

            await becomes(shown, {n: (issue["title"], issue["state"]) for n, issue in hub.issues.items()})
        ids = {item_id(project_id, "github", str(issue["id"])) for issue in hub.issues.values()}
        await assert_nothing_lost(running.settings, project_id, ids)

        body = await sync()
        assert body is not None
        assert (body["new"], body["updated"], body["complete"]) == (0, 0, True)
        await becomes(has_etag, wanted=True)
        kill()
        await killed()
        calls = len(hub.calls)
        body = await sync()
        assert body is not None
        assert (body["total"], body["complete"], hub.statuses[calls:]) == (0, True, [304])
    await read_model.close()


# ---- webhooks --------------------------------------------------------------------------------------------------------


async def test_webhooks_are_taken_while_no_worker_runs(running: Running) -> None:
    project_id = f"hooks-{running.settings.app_id}"
    here = {"project_id": project_id}
    async with running.http() as http:
        for source in HEADER:
            async with http.post("/webhook-secrets", params=here, json={"source": source, "secret": SECRET}) as answer:
                assert answer.status == 201, await answer.text()

        async def standing() -> int:
            async with http.get("/webhook-secrets", params=here) as answer:
                return len(await answer.json())

        await becomes(standing, len(HEADER))
        await running.worker.stop()

        async def deliver(source: str, name: str, part: str, **fields: Any) -> None:
            captured = load(source, name)
            data = captured.payload.get("data", captured.payload)
            data[part] |= fields
            body = json.dumps(captured.payload).encode()
            headers = {"Content-Type": "application/json", **captured.headers, HEADER[source]: signature(source, body)}
            async with http.post(f"/ingest/{source}", params=here, data=body, headers=headers) as answer:
                assert answer.status == 202, await answer.text()

        issues = range(1, WEBHOOKS + 1)
        for n in issues:
            for _ in range(2):  # delivered again
                await deliver("sentry", "issue_created", "issue", id=f"{n}", title=f"KeyError: 'field {n}'")
                await deliver("github", "issue_opened", "issue", id=1000 + n, title=f"Button {n} is gone")
            await deliver("sentry", "error_created", "error", issue_id=f"{n}", event_id=f"{n:032x}")
            await deliver("github", "issue_closed", "issue", id=1000 + n, title=f"Button {n} is gone, too")
        assert await feedback(http, project_id) == {}

        running.worker.start()
        await settled(running.settings, project_id, 2 * WEBHOOKS)
        ids = {item_id(project_id, "sentry", f"{n}") for n in issues}
        ids |= {item_id(project_id, "github", f"{1000 + n}") for n in issues}
        await assert_nothing_lost(running.settings, project_id, ids)
        listed = await feedback(http, project_id)
        assert all(listed[f"{1000 + n}"]["title"] == f"Button {n} is gone, too" for n in issues)
        assert all(listed[f"{n}"]["occurrences"] == 1 for n in issues)
