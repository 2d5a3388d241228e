"""API keys: what they let through, what they do not, and that a project's key sees nothing of another's."""

import asyncio
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case

from soulcaster.adapters.redis import api_keys as redis_api_keys
from soulcaster.domain.api_keys import PREFIX, SCOPES, ApiKey, KeyScope, hash_of, new_secret
from soulcaster.domain.events import Theme, ThemesChanged
from soulcaster.domain.source_state import Position, RepositoryState, SourceReport
from soulcaster.ports.messaging import Record
from soulcaster.services import api_keys as api_keys_service
from soulcaster.web import caller
from soulcaster.web.api import OPERATIONS
from soulcaster.web.api.live_updates import handlers as live_updates
from soulcaster.web.pages import outcomes
from soulcaster.web.signatures import SIGNATURES
from soulcaster.wire.control import KeyDefined, control_message
from soulcaster.wire.project_config import ProjectConfig, StoredConfig
from tests.support.make import NOW
from tests.support.openapi import calls_of
from tests.support.web import Client, World

HERE = {"project_id": "p1"}

GUARDED = [op for op in OPERATIONS if op.scope not in {None, "program"}]
OF_PROGRAMS = [op for op in OPERATIONS if op.scope == "program"]


def test_a_secret_is_256_bits_and_says_what_it_is() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(secret.startswith(PREFIX) and len(secret) == len(PREFIX) + 43 for secret in secrets)


async def get(client: Client, headers: dict[str, str], path: str = "/stats") -> ClientResponse:
    return await client.get(path, headers=headers)


async def test_only_health_is_answered_without_a_key(guarded: Client) -> None:
    assert {op.path for op in OPERATIONS if op.scope is None} == {"/", "/health", "/ready"}
    answer = await guarded.get("/stats", params={"project_id": "p1"})
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_the_project_comes_from_the_key(guarded: Client, world: World) -> None:
    await world.fill()
    headers = await world.key("read")
    assert (await (await get(guarded, headers)).json())["total_feedback"] == 3
    assert (await (await get(guarded, headers, "/stats?project_id=p1")).json())["project_id"] == "p1"
    assert (await get(guarded, headers, "/stats?project_id=p2")).status == 404


async def test_either_header_carries_it(guarded: Client, world: World) -> None:
    secret = (await world.key("read"))["Authorization"].removeprefix("Bearer ")
    assert (await get(guarded, {"X-API-Key": secret})).status == 200
    assert (await get(guarded, {"Authorization": f"bearer {secret}"})).status == 200


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Basic abc", "Bearer sc_no", "sc_no", "Bearer \udcff"]
)
async def test_what_is_no_key_is_refused(guarded: Client, world: World, authorization: str) -> None:
    await world.key("read")
    answer = await get(guarded, {"Authorization": authorization})
    assert answer.status == 401
    assert "sc_no" not in await answer.text()


async def test_a_wrong_key_is_not_made_good_by_a_server_that_asks_for_none(client: Client) -> None:
    assert (await get(client, {"X-API-Key": "sc_no"}, "/stats?project_id=p1")).status == 401


async def test_expired_and_revoked_keys_are_refused(guarded: Client, world: World) -> None:
    short = await world.key("read", expires_at=NOW + timedelta(seconds=10))
    assert (await get(guarded, short)).status == 200
    world.now = NOW + timedelta(seconds=10)
    assert (await get(guarded, short)).status == 401
    world.now = NOW
    admin, read = await world.key("admin"), await world.key("read")
    [key_id] = [
        view.key.id
        for view in await world.read_model.api_keys.list("p1")
        if view.key.hash == hash_of(read["Authorization"].removeprefix("Bearer "))
    ]
    for _ in range(2):
        answer = await guarded.delete(f"/keys/{key_id}", headers=admin)
        assert answer.status == 202
        assert (await answer.json())["revoked_at"] == "2026-11-21T12:00:00Z"
    assert (await get(guarded, read)).status == 401
    assert (await guarded.delete("/keys/nix", headers=admin)).status == 404


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_key_does_what_its_scope_says_and_no_more(guarded: Client, world: World, scope: KeyScope) -> None:
    headers = await world.key(scope)
    for op in GUARDED:
        answer = await guarded.request(op.method, _address(op.path), headers=headers)
        assert (answer.status == 403) == (op.scope == "local" or scope not in {op.scope, "admin"}), op.id
        if answer.status == 403:
            assert op.scope in (await answer.json())["detail"]


@pytest.mark.parametrize("scope", SCOPES)
async def test_no_key_gets_what_is_for_the_program_of_a_job(guarded: Client, world: World, scope: KeyScope) -> None:
    assert OF_PROGRAMS
    for op in OF_PROGRAMS:
        for headers in (await world.key(scope), {}):
            answer = await guarded.request(op.method, _address(op.path), headers=headers)
            assert answer.status == 401, op.id


def _address(path: str) -> str:
    return path.replace("{", "").replace("}", "")


async def test_a_key_is_made_and_its_secret_is_shown_once(guarded: Client, world: World) -> None:
    admin = await world.key("admin")
    asked = {"name": " CI ", "scopes": ["ingest", "ingest"], "expires_at": "2026-12-01T00:00Z"}
    answer = await guarded.post("/keys", json=asked, headers=admin)
    assert answer.status == 201, await answer.text()
    made = await answer.json()
    assert (made["name"], made["scopes"], made["created_by"]) == ("CI", ["ingest"], "key test")
    item = {"text": "It crashes"}
    assert (await guarded.post("/ingest/manual", json=item, headers={"X-API-Key": made["secret"]})).status == 202
    listed = await (await guarded.get("/keys", headers=admin)).json()
    assert {key["name"]: key["last_used_at"] is not None for key in listed} == {"CI": True, "test": True}
    [sent] = [m for m in world.publisher.sent if m.topic == "control" and b"CI" in m.value]
    assert sent.key == f"key:{made['id']}".encode()
    assert isinstance(control_message(sent.value), KeyDefined)
    assert made["secret"].encode() not in sent.value
    assert made["secret"] not in str(listed)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["read"]}, "name"),
        ({"name": "", "scopes": ["read"]}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["everything"]}, "scopes.0"),
        ({"name": "x", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ],
)
async def test_a_key_that_makes_no_sense_is_not_made(
    guarded: Client, world: World, body: dict[str, Any], field: str
) -> None:
    answer = await guarded.post("/keys", json=body, headers=await world.key("admin"))
    assert answer.status == 422
    assert (await answer.json())["errors"][0]["field"] == field


@pytest.mark.parametrize(("per_key", "per_project", "each"), [(30, 6000, (5, 5)), (6000, 60, (10, 0))])
async def test_too_many_requests_are_told_when_to_come_again(
    world: World, per_key: int, per_project: int, each: tuple[int, int]
) -> None:
    """Windows are ten seconds long: a sixth of what a minute allows."""
    await world.rate_limits.close()
    world.rate_limits = world.limits(per_key=per_key, per_project=per_project)
    one, other, elsewhere = await world.key("read"), await world.key("read"), await world.key("read", project="p2")
    world.now = NOW + timedelta(seconds=3)
    async with TestClient(TestServer(world.app(keyless=False))) as client:
        for headers, room in zip((one, other), each, strict=True):
            statuses = [(await get(client, headers)).status for _ in range(12)]
            assert statuses == [200] * room + [429] * (12 - room)
        refused = await get(client, one)
        assert refused.headers["Retry-After"] == "7"
        assert (await get(client, elsewhere)).status == 200
        world.now += timedelta(seconds=7)
        assert (await get(client, one)).status == 200


async def test_without_redis_nobody_is_let_in(fragile: World) -> None:
    headers = await fragile.key("read")
    async with TestClient(TestServer(fragile.app(keyless=False))) as client:
        fragile.redis.kill()
        assert (await get(client, headers)).status == 503


@pytest.mark.parametrize("op", GUARDED, ids=lambda op: op.id)
async def test_a_second_tenant_sees_nothing_and_changes_nothing(
    guarded: Client, world: World, monkeypatch: pytest.MonkeyPatch, op: Any
) -> None:
    """Every route with another project's key: told the project it is 404; not told, its ids are not there."""
    monkeypatch.setattr(live_updates, "STREAM_SECONDS", 0.05)
    items = await world.fill()
    await world.read_model.writer.apply("p1", [ThemesChanged((Theme("t1", "Lost card", (), "alike", 2, 2),))])
    await world.job("j1", "pending")
    await world.member("u1", "owner", "p1")
    await world.key("read")
    [theirs] = await world.read_model.api_keys.list("p1")
    secret = (await world.webhooks().create("p1", "sentry", None, by="test")).secret
    await world.read_model.writer.put_project_config("p1", StoredConfig(1, ProjectConfig(repositories=("theirs/own",))))
    await world.read_model.writer.put_source_report("p1", "reddit", SourceReport({"after": "t3_theirs"}, "ok", NOW))
    await world.read_model.writer.put_repository("p1", RepositoryState("theirs/own", Position(NOW), "ok", NOW))
    headers = await world.key("admin", project="p2")
    letter = world.dead_letters.put(
        Record("feedback.raw", 0, 0, 1, None, b'{"project_id": "p1", "title": "Lost card"}')
    )
    ids = {
        "cluster_id": "c1",
        "theme_id": "t1",
        "item_id": items[0].id,
        "job_id": "j1",
        "key_id": theirs.key.id,
        "command_id": "x",
        "letter_id": letter.id,
        "project_id": "p1",
        "user_id": "u1",
        "secret_id": secret.id,
        "session_id": "s1",
        "source": "reddit",
        "owner": "acme",
        "repo": "shop",
    }
    named_alike = op.path_parameters in {("source",), ("owner", "repo")}  # these are called the same in every project
    before, sent = await _everything(world), len(world.publisher.sent)
    url = str(guarded.make_url("")).rstrip("/")

    @given(case=calls_of(op))
    @settings(
        max_examples=5,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def call(case: Case[Any]) -> None:
        case.path_parameters.update({name: ids[name] for name in op.path_parameters})
        case.query.pop("wait", None)
        if op.signed is not None:
            case.headers.pop(SIGNATURES[op.signed].header, None)  # a made-up one is 401, whatever else there is
        for project in ("p1", None):
            case.query.pop("project_id", None)
            if project is not None:
                case.query["project_id"] = project
            answer = case.call(base_url=url, headers=headers)
            if op.scope == "local":
                assert answer.status_code == 403
            elif project is not None:
                assert answer.status_code == 404
            elif op.path_parameters and not named_alike:
                assert answer.status_code in {404, 415, 422, 400}
            for word in ("My card is late", "Late card", "Lost card", theirs.key.hash, secret.sealed, "theirs"):
                assert word not in answer.text

    await asyncio.to_thread(call)
    assert await _everything(world) == before
    assert all(b'"p1"' not in message.value for message in world.publisher.sent[sent:])


async def _everything(world: World) -> object:
    model = world.read_model
    return [
        await model.projects.stats("p1"),
        await model.feedback.list("p1", source=None, cluster_id=None, limit=100, offset=0),
        await model.clusters.list("p1", limit=100, offset=0),
        await model.jobs.list("p1", cluster_id=None, limit=100, offset=0),
        await model.api_keys.list("p1"),
        await model.members.list("p1"),
        await model.projects.list(),
        await model.project_config.get("p1"),
        await model.webhook_secrets.list("p1"),
        await model.sources.list("p1"),
        await model.sources.repositories("p1"),
    ]


async def test_a_project_may_have_so_many_keys_that_stand(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys_service, "MOST_KEYS", 2)
    body = {"name": "one more", "scopes": ["read"], "expires_at": (NOW + timedelta(hours=1)).isoformat()}
    made = [await client.post("/keys", params=HERE, json=body) for _ in range(3)]
    assert [answer.status for answer in made] == [201, 201, 409]
    key_id = (await made[0].json())["id"]
    assert (await client.delete(f"/keys/{key_id}", params=HERE)).status == 202
    assert (await client.post("/keys", params=HERE, json=body)).status == 201
    assert (await client.post("/keys", params=HERE, json=body)).status == 409
    world.now += timedelta(hours=2)
    del body["expires_at"]
    assert (await client.post("/keys", params=HERE, json=body)).status == 201, "those that expired do not count"


async def test_keys_and_members_that_come_and_go_are_counted(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "MADE_AN_HOUR", 2)
    await world.fill()
    for path, body in (
        ("/keys", {"name": "k", "scopes": ["read"]}),
        ("/projects/p1/members", {"email": "ada@example.com", "role": "viewer"}),
    ):
        statuses = [(await client.post(path, params=HERE, json=body)).status for _ in range(3)]
        assert statuses[0] == 201
        assert statuses[2] == 429
        world.now += timedelta(hours=1)
        assert (await client.post(path, params=HERE, json=body)).status in {200, 201}


async def test_plans_jobs_and_commands_are_counted(
    world: World, client: Client, owner: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "MADE_AN_HOUR", 2)
    monkeypatch.setattr(caller, "COMMANDS_AN_HOUR", 2)
    monkeypatch.setattr(outcomes, "OUTCOME_SECONDS", 0)
    await world.fill()
    found = re.search(r'name="csrf_token" value="([^"]+)"', await (await owner.get("/app/projects")).text())
    assert found
    form = {"csrf_token": found[1], "title": "x", "description": "y"}
    for path, body, page in (
        ("/clusters/c1/plan", {"title": "Look", "description": "There."}, "clusters/c1/plan"),
        ("/jobs?wait=0", {"cluster_id": "c1"}, None),
        ("/clusters/c1/rename", {"title": "New"}, "clusters/c1/rename"),
        ("/clusters/rebalance", None, "rebalance"),
    ):
        statuses = [(await client.post(path, params=HERE, json=body)).status for _ in range(3)]
        assert statuses[0] < 300
        assert statuses[2] == 429, path
        if page is not None:
            assert (await owner.post(f"/app/projects/p1/{page}", data=form)).status == 429
        world.now += timedelta(hours=1)
        assert (await client.post(path, params=HERE, json=body)).status < 300
        world.now += timedelta(hours=1)


async def test_keys_that_ended_long_ago_are_forgotten_and_the_list_is_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_api_keys, "KEPT_KEYS", 4)
    made = [
        ApiKey(f"k{n}", "p1", f"k{n}", hash_of(f"k{n}"), ("read",), NOW + timedelta(minutes=n), "kim")
        for n in range(12)
    ]
    for key in made:
        await world.read_model.writer.put_api_key(key)
        if key.id not in {"k0", "k5"}:
            await world.read_model.writer.put_api_key(replace(key, revoked_at=key.created_at + timedelta(seconds=1)))
    assert [view.key.id for view in await world.read_model.api_keys.list("p1")] == ["k11", "k10", "k5", "k0"]
    for key in made:
        known = await world.read_model.api_keys.get(key.hash)
        assert (known is None) == (key.id not in {"k0", "k5", "k10", "k11"})
    for n in range(12, 20):
        standing = replace(made[0], id=f"k{n}", hash=hash_of(f"k{n}"), created_at=NOW + timedelta(minutes=n))
        await world.read_model.writer.put_api_key(standing)
    listed = [view.key.id for view in await world.read_model.api_keys.list("p1")]
    assert listed == ["k19", "k18", "k17", "k16"], "those that stand are kept, and a list has only so many"
    assert await world.read_model.api_keys.get(made[0].hash) == made[0]
