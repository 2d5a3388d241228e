"""Syncing repositories, between a GitHub on loopback and what is published."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs
from yarl import URL

from soulcaster.adapters.github.issues import GitHubIssues
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.feedback.versions import newest
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.messaging import Outgoing, Record
from soulcaster.services import github_sync as github_sync_service
from soulcaster.services.intake import read
from soulcaster.web.api.github_sync import handlers as github_sync
from soulcaster.web.api.github_sync.models import RepositorySyncOut, SyncOut
from soulcaster.wire.control import RepositorySynced, control_message
from tests.support.answers import problem
from tests.support.github_issues import GitHub
from tests.support.make import NOW, NOW_MS
from tests.support.web import Client, Worker, World

HERE = {"project_id": "p1"}
ONE = "/ingest/github/sync/acme/shop"
ALL = "/ingest/github/sync"
OURS = secrets.token_hex(8)


class Ends(Worker):
    """Kafka that takes so many messages on a topic, and then no more."""

    takes = 1_000_000
    topic = ""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        if any(message.topic == self.topic for message in messages):
            self.takes -= 1
            if self.takes < 0:
                raise KafkaUnavailable
        await super().publish(messages)


class Setting:
    """A GitHub and our API, which may be started anew."""

    def __init__(self, world: World, hub: GitHub) -> None:
        self.world = world
        self.hub = hub
        self.kafka = world.publisher = Ends(world.read_model)

    @asynccontextmanager
    async def api(self, **more: Any) -> AsyncIterator[Client]:
        async with (
            GitHubIssues(self.hub.url, lambda: self.world.now, timeout=60.0) as issues,
            TestClient(TestServer(self.world.app(issues=issues, **more))) as client,
        ):
            yield client

    async def sync(self, **more: Any) -> dict[str, Any]:
        """Sync acme/shop by an API that has just been started."""
        async with self.api() as client:
            return await sync(client, **more)

    @property
    def posted(self) -> list[FeedbackItem]:
        records = [Record(m.topic, 0, 0, NOW_MS, m.key, m.value) for m in self.kafka.sent if m.topic == "feedback.raw"]
        found = [read(record) for record in records]
        assert not [contents.refused for contents in found if contents.refused]
        return [one.item for contents in found for one in contents.items]

    @property
    def newest(self) -> dict[int, tuple[str, object]]:
        """Return title and state of each issue as it is after all that was posted."""
        items: dict[str, FeedbackItem] = {}
        for item in self.posted:
            items[item.id] = newest(items[item.id], item) if item.id in items else item
        return {int(str(one.metadata["number"])): (one.title, one.metadata["state"]) for one in items.values()}

    @property
    def titles(self) -> dict[int, str]:
        return {number: title for number, (title, _) in self.newest.items()}

    @property
    def cursors(self) -> list[RepositorySynced]:
        said = [control_message(m.value) for m in self.kafka.sent if m.topic == "control"]
        return [message for message in said if isinstance(message, RepositorySynced)]

    async def project(self) -> None:
        """Have the worker catch up with what was posted."""
        await self.world.read_model.writer.put_items("p1", self.posted)


@pytest.fixture
async def setting(world: World) -> AsyncIterator[Setting]:
    async with GitHub() as hub:
        yield Setting(world, hub)


async def sync(client: Client, path: str = ONE, **more: Any) -> dict[str, Any]:
    answer = await client.post(path, params=HERE, **more)
    assert answer.status == 200, await answer.text()
    body: dict[str, Any] = await answer.json()
    (SyncOut if path == ALL else RepositorySyncOut).model_validate(body)
    return body


async def configure(client: Client, *repositories: str, **of_github: Any) -> None:
    version = (await (await client.get("/config/project", params=HERE)).json())["version"]
    body = {"version": version, "repositories": repositories, "sources": {"github": of_github}}
    answer = await client.put("/config/project", params=HERE, json=body)
    assert answer.status == 202, await answer.text()


def counts(body: dict[str, Any]) -> tuple[int, int, int, int]:
    return body["new"], body["updated"], body["unchanged"], body["skipped"]


async def github_stands(client: Client) -> dict[str, Any]:
    listed = await (await client.get("/sources", params=HERE)).json()
    [found] = [one for one in listed if one["source"] == "github"]
    assert found == await (await client.get("/sources/github/cursor", params=HERE)).json()
    return dict(found)


async def test_a_thousand_issues_once_each_in_the_newest_version(setting: Setting) -> None:
    hub = setting.hub
    for number in range(1000):
        hub.put(number)
    hub.put(1000, pull_request={"url": "x"})
    hub.put(1001, user={"login": "renovate[bot]", "type": "Bot"})
    edits = iter(range(0, 1000, 90))

    def edit() -> None:
        number = next(edits, None)
        if number is not None:
            hub.put(number, title=f"edited {number}", after=timedelta(hours=1))

    hub.before_each = edit
    setting.world.now = hub.now + timedelta(hours=1)
    body = await setting.sync()
    edited = 1 + (len(hub.calls) - 1)
    assert body["complete"]
    assert (body["new"], body["skipped"], body["unchanged"]) == (1000, 2, 0)
    assert body["updated"] <= edited
    hub.before_each = lambda: None
    await setting.project()
    body = await setting.sync()
    assert setting.titles == {n: issue["title"] for n, issue in hub.issues.items() if n < 1000}
    versions = [(item.id, item.updated_at) for item in setting.posted]
    assert len(set(versions)) == len(versions), "no version was posted twice"
    assert sum(title.startswith("edited") for title in setting.titles.values()) >= 11


@pytest.mark.parametrize("topic", ["control", "feedback.raw"])
@pytest.mark.parametrize("takes", [0, 1, 2, 3, 4, 5])
async def test_cut_off_anywhere_and_started_anew_nothing_is_missed(setting: Setting, topic: str, takes: int) -> None:
    hub = setting.hub
    for number in range(350):
        hub.put(number)
    setting.world.now = hub.now
    setting.kafka.topic, setting.kafka.takes = topic, takes
    async with setting.api() as client:
        answer = await client.post(ONE, params=HERE)
        await problem(answer, 503) if answer.status != 200 else None
        cut_off = answer.status == 503
    assert cut_off == (takes < (6 if topic == "control" else 4))
    kept = [one.since for one in setting.cursors if one.since is not None and not one.whole]
    posted = {item.updated_at for item in setting.posted}
    assert set(kept) <= posted, "what was kept was posted before"
    hub.put(5, title="edited", after=timedelta(hours=1))
    hub.put(6, state="closed", after=timedelta(hours=1))
    setting.kafka.takes = 1_000_000
    setting.world.now = hub.now + timedelta(seconds=1)
    for _ in range(2):
        assert (await setting.sync())["complete"]
    expected = {n: (issue["title"], issue["state"]) for n, issue in hub.issues.items()}
    if setting.cursors[0].connected_at > hub.now:
        del expected[6]  # it was closed before this was connected
    assert setting.newest == expected


async def test_what_is_known_is_not_posted_again(setting: Setting) -> None:
    hub = setting.hub
    for number in range(1, 5):
        hub.put(number)
    setting.world.now = hub.now
    body = await setting.sync()
    assert (body["success"], body["repo"], body["project_id"]) == (True, "acme/shop", "p1")
    assert (body["new_issues"], body["updated_issues"], body["archived_issues"], body["total_issues"]) == (4, 0, 0, 4)
    assert set(body["synced_ids"]) == {item.id for item in setting.posted}
    await setting.project()
    body = await setting.sync()
    assert counts(body) == (0, 0, 4, 0)
    assert body["synced_ids"] == []
    assert len(setting.posted) == 4
    await setting.world.read_model.writer.delete_items("p1", [setting.posted[0].id])
    hub.put(1, title="edited, and deleted here")
    hub.put(2, title="edited")
    hub.put(3, state="closed")
    body = await setting.sync()
    assert counts(body) == (0, 2, 1, 1)
    assert (body["updated_issues"], body["archived_issues"], body["last_synced"]) == (1, 1, "2026-03-01T00:00:04Z")
    assert {item.metadata["number"] for item in setting.posted[4:]} == {2, 3}
    await setting.project()
    hub.put(3, state="open")
    body = await setting.sync()
    assert (body["updated_issues"], body["archived_issues"]) == (1, 0)


async def test_what_was_closed_before_it_was_connected_stays_out(setting: Setting) -> None:
    hub = setting.hub
    hub.put(1, state="closed")
    setting.world.now = hub.now + timedelta(seconds=1)
    assert counts(await setting.sync()) == (0, 0, 0, 0)
    hub.put(1, state="closed", comments=1)
    hub.put(2, state="closed")
    assert counts(await setting.sync()) == (1, 0, 0, 1)
    hub.put(1, state="open")
    await setting.sync()
    assert set(setting.titles) == {1, 2}


@pytest.mark.parametrize(
    ("of_github", "taken"),
    [
        ({}, {1, 2, 3}),
        ({"labels": ["bug"]}, {1}),
        ({"state": "open"}, {1, 2}),
        ({"state": "closed"}, {3}),
        ({"state": "closed", "labels": ["bug"]}, set()),
    ],
)
async def test_the_settings_say_what_is_taken(setting: Setting, of_github: dict[str, Any], taken: set[int]) -> None:
    hub = setting.hub
    setting.world.now = hub.now
    async with setting.api() as client:
        await configure(client, **of_github)
        assert counts(await sync(client)) == (0, 0, 0, 0)
        hub.put(1, labels=[{"name": "bug"}])
        hub.put(2)
        hub.put(3, state="closed")
        assert counts(await sync(client)) == (len(taken), 0, 0, 3 - len(taken))
        assert set(setting.titles) == taken


async def test_a_known_issue_that_closes_is_told_of_where_open_ones_are_taken(setting: Setting) -> None:
    setting.hub.put(1)
    setting.world.now = setting.hub.now
    async with setting.api() as client:
        await configure(client, state="open")
        await sync(client)
        await setting.project()
        setting.hub.put(1, state="closed")
        assert (await sync(client))["archived_issues"] == 1
    assert setting.posted[-1].metadata["state"] == "closed"


async def test_a_limit_is_passed_on_and_what_was_read_is_kept(setting: Setting) -> None:
    hub = setting.hub
    for number in range(250):
        hub.put(number)
    setting.world.now = hub.now

    def limit() -> None:
        if len(hub.calls) == 2:
            hub.answers = [web.Response(status=429, headers={"Retry-After": "90"})]

    hub.before_each = limit
    async with setting.api() as client:
        await configure(client, "Acme/Shop")
        answer = await client.post(ONE, params=HERE)
        said = await problem(answer, 429)
        assert answer.headers["Retry-After"] == "90"
        assert "The 199 issues that were read before it are kept" in said["detail"]
        stands = await github_stands(client)
        assert (stands["status"], stands["polled_at"]) == ("failing", None)
        assert "takes no more requests" in stands["last_error"]
        hub.before_each = lambda: None
        calls = len(hub.calls)
        body = await sync(client)
        assert len(hub.calls) - calls == 2, "it went on from there"
        assert body["complete"]
        stands = await github_stands(client)
        assert (stands["status"], stands["polled_at"]) == ("ok", body["last_synced"])
        assert "takes no more requests" in stands["last_error"], "the last one is still shown, with its time"
    assert set(setting.titles) == set(range(250))


async def test_what_github_refuses_says_what_to_do(setting: Setting) -> None:
    setting.hub.token = secrets.token_hex(8)
    async with setting.api() as client:
        said = await problem(await client.post(ONE, params=HERE), 422)
        assert "a private one needs a token" in said["detail"]
        assert setting.cursors == [], "a name that somebody made up leaves nothing"
        await configure(client, "acme/shop")
        await problem(await client.post(ONE, params=HERE), 422)
        stands = await github_stands(client)
        assert stands["status"] == "blocked"
        assert stands["last_error"].startswith("acme/shop: GitHub has no such repository")
        await configure(client)
        assert (await github_stands(client))["status"] == "ok", "nobody wants it any more"


async def test_a_github_that_is_away_is_502(setting: Setting) -> None:
    async with setting.api() as client:
        await configure(client, "acme/shop")
        for path in (ONE, ALL):
            setting.hub.answers = [web.Response(status=500)]
            assert "answered 500" in (await problem(await client.post(path, params=HERE), 502))["detail"]
        assert (await github_stands(client))["status"] == "failing"
        await sync(client, ALL)
        assert (await github_stands(client))["status"] == "ok"


async def test_the_callers_token_goes_before_the_servers_and_neither_is_told(setting: Setting) -> None:
    ours, theirs = secrets.token_hex(8), secrets.token_hex(8)
    with capture_logs() as logs:
        async with setting.api(github_token=ours) as client:
            await configure(client, "acme/shop")
            await sync(client)
            await sync(client, headers={"X-GitHub-Token": theirs})
            said = await problem(await client.post(ONE, params=HERE, headers={"X-GitHub-Token": "ä ö"}), 422)
            assert "X-GitHub-Token" in said["detail"]
            setting.hub.token = ours
            refused = await client.post(ONE, params=HERE, headers={"X-GitHub-Token": theirs})
            assert theirs not in await refused.text()
    assert setting.hub.authorizations == [f"Bearer {ours}", f"Bearer {theirs}", f"Bearer {theirs}"]
    told = json.dumps(logs, default=repr) + repr(setting.kafka.sent)
    assert ours not in told
    assert theirs not in told


@pytest.mark.parametrize(
    ("of_project", "sent"),
    [
        ({}, [None]),
        ({"repositories": ["acme/other"]}, [None]),
        ({"repositories": ["Acme/Shop"]}, [f"Bearer {OURS}"]),
        ({"repository_rules": [{"source": "sentry", "repository": "acme/shop"}]}, [f"Bearer {OURS}"]),
    ],
)
async def test_the_servers_token_reads_only_what_an_admin_named(
    setting: Setting, of_project: dict[str, Any], sent: list[str | None]
) -> None:
    async with setting.api(github_token=OURS) as client:
        body = {"version": 0, **of_project}
        assert (await client.put("/config/project", params=HERE, json=body)).status == 202
        await sync(client)
    assert setting.hub.authorizations == sent


async def test_repositories_that_are_not_in_the_settings_are_bounded(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github_sync_service, "MOST_UNNAMED", 1)
    async with setting.api() as client:
        setting.hub.put(1)
        await sync(client)
        refused = await problem(await client.post(f"{ALL}/acme/more", params=HERE), 409)
        assert "not in its settings" in refused["detail"]
        await sync(client)
        await configure(client, "acme/more")
        answer = await client.post(f"{ALL}/acme/more", params=HERE)
        assert answer.status == 422, "GitHub is asked, and has no such repository"


async def test_what_is_unchanged_is_asked_for_by_its_etag(setting: Setting) -> None:
    token = secrets.token_hex(8)
    setting.hub.put(1)
    setting.world.now = setting.hub.now
    for _ in range(3):
        await setting.sync(headers={"X-GitHub-Token": token})
        await setting.project()
    body = await setting.sync(headers={"X-GitHub-Token": token})
    assert setting.hub.statuses[-1] == 304
    assert body["complete"]
    assert counts(body) == (0, 0, 0, 0)


@pytest.mark.parametrize("name", ["-acme/shop", "acme/%2e%2e", "acme/..", "a_b/shop", "acme/sh%20op", "acme/a%2Fb"])
async def test_what_is_no_repository_is_refused(setting: Setting, name: str) -> None:
    async with setting.api() as client:
        answer = await client.post(f"{ALL}/{name}", params=HERE)
        assert answer.status in {404, 422}
    assert setting.hub.calls == []


async def test_a_repository_is_synced_once_at_a_time(setting: Setting) -> None:
    reads, goes_on = asyncio.Event(), asyncio.Event()
    inner = setting.kafka.publish

    async def publish(messages: Sequence[Outgoing]) -> None:
        reads.set()
        await goes_on.wait()
        await inner(messages)

    async with setting.api() as client:
        await configure(client, "acme/shop")
        setting.kafka.publish = publish  # type: ignore[method-assign]
        first = asyncio.create_task(sync(client))
        await reads.wait()
        await problem(await client.post(ONE.replace("shop", "Shop"), params=HERE), 409)
        body = await sync(client, ALL)
        assert not body["success"]
        assert "synced already" in body["repositories"][0]["error"]
        goes_on.set()
        await first
        assert (await sync(client, ALL))["success"]


async def test_all_repositories_of_the_settings(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    setting.hub.put(1)
    async with setting.api() as client:
        assert (await sync(client, ALL))["complete"], "there are none"
        await configure(client, "acme/gone", "acme/shop")
        body = await sync(client, ALL)
        assert [(one["repo"], one["success"]) for one in body["repositories"]] == [
            ("acme/gone", False),
            ("acme/shop", True),
        ]
        assert (body["success"], body["complete"], body["new"], body["total"]) == (False, True, 1, 1)
        assert body["repositories"][0]["error"].startswith("GitHub has no such repository")
        stands = await github_stands(client)
        assert stands["status"] == "blocked"
        assert stands["last_error"].startswith("acme/gone: GitHub has no such")
        monkeypatch.setattr(github_sync, "SYNC_SECONDS", 0.0)
        for name in ("acme/gone", "acme/shop", "acme/gone"):
            setting.world.now += timedelta(minutes=1)
            body = await sync(client, ALL)
            assert [one["repo"] for one in body["repositories"]] == [name], "the one that waits longest"
            assert not body["complete"]


async def test_a_large_repository_takes_several_requests(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(250):
        setting.hub.put(number)
    setting.world.now = setting.hub.now
    monkeypatch.setattr(github_sync, "SYNC_SECONDS", 0.0)
    complete: list[bool] = []
    async with setting.api() as client:
        while not complete or not complete[-1]:
            complete.append((await sync(client))["complete"])
            assert len(complete) < 10
    assert len(complete) >= 3
    assert set(setting.titles) == set(range(250))


async def test_a_worker_that_is_behind_lets_nothing_be_read_twice(setting: Setting) -> None:
    for number in range(250):
        setting.hub.put(number)
    setting.world.now = NOW
    setting.kafka.delivers = False
    async with setting.api() as client:
        await sync(client)
        await sync(client)
        calls = len(setting.hub.calls)
        setting.hub.put(7, state="closed", after=NOW - setting.hub.now)
        body = await sync(client)
        assert body["total"] == 1
        assert len(setting.hub.calls) == calls + 1
        setting.hub.put(8, state="closed")
        await configure(client, state="open")
        assert (await sync(client))["archived_issues"] == 1
    assert [one.metadata["state"] for one in setting.posted[-2:]] == ["closed", "closed"]


async def test_github_is_off(setting: Setting) -> None:
    async with setting.api() as client:
        await configure(client, "acme/shop", enabled=False)
        for path in (ONE, ALL):
            await problem(await client.post(path, params=HERE), 409)
    assert setting.hub.calls == []


async def test_a_repository_in_one_segment_is_sent_on_as_it_is(setting: Setting) -> None:
    setting.hub.put(1)
    async with setting.api() as client:
        asked = URL("/ingest/github/sync/acme%2Fshop?project_id=p1", encoded=True)
        answer = await client.post(asked, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (308, f"{ONE}?project_id=p1")
        assert (await (await client.post(asked)).json())["new_issues"] == 1
        for wrong in ("shop", "a%2Fb%2Fc", "%2F%2Fevil.example%2Fx"):
            answer = await client.post(URL(f"/ingest/github/sync/{wrong}?project_id=p1", encoded=True))
            assert answer.status in {404, 422}, await answer.text()


async def test_of_another_project_nothing_is_synced(setting: Setting) -> None:
    header = await setting.world.key("ingest", project="p2")
    async with setting.api(keyless=False) as client:
        for path in (ONE, ALL):
            await problem(await client.post(path, params=HERE, headers=header), 404)
        assert setting.hub.calls == []
        read_only = await setting.world.key("read")
        await problem(await client.post(ONE, headers=read_only), 403)


async def test_what_no_item_can_be_made_of_is_a_dead_letter_and_keeps_nothing_up(setting: Setting) -> None:
    setting.hub.put(1, title="", body="")
    setting.hub.put(2)
    assert counts(await setting.sync()) == (1, 0, 0, 1)
    sent = [m for m in setting.kafka.sent if m.topic == "feedback.raw"]
    refused = [read(Record(m.topic, 0, 0, NOW_MS, m.key, m.value)).refused for m in sent]
    assert [bool(one) for one in refused] == [True, False]
