"""The Reddit poller between a Reddit and our API, both over HTTP, with a clock that the test sets."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import stamina
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs
from yarl import URL

from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.ids import item_id
from soulcaster.errors import ApiRefuses, KafkaUnavailable
from soulcaster.pollers.api_client import ApiClient
from soulcaster.pollers.reddit import BLOCKED_SECONDS, RedditPoller
from soulcaster.pollers.reddit_client import RedditClient
from soulcaster.ports.messaging import Outgoing, Record
from soulcaster.ports.projects import Project
from soulcaster.processes.poller import reddit_config
from soulcaster.services.intake import read
from soulcaster.wire.feedback import ItemsEnvelope
from soulcaster.wire.project_config import RedditPolling
from soulcaster.wire.topics import FEEDBACK_RAW
from tests.pollers.conftest import Turned
from tests.support.make import NOW, NOW_MS
from tests.support.reddit_server import CLIENT_SECRET, HANGS, Fault, Reddit, post
from tests.support.web import Worker, World
from tests.web.conftest import world as world

INTERVAL = 300
NOTHING = RedditPolling((), ("new",), INTERVAL)


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=5):
        yield


class Away(Worker):
    """A Kafka that fails to acknowledge feedback `times` times."""

    times = 0

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        if self.times and messages[0].topic == FEEDBACK_RAW.name:
            self.times -= 1
            raise KafkaUnavailable
        await super().publish(messages)


class Setting:
    """A Reddit, our API, and pollers between them."""

    def __init__(self, world: World, reddit: Reddit, clock: Turned, stack: AsyncExitStack) -> None:
        self.world = world
        self.reddit = reddit
        self.clock = clock
        self._stack = stack
        self.kafka = world.publisher = Away(world.read_model)
        self.api = URL()

    async def serve(self, **more: Any) -> None:
        server = TestServer(self.world.app(**more), host="127.0.0.1")
        self._stack.push_async_callback(server.close)
        await server.start_server(shutdown_timeout=0.1)
        self.api = server.make_url("")

    async def ask(self, method: str, path: str, project: str = "p1", body: Any = None) -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.api.with_path(path).with_query(project_id=project), json=body) as answer,
        ):
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def configure(self, *subreddits: str, project: str = "p1", **more: Any) -> None:
        await self.world.read_model.writer.put_project(Project(project, project, NOW))
        body = {"subreddits": subreddits, "sorts": ["new"], "interval_seconds": INTERVAL, **more}
        await self.ask("POST", "/config/reddit/subreddits", project, body)

    async def poller(self, *, way: str = "JSON", key: str = "", seconds: float = 15.0) -> RedditPoller:
        """Return a newly started poller."""
        ours, theirs = aiohttp.ClientSession(), aiohttp.ClientSession()
        for session in (ours, theirs):
            self._stack.push_async_callback(session.close)
        reddit = RedditClient(theirs, reddit_config(self.reddit.settings(way=way)), clock=self.clock, seconds=seconds)
        poller = RedditPoller(
            ApiClient(ours, self.api, key), reddit, clock=self.clock, now=lambda: NOW, chance=lambda: 1.0
        )
        await poller.look()
        return poller

    async def settle(self, poller: RedditPoller) -> None:
        """Let the poller work until it has nothing to do for a minute."""
        wait = await poller.step()
        while wait is not None and wait < 60:
            self.clock.at += wait
            wait = await poller.step()

    async def state(self, project: str = "p1") -> dict[str, Any]:
        found: dict[str, Any] = await self.ask("GET", "/sources/reddit/cursor", project)
        return found

    @property
    def posted(self) -> list[FeedbackItem]:
        records = [
            Record(m.topic, 0, 0, NOW_MS, m.key, m.value) for m in self.kafka.sent if m.topic == FEEDBACK_RAW.name
        ]
        found = [read(record) for record in records]
        assert not [contents.refused for contents in found if contents.refused]
        return [one.item for contents in found for one in contents.items]

    @property
    def deleted(self) -> list[str]:
        envelopes = [ItemsEnvelope.model_validate_json(m.value) for m in self.kafka.sent if m.topic == "feedback.items"]
        return [one.id for envelope in envelopes for one in envelope.deleted]

    def ids(self, project: str = "p1") -> list[str]:
        return [item.external_id for item in self.posted if item.project_id == project]


@pytest.fixture
async def setting(world: World, reddit: Reddit, clock: Turned) -> AsyncIterator[Setting]:
    async with AsyncExitStack() as stack:
        made = Setting(world, reddit, clock, stack)
        await made.serve()
        yield made


def names(first: int, last: int) -> set[str]:
    return {f"p{number:05d}" for number in range(first, last + 1)}


def add(reddit: Reddit, first: int, last: int, subreddit: str = "python") -> None:
    reddit.add(subreddit, *(post(number) for number in range(first, last + 1)))


@pytest.mark.parametrize("way", ["OAuth", "JSON", "Atom"])
async def test_from_a_listing_to_feedback_raw(setting: Setting, way: str) -> None:
    add(setting.reddit, 1, 60)
    await setting.configure("Python")
    await setting.settle(await setting.poller(way=way))
    assert sorted(setting.ids()) == sorted(names(1, 60))
    item = next(item for item in setting.posted if item.external_id == "p00007")
    assert item.id == item_id("p1", "reddit", "p00007")
    assert (item.title, item.author) == ("Question 7", "kim")
    assert item.created_at.timestamp() == post(7).created
    assert item.metadata["subreddit"] == "python"
    assert item.metadata["score"] == (0 if way == "Atom" else 1)
    state = await setting.state()
    assert (state["status"], state["last_error"]) == ("ok", None)
    assert state["cursor"] == {"newest": {"python": ["p00060", post(60).created]}}


async def test_it_asks_again_after_the_interval(setting: Setting) -> None:
    add(setting.reddit, 1, 3)
    await setting.configure("python")
    poller = await setting.poller()
    await setting.settle(poller)
    add(setting.reddit, 4, 5)
    setting.clock.at += INTERVAL - 2
    assert await poller.step() == pytest.approx(2)
    assert len(setting.reddit.asked) == 1
    setting.clock.at += 2
    await setting.settle(poller)
    assert Counter(setting.ids()) == Counter(names(1, 5)), "each of them once"


async def test_what_has_not_changed_is_not_posted_again(setting: Setting) -> None:
    setting.reddit.has_etags = True
    add(setting.reddit, 1, 3)
    await setting.configure("python")
    poller = await setting.poller()
    for _ in range(3):
        await setting.settle(poller)
        setting.clock.at += INTERVAL
    assert len(setting.reddit.asked) == 3
    assert Counter(setting.ids()) == Counter(names(1, 3))


async def test_hot_and_top_are_looked_at_from_the_top(setting: Setting) -> None:
    add(setting.reddit, 1, 150)
    await setting.configure("python", sorts=["hot", "top"])
    poller = await setting.poller()
    await setting.settle(poller)
    first = setting.ids()
    assert Counter(first) == Counter([*names(1, 100), *names(1, 100)])
    setting.reddit.posts["python"][0].score = 99
    setting.clock.at += INTERVAL
    await setting.settle(poller)
    assert setting.ids()[len(first) :] == ["p00150", "p00150"]


# ---- stopped, and started again --------------------------------------------------------------------------------------


async def test_started_anew_in_the_middle_of_a_reading_nothing_is_missed(setting: Setting) -> None:
    add(setting.reddit, 1, 250)
    await setting.configure("python")
    stopped = await setting.poller()
    for _ in range(2):
        setting.clock.at += await stopped.step() or 0
    assert set(setting.ids()) == names(51, 250)
    assert (await setting.state())["cursor"]["newest"] == {}, "it moves at the end of a reading"
    await setting.settle(await setting.poller())
    assert set(setting.ids()) == names(1, 250)
    assert len({item.id for item in setting.posted}) == 250


async def test_started_anew_it_goes_on_where_it_was(setting: Setting) -> None:
    add(setting.reddit, 1, 450)
    await setting.configure("python")
    await setting.settle(await setting.poller())
    add(setting.reddit, 451, 600)
    setting.reddit.asked.clear()
    before = len(setting.posted)
    await setting.settle(await setting.poller())
    assert setting.reddit.paths == [
        "/mirror/r/python/new.json?limit=100",
        "/mirror/r/python/new.json?limit=100&after=t3_p00501",
    ]
    assert set(setting.ids()[before:]) == names(450, 600), "the newest that was known may be of the same second"


async def test_the_post_that_was_the_newest_is_deleted_meanwhile(setting: Setting) -> None:
    add(setting.reddit, 1, 450)
    await setting.configure("python")
    await setting.settle(await setting.poller())
    del setting.reddit.posts["python"][:3]
    add(setting.reddit, 451, 600)
    setting.reddit.asked.clear()
    await setting.settle(await setting.poller())
    assert set(setting.ids()) == names(1, 600)
    assert len(setting.reddit.asked) == 2, "it did not look for it to the listing's end"


async def test_a_cursor_that_is_none_of_ours_is_not_gone_by(setting: Setting) -> None:
    add(setting.reddit, 1, 3)
    await setting.configure("python")
    await setting.ask("PUT", "/sources/reddit/cursor", body={"cursor": {"newest": ["p00003"]}})
    await setting.settle(await setting.poller())
    assert set(setting.ids()) == names(1, 3)


# ---- removed at Reddit -----------------------------------------------------------------------------------------------


async def test_a_post_that_was_removed_is_deleted_here(setting: Setting) -> None:
    add(setting.reddit, 1, 3)
    await setting.configure("python")
    poller = await setting.poller()
    await setting.settle(poller)
    setting.reddit.posts["python"][1].removed = True
    setting.clock.at += INTERVAL
    await setting.settle(poller)
    assert setting.deleted == [], "it is still on its way"
    await setting.world.read_model.writer.put_items("p1", setting.posted)
    for _ in range(2):
        setting.clock.at += INTERVAL
        await setting.settle(poller)
        assert setting.deleted == [item_id("p1", "reddit", "p00002")]
    assert len(setting.posted) == 3
    assert (await setting.state())["last_error"] is None


async def test_a_key_that_may_not_delete_says_so(setting: Setting) -> None:
    add(setting.reddit, 1, 3)
    await setting.configure("python")
    setting.reddit.posts["python"][1].removed = True
    await setting.serve(keyless=False)
    header = await setting.world.key("ingest", "poll", "read")
    await setting.settle(await setting.poller(key=header["Authorization"].removeprefix("Bearer ")))
    await setting.serve()
    state = await setting.state()
    assert state["status"] == "ok"
    assert "post p00002 was removed at Reddit and is kept here" in state["last_error"]
    assert set(setting.ids()) == {"p00001", "p00003"}


# ---- our API is not well ---------------------------------------------------------------------------------------------


async def test_kafka_away_for_a_while_loses_nothing(setting: Setting) -> None:
    add(setting.reddit, 1, 150)
    await setting.configure("python")
    setting.kafka.times = 3
    await setting.settle(await setting.poller())
    assert Counter(setting.ids()) == Counter(names(1, 150))


async def test_stopped_while_kafka_is_away_the_cursor_stands(setting: Setting) -> None:
    add(setting.reddit, 1, 3)
    await setting.configure("python")
    setting.kafka.times = 1_000
    stopped = asyncio.create_task(setting.settle(await setting.poller()))
    with stamina.set_testing(False):
        await asyncio.sleep(0.3)
        stopped.cancel()
    setting.kafka.times = 0
    assert setting.ids() == []
    assert (await setting.state())["cursor"] is None
    await setting.settle(await setting.poller())
    assert set(setting.ids()) == names(1, 3)


async def test_what_the_api_never_takes_is_left_out_and_said(setting: Setting) -> None:
    add(setting.reddit, 1, 20)
    setting.reddit.add("python", post(21, "x" * 300_000))
    add(setting.reddit, 22, 40)
    await setting.configure("python")
    poller = await setting.poller()
    await setting.settle(poller)
    assert set(setting.ids()) == names(1, 40) - {"p00021"}
    state = await setting.state()
    assert state["status"] == "ok"
    assert "post p00021 was left out" in state["last_error"]
    assert state["cursor"]["newest"]["python"][0] == "p00040"
    setting.clock.at += INTERVAL
    await setting.settle(poller)
    assert len(setting.posted) == 39, "it is not tried each time"


async def test_batches_are_as_large_as_the_api_takes(setting: Setting) -> None:
    for number in range(1, 31):
        setting.reddit.add("python", post(number, f"{number} " + "ü" * 50_000))
    await setting.configure("python")
    with capture_logs() as logs:
        await setting.settle(await setting.poller())
    assert set(setting.ids()) == names(1, 30)
    assert [log["status"] for log in logs if log.get("path") == "/ingest/reddit"] == [202] * 4


async def test_without_a_key_it_waits_for_one(setting: Setting) -> None:
    await setting.serve(keyless=False)
    with pytest.raises(ApiRefuses, match="401"):  # tests limit the number of retries
        await setting.poller()


async def test_with_a_key_it_sees_its_project_alone(setting: Setting) -> None:
    add(setting.reddit, 1, 2, "one")
    add(setting.reddit, 1, 3, "two")
    await setting.configure("one", project="p1")
    await setting.configure("two", project="p2")
    await setting.serve(keyless=False)
    header = await setting.world.key("ingest", "poll", "read", project="p2")
    await setting.settle(await setting.poller(key=header["Authorization"].removeprefix("Bearer ")))
    assert (setting.ids("p1"), set(setting.ids("p2"))) == ([], names(1, 3))


# ---- Reddit is not well ----------------------------------------------------------------------------------------------


async def test_429_is_waited_out_as_it_says(setting: Setting) -> None:
    add(setting.reddit, 1, 3, "one")
    add(setting.reddit, 4, 6, "two")
    await setting.configure("one", "two")
    setting.reddit.faults = [Fault(429, {"Retry-After": "90"})]
    poller = await setting.poller()
    assert await poller.step() == 90.0, "nothing else goes out either"
    state = await setting.state()
    assert state["status"] == "failing"
    assert "429" in state["last_error"]
    setting.clock.at += 89
    assert await poller.step() == 1.0
    assert len(setting.reddit.asked) == 1
    setting.clock.at += 1
    await setting.settle(poller)
    assert set(setting.ids()) == names(1, 6)
    state = await setting.state()
    assert state["status"] == "ok"
    assert "429" in state["last_error"], "the last one is still shown, with its time"


async def test_a_rate_limit_that_is_used_up_is_waited_out(setting: Setting) -> None:
    add(setting.reddit, 1, 250)
    setting.reddit.page_headers = {"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "45"}
    await setting.configure("python")
    poller = await setting.poller(way="OAuth")
    for _ in range(2):
        assert await poller.step() == 45.0
        setting.clock.at += 45
    await setting.settle(poller)
    assert set(setting.ids()) == names(1, 250)


@pytest.mark.parametrize("fault", [HANGS, Fault(503), Fault(200, body="<html>A page for people</html>")])
async def test_a_failure_in_the_middle_goes_on_from_there(setting: Setting, fault: Fault) -> None:
    add(setting.reddit, 1, 250)
    await setting.configure("python")
    poller = await setting.poller(seconds=2)
    setting.clock.at += await poller.step() or 0
    setting.reddit.faults = [fault, fault]
    await setting.settle(poller)
    assert Counter(setting.ids()) == Counter(names(1, 250)), "no page is read twice for it"
    assert (await setting.state())["status"] == "ok"


async def test_403_is_shown_and_not_hammered(setting: Setting) -> None:
    add(setting.reddit, 1, 3, "one")
    setting.reddit.closed["shut"] = Fault(403)
    await setting.configure("shut", "one", sorts=["new", "hot"])
    poller = await setting.poller()
    for _ in range(4):
        await setting.settle(poller)
        setting.clock.at += INTERVAL
    assert sum("/shut/" in path for path in setting.reddit.paths) == 1, "and not once more for its other listing"
    assert set(setting.ids()) == names(1, 3)
    state = await setting.state()
    assert state["status"] == "blocked"
    assert state["last_error"].startswith("r/shut/hot, r/shut/new: Reddit answers 403")
    setting.clock.at += BLOCKED_SECONDS
    setting.reddit.closed.clear()
    add(setting.reddit, 4, 6, "shut")
    await setting.settle(poller)
    assert set(setting.ids()) == names(1, 6)
    assert (await setting.state())["status"] == "ok"


async def test_wrong_credentials_block_all(setting: Setting) -> None:
    setting.reddit.token_faults = [Fault(401)] * 10
    await setting.configure("one", "two")
    poller = await setting.poller(way="OAuth")
    await setting.settle(poller)
    assert len(setting.reddit.token_faults) == 9
    state = await setting.state()
    assert state["status"] == "blocked"
    assert "REDDIT_CLIENT_ID" in state["last_error"]


# ---- what is polled, and when ----------------------------------------------------------------------------------------


async def test_a_kick_has_it_polled_at_once(setting: Setting) -> None:
    add(setting.reddit, 1, 3)
    setting.reddit.closed["shut"] = Fault(403)
    await setting.configure("python", "shut")
    await setting.configure("python", project="p2")
    poller = await setting.poller()
    await setting.settle(poller)
    add(setting.reddit, 4, 4)
    setting.reddit.asked.clear()
    await setting.ask("POST", "/reddit/poll")
    for _ in range(3):
        await poller.look()
        await setting.settle(poller)
    assert sorted(path.split("/")[3] for path in setting.reddit.paths) == ["python", "shut"], "each once, for p1 alone"
    assert set(setting.ids()) == names(1, 4)
    assert set(setting.ids("p2")) == names(1, 3)


async def test_two_projects_with_subreddits_of_their_own(setting: Setting) -> None:
    add(setting.reddit, 1, 2, "one")
    add(setting.reddit, 3, 4, "both")
    add(setting.reddit, 5, 6, "two")
    await setting.configure("one", "both", project="p1")
    await setting.configure("two", "both", project="p2")
    await setting.settle(await setting.poller())
    assert Counter(setting.ids("p1")) == Counter(names(1, 4))
    assert Counter(setting.ids("p2")) == Counter(names(3, 6))
    assert set((await setting.state("p1"))["cursor"]["newest"]) == {"one", "both"}
    assert set((await setting.state("p2"))["cursor"]["newest"]) == {"two", "both"}


async def test_what_is_polled_may_change_any_time(setting: Setting) -> None:
    add(setting.reddit, 1, 3, "one")
    add(setting.reddit, 4, 253, "two")
    await setting.configure("one")
    poller = await setting.poller()
    await setting.settle(poller)
    await setting.configure("two")
    await poller.look()
    setting.clock.at += await poller.step() or 0
    for name in ("one", "two"):
        await setting.configure(name)
        await poller.look()
    add(setting.reddit, 254, 255, "two")
    await setting.settle(poller)
    assert set(setting.ids()) == names(1, 255), "a reading that was broken off begins at the top again"
    assert set((await setting.state())["cursor"]["newest"]) == {"two"}


async def test_nothing_to_poll_is_said_once(setting: Setting) -> None:
    await setting.world.read_model.writer.put_project(Project("p1", "p1", NOW))
    await setting.serve(reddit=NOTHING)
    with capture_logs() as logs:
        poller = await setting.poller()
        for _ in range(3):
            await poller.look()
            assert await poller.step() is None
    assert [log["project"] for log in logs if "no subreddits" in log["event"]] == ["p1"]
    add(setting.reddit, 1, 3)
    await setting.configure("python")
    await poller.look()
    await setting.settle(poller)
    assert set(setting.ids()) == names(1, 3)


# ---- the program -----------------------------------------------------------------------------------------------------


async def program(setting: Setting, folder: Path, **environment: str) -> asyncio.subprocess.Process:
    arguments = ("-m", "soulcaster", "poll", "reddit", "--data-dir", str(folder))
    given = {"BACKEND_URL": str(setting.api), **setting.reddit.environment(way="OAuth")}
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env={**os.environ, **given, **environment}, stderr=asyncio.subprocess.PIPE
    )


async def test_the_program_polls_until_it_is_told_to_stop(setting: Setting, tmp_path: Path) -> None:
    add(setting.reddit, 1, 30)
    await setting.configure("python")
    runs = await program(setting, tmp_path)
    try:
        async with asyncio.timeout(30):
            while (await setting.state())["status"] is None:
                assert runs.returncode is None
                await asyncio.sleep(0.1)
            runs.terminate()
            _, said = await runs.communicate()
    finally:
        if runs.returncode is None:
            runs.kill()
            await runs.wait()
    assert runs.returncode == 0, said.decode()
    assert set(setting.ids()) == names(1, 30)
    assert CLIENT_SECRET not in said.decode()
    assert "Traceback" not in said.decode()


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "soulcaster: GET /projects was answered 421: "),
        ({"BACKEND_URL": "feedback.example.com"}, "soulcaster: BACKEND_URL is not an address"),
        ({"REDDIT_CLIENT_SECRET": ""}, "soulcaster: REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET go together"),
    ],
)
async def test_what_cannot_be_is_one_sentence(
    setting: Setting, tmp_path: Path, environment: dict[str, str], sentence: str
) -> None:
    await setting.serve(allowed_hosts=("feedback.example.com",))
    runs = await program(setting, tmp_path, **environment)
    async with asyncio.timeout(30):
        _, said = await runs.communicate()
    assert runs.returncode == 1
    assert said.decode().splitlines()[-1].startswith(sentence)
    assert "Traceback" not in said.decode()
