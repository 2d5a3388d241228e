"""Webhooks: what vendors sign is taken as it is, what they did not sign is not, and no delivery makes us fail."""

import asyncio
import gzip
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soulcaster.domain.ids import item_id
from soulcaster.domain.sources import Delete, Nothing, Upsert
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.messaging import Record
from soulcaster.services import webhook_secrets as webhooks
from soulcaster.services.intake import read
from soulcaster.web.api.webhooks.models import DeliveryOut
from soulcaster.web.bodies import MAX_BATCH_BYTES
from soulcaster.wire.feedback import Delivery
from soulcaster.wire.project_config import GithubConfig, ProjectConfig, SentryConfig, SourcesConfig, StoredConfig
from tests.support.answers import problem
from tests.support.anything import anything
from tests.support.captured import CAPTURED, Captured, load
from tests.support.make import NOW
from tests.support.web import Client, World
from tests.support.webhooks import HEADER, PREFIX, SECRET, signature

OTHER = "another-client-secret-77aa"
SOURCES = sorted(HEADER)
FIXTURES = [captured for captured in CAPTURED if captured.source in HEADER]
ISSUE = {"sentry": load("sentry", "issue_created"), "github": load("github", "issue_opened")}
EVENTS = {"sentry": load("sentry", "event_alert"), "github": load("github", "issue_edited")}


@pytest.fixture(autouse=True)
def secrets_are_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rotations pass at once; that secrets are remembered for seconds is held in test_webhook_secrets.py."""
    monkeypatch.setattr(webhooks, "CACHED_SECONDS", 0.0)


def raw(captured: Captured) -> bytes:
    return json.dumps(captured.payload, indent=1).encode()


async def stand(world: World, source: str, secret: str = SECRET, project: str = "p1") -> str:
    made = (await world.webhooks().create(project, source, secret, by="test")).secret
    world.publisher.sent.clear()
    return made.id


async def post(
    client: Client,
    source: str,
    body: bytes,
    headers: dict[str, str] | None = None,
    *,
    sign: str | None = None,
    project: str | None = "p1",
    kind: str = "application/json",
) -> ClientResponse:
    """Post a body, with `sign` as its signature where that is given."""
    signed = {} if sign is None else {HEADER[source]: sign}
    params = {} if project is None else {"project_id": project}
    all_headers = {"Content-Type": kind, **(headers or {}), **signed}
    return await client.post(f"/ingest/{source}", params=params, data=body, headers=all_headers)


async def accepted(answer: ClientResponse, status: int = 202) -> DeliveryOut:
    assert answer.status == status, await answer.text()
    return DeliveryOut.model_validate(await answer.json())


async def refused(world: World, answer: ClientResponse, status: int = 401) -> str:
    """Return why; nothing was published, and no secret is told."""
    detail: str = (await problem(answer, status))["detail"]
    assert world.publisher.sent == []
    assert SECRET not in detail
    assert OTHER not in detail
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    return detail


# ---- what comes of what vendors send ---------------------------------------------------------------------------------


@pytest.mark.parametrize("captured", FIXTURES, ids=lambda captured: f"{captured.source}-{captured.name}")
async def test_what_vendors_send_is_published_as_it_is(guarded: Client, world: World, captured: Captured) -> None:
    source, body = captured.source, raw(captured)
    await stand(world, source)
    noise = {"User-Agent": "vendor", "X-GitHub-Delivery": "d1", "Request-ID": "r1"}
    answer = await post(guarded, source, body, captured.headers | noise, sign=signature(source, body))
    refusal, outcomes = None, []
    if isinstance(captured.expected, dict):
        refusal = captured.expected["error"]
    else:
        outcomes = list(captured.outcomes())
    if outcomes and all(isinstance(outcome, Nothing) for outcome in outcomes):
        told = await accepted(answer, 200)
        assert (told.status, told.id, told.ids) == ("ignored", None, [])
        assert told.reason == captured.expected[0]["nothing"]["reason"]
        assert world.publisher.sent == []
        return
    told = await accepted(answer)
    ids = [item_id("p1", source, one.external_id) for one in outcomes if isinstance(one, Upsert | Delete)]
    assert told.model_dump() == {
        "status": "ok",
        "id": ids[0] if ids else None,
        "ids": ids,
        "reason": refusal,
        "project_id": "p1",
    }
    [sent] = world.publisher.sent
    delivery = Delivery.model_validate_json(sent.value)
    assert (sent.topic, sent.key) == ("feedback.raw", (ids[0] if ids else "p1").encode())
    assert (delivery.project_id, delivery.vendor, delivery.headers) == ("p1", source, captured.headers)
    assert delivery.payload == captured.payload
    contents = read(Record(sent.topic, 0, 0, int(NOW.timestamp() * 1000), sent.key, sent.value))
    shown = [one.item.id for one in contents.items] + [gone.id for _, gone in contents.deleted]
    assert shown == told.ids
    assert [one.reason for one in contents.refused] == ([refusal] if refusal else [])


@pytest.mark.parametrize("source", SOURCES)
async def test_a_redelivery_is_the_same_item_in_the_same_place(guarded: Client, world: World, source: str) -> None:
    await stand(world, source)
    body, headers = raw(ISSUE[source]), ISSUE[source].headers
    answers = [await post(guarded, source, body, headers, sign=signature(source, body)) for _ in range(3)]
    later = raw(EVENTS[source])
    await accepted(await post(guarded, source, later, EVENTS[source].headers, sign=signature(source, later)))
    assert len({(await accepted(answer)).id for answer in answers}) == 1
    first, second, third, other = world.publisher.sent
    assert first == second == third
    assert other != first


@pytest.mark.parametrize("source", SOURCES)
async def test_a_source_that_is_off_is_no_error_and_is_not_kept(world: World, client: Client, source: str) -> None:
    off = SourcesConfig(
        sentry=SentryConfig(enabled=source != "sentry"), github=GithubConfig(enabled=source != "github")
    )
    await stand(world, source)
    await world.read_model.writer.put_project_config("p1", StoredConfig(1, ProjectConfig(sources=off)))
    body = raw(ISSUE[source])
    told = await accepted(await post(client, source, body, sign=signature(source, body)), 200)
    assert (told.status, told.ids) == ("skipped", [])
    assert world.publisher.sent == []
    await refused(world, await post(client, source, body, sign=signature(source, b"x")))
    [other] = set(SOURCES) - {source}
    await accepted(await post(client, other, raw(ISSUE[other]), ISSUE[other].headers))


async def test_github_is_told_to_send_json(guarded: Client, world: World) -> None:
    await stand(world, "github")
    body = b"payload=%7B%22zen%22%3A%22x%22%7D"
    form = "application/x-www-form-urlencoded"
    detail = await refused(world, await post(guarded, "github", body, sign=signature("github", body), kind=form), 415)
    assert "application/json" in detail
    assert "Content type" in detail
    detail = await refused(
        world, await post(guarded, "github", body, sign=signature("github", body), kind="text/x"), 415
    )
    assert "Content-Type" in detail


# ---- signatures ------------------------------------------------------------------------------------------------------


def damaged(source: str, body: bytes) -> dict[str, str]:
    right = signature(source, body)
    digits = right.removeprefix(PREFIX[source])
    wrong_prefix = {"sentry": f"sha256={digits}", "github": digits}[source]
    return {
        "forged": signature(source, body, "not-the-secret-at-all"),
        "of no secret": signature(source, body, ""),
        "of another body": signature(source, body + b" "),
        "of what it says": signature(source, json.dumps(json.loads(body)).encode()),
        "cut": right[:-1],
        "longer": right + "0",
        "in upper case": PREFIX[source] + digits.upper(),
        "empty": "",
        "nothing but a prefix": "sha256=",
        "of another form": wrong_prefix,
        "SHA-1": f"sha1={hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()}",
        "no hex": PREFIX[source] + "é" * 32,
    }


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("how", damaged("sentry", b"{}"))
async def test_what_is_not_signed_right_is_refused(world: World, client: Client, source: str, how: str) -> None:
    """On a server that asks for no key as well: a signature that is there has to be right."""
    await stand(world, source)
    body = raw(ISSUE[source])
    detail = await refused(world, await post(client, source, body, sign=damaged(source, body)[how]))
    assert "/webhook-secrets" in detail
    await accepted(await post(client, source, body, sign=signature(source, body)))


@pytest.mark.parametrize("source", SOURCES)
async def test_a_key_does_not_make_a_wrong_signature_good(guarded: Client, world: World, source: str) -> None:
    await stand(world, source)
    key = await world.key("ingest")
    world.publisher.sent.clear()
    await refused(world, await post(guarded, source, b"{}", key, sign=signature(source, b"{}", OTHER)))


@pytest.mark.parametrize("source", SOURCES)
async def test_a_secret_is_good_for_its_project_and_its_source(guarded: Client, world: World, source: str) -> None:
    [other] = set(SOURCES) - {source}
    body = raw(ISSUE[source])
    right = signature(source, body)
    await refused(world, await post(guarded, source, body, sign=right))  # none stands
    await stand(world, source, project="p2")
    await stand(world, other)
    await refused(world, await post(guarded, source, body, sign=right))
    told = await accepted(await post(guarded, source, body, sign=right, project="p2"))
    assert told.project_id == "p2"
    assert b'"p1"' not in world.publisher.sent[0].value


@pytest.mark.parametrize("source", SOURCES)
async def test_two_secrets_are_good_while_one_takes_over(guarded: Client, world: World, source: str) -> None:
    body = raw(ISSUE[source])
    by_old, by_new = signature(source, body), signature(source, body, OTHER)
    old = await stand(world, source)
    await accepted(await post(guarded, source, body, sign=by_old))
    world.publisher.sent.clear()
    await refused(world, await post(guarded, source, body, sign=by_new))
    await stand(world, source, OTHER)
    for sign in (by_old, by_new):
        await accepted(await post(guarded, source, body, sign=sign))
    await world.webhooks().remove("p1", old)
    world.publisher.sent.clear()
    await refused(world, await post(guarded, source, body, sign=by_old))
    await accepted(await post(guarded, source, body, sign=by_new))


@pytest.mark.parametrize("source", SOURCES)
async def test_what_a_signature_is_over_is_not_parsed_before(guarded: Client, world: World, source: str) -> None:
    """No JSON, and not even what its encoding says: without the secret one is told nothing of it."""
    await stand(world, source)
    for headers in ({}, {"Content-Encoding": "gzip"}, {"Content-Encoding": "nope"}):
        await refused(world, await post(guarded, source, b"{", headers, sign=signature(source, b"x")))
    await refused(world, await post(guarded, source, b"{", sign=signature(source, b"{")), 400)


@pytest.mark.parametrize("source", SOURCES)
async def test_the_signature_is_over_the_bytes_as_they_were_sent(guarded: Client, world: World, source: str) -> None:
    await stand(world, source)
    body = raw(ISSUE[source])
    packed = gzip.compress(body)
    headers = ISSUE[source].headers | {"Content-Encoding": "gzip"}
    await refused(world, await post(guarded, source, packed, headers, sign=signature(source, body)))
    await accepted(await post(guarded, source, packed, headers, sign=signature(source, packed)))
    [sent] = world.publisher.sent
    assert Delivery.model_validate_json(sent.value).payload == ISSUE[source].payload
    for encoding, status in (("deflate", 400), ("br", 415)):
        broken = headers | {"Content-Encoding": encoding}
        await problem(await post(guarded, source, packed, broken, sign=signature(source, packed)), status)


@pytest.mark.parametrize("project", [None, "", "jobs", "a b", "a:b", "x" * 65])
async def test_a_webhook_names_its_project(guarded: Client, world: World, project: str | None) -> None:
    answer = await post(guarded, "sentry", b"{}", sign=signature("sentry", b"{}"), project=project)
    assert "project_id" in await refused(world, answer)


# ---- without a signature ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("secret_stands", [False, True])
async def test_unsigned_a_key_that_may_ingest_is_enough(
    guarded: Client, world: World, source: str, secret_stands: bool
) -> None:
    if secret_stands:
        await stand(world, source)
    body, headers = raw(EVENTS[source]), EVENTS[source].headers
    key, reader = await world.key("ingest"), await world.key("read")
    theirs = await world.key("ingest", project="p2")
    world.publisher.sent.clear()
    assert "API key" in await refused(world, await post(guarded, source, body, headers))
    await refused(world, await post(guarded, source, body, headers | {"X-API-Key": "sc_no"}))
    await refused(world, await post(guarded, source, body, headers | reader), 403)
    await refused(world, await post(guarded, source, body, headers | theirs), 404)
    for project in ("p1", None):
        told = await accepted(await post(guarded, source, body, headers | key, project=project))
        assert told.project_id == "p1"


@pytest.mark.parametrize("source", SOURCES)
async def test_where_a_secret_stands_the_local_owner_signs_as_well(world: World, client: Client, source: str) -> None:
    [other] = set(SOURCES) - {source}
    body, headers = raw(EVENTS[source]), EVENTS[source].headers
    await accepted(await post(client, source, body, headers))
    await stand(world, source)
    assert "no signature" in await refused(world, await post(client, source, body, headers))
    await accepted(await post(client, source, body, headers | await world.key("ingest")))
    await accepted(await post(client, source, body, headers, project="p2"))
    await accepted(await post(client, other, raw(EVENTS[other]), EVENTS[other].headers))
    await problem(await post(client, source, body, headers, project=None), 400)


async def test_whoever_may_only_send_feedback_deletes_nothing(guarded: Client, world: World) -> None:
    gone = load("github", "issue_deleted")
    ingests, writes = await world.key("ingest"), await world.key("ingest", "write")
    world.publisher.sent.clear()
    assert "write" in await refused(world, await post(guarded, "github", raw(gone), gone.headers | ingests), 403)
    assert len((await accepted(await post(guarded, "github", raw(gone), gone.headers | writes))).ids) == 1
    await stand(world, "github")
    signed_right = signature("github", raw(gone))
    await accepted(await post(guarded, "github", raw(gone), gone.headers, sign=signed_right))


async def test_what_the_plugin_and_sdks_post_is_taken(guarded: Client, world: World) -> None:
    key = await world.key("ingest")
    for name in ("plugin", "sdk_event", "sdk_message", "mixed"):
        told = await accepted(await post(guarded, "sentry", raw(load("sentry", name)), key))
        assert told.id is not None


# ---- limits, and what is away ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("signs", [True, False])
async def test_a_delivery_may_have_a_megabyte(world: World, client: Client, source: str, signs: bool) -> None:
    if signs:
        await stand(world, source)
    body = raw(ISSUE[source])
    for size, status in ((MAX_BATCH_BYTES, 202), (MAX_BATCH_BYTES + 1, 413)):
        sized = body + b" " * (size - len(body))
        sign = signature(source, sized) if signs else None
        answer = await post(client, source, sized, ISSUE[source].headers, sign=sign)
        assert answer.status == status
        packed = gzip.compress(sized)
        answer = await post(
            client,
            source,
            packed,
            ISSUE[source].headers | {"Content-Encoding": "gzip"},
            sign=signature(source, packed) if signs else None,
        )
        assert answer.status == status
    await problem(answer, 413)


@pytest.mark.parametrize("sign", ["0" * 64, None])
async def test_what_is_larger_is_not_read_to_its_end(world: World, client: Client, sign: str | None) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65536

    headers = {"Content-Type": "application/json"}
    if sign is not None:
        await stand(world, "sentry")
        headers["Sentry-Hook-Signature"] = sign
    answer = await client.post("/ingest/sentry", params={"project_id": "p1"}, data=endless(), headers=headers)
    await refused(world, answer, 413)


async def test_only_what_is_signed_counts_for_the_project(world: World) -> None:
    await world.rate_limits.close()
    world.rate_limits = world.limits(per_key=18, per_project=24)  # three and four in a window
    await stand(world, "sentry")
    await stand(world, "github")
    await stand(world, "sentry", project="p2")
    bodies = {source: raw(ISSUE[source]) for source in SOURCES}
    async with TestClient(TestServer(world.app(keyless=False))) as client:

        async def send(source: str, project: str = "p1", secret: str = SECRET) -> ClientResponse:
            return await post(
                client, source, bodies[source], sign=signature(source, bodies[source], secret), project=project
            )

        assert [(await send("sentry", secret=OTHER)).status for _ in range(6)] == [401] * 6
        assert [(await send("sentry")).status for _ in range(3)] == [202] * 3
        answer = await send("sentry")
        await problem(answer, 429)
        assert int(answer.headers["Retry-After"]) > 0
        assert (await send("sentry", "p2")).status == 202  # another project's are counted apart
        assert (await send("github")).status == 429  # all of the project together: the fifth


@pytest.mark.parametrize("source", SOURCES)
async def test_it_is_answered_while_nobody_reads(world: World, guarded: Client, source: str) -> None:
    """Kafka and Redis are all that it takes: no item comes of it yet, and none was looked for."""
    await stand(world, source)
    body = raw(ISSUE[source])
    told = await accepted(await post(guarded, source, body, ISSUE[source].headers, sign=signature(source, body)))
    assert told.id is not None
    assert await world.read_model.feedback.get("p1", told.id) is None


@pytest.mark.parametrize("source", SOURCES)
async def test_without_kafka_it_is_to_be_sent_again(world: World, guarded: Client, source: str) -> None:
    await stand(world, source)
    body = raw(ISSUE[source])
    world.publisher.fail = KafkaUnavailable()
    answer = await post(guarded, source, body, sign=signature(source, body))
    await problem(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    world.publisher.fail = None
    await accepted(await post(guarded, source, body, sign=signature(source, body)))


@pytest.mark.parametrize("keyless", [True, False])
@pytest.mark.parametrize("signs", [True, False])
async def test_without_redis_it_is_to_be_sent_again(fragile: World, keyless: bool, signs: bool) -> None:
    await stand(fragile, "sentry")
    key = await fragile.key("ingest")
    fragile.publisher.sent.clear()
    body = raw(ISSUE["sentry"])
    async with TestClient(TestServer(fragile.app(keyless=keyless))) as client:
        fragile.redis.kill()
        answer = await post(client, "sentry", body, key, sign=signature("sentry", body) if signs else None)
        await refused(fragile, answer, 503)
        assert int(answer.headers["Retry-After"]) > 0


# ---- whatever there is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "body", [b"", b"{", b"payload={}", b"\xff", b"nan", b'{"a": NaN}', b"1" * 5000, b"[" * 100_000]
)
async def test_what_is_no_json_is_refused(world: World, client: Client, source: str, body: bytes) -> None:
    await refused(world, await post(client, source, body), 400)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("opening", ["[", '{"a":'])
async def test_however_deep_it_is_there_is_an_answer(client: Client, source: str, opening: str) -> None:
    closing = {"[": "]", '{"a":': "}"}[opening]
    statuses = {
        depth: (await post(client, source, (opening * depth + "1" + closing * depth).encode())).status
        for depth in (100, 190, 210, 250, 260, 400, 490, 1000, 20_000)
    }
    assert set(statuses.values()) == {202, 400}
    assert sorted(statuses, key=lambda depth: statuses[depth]) == sorted(statuses)  # up to some depth, and no deeper
    for depth in (260, 20_000):
        answer = await post(client, source, (opening * depth + "1" + closing * depth).encode())
        said = (await problem(answer, 400))["detail"]
        assert "too deep" in said or "recursion" in said
        assert "serializ" not in said


async def test_a_header_that_is_no_text_is_read_as_one(world: World, client: Client) -> None:
    """By hand, for aiohttp's client sends text alone."""
    assert client.port is not None
    body = raw(ISSUE["sentry"])
    for name, status in ((b"Sentry-Hook-Resource", b"202"), (b"Sentry-Hook-Signature", b"401")):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(
            b"POST /ingest/sentry?project_id=p1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\n%b: issue\xff\r\nContent-Length: %d\r\n\r\n%b" % (name, len(body), body)
        )
        assert (await reader.read()).split(b" ")[1] == status
        writer.close()
    [sent] = world.publisher.sent
    assert Delivery.model_validate_json(sent.value).headers == {"sentry-hook-resource": "issue\ufffd"}


words = st.sampled_from(["issues", "issue_comment", "ping", "issue", "event_alert", "metric_alert", "comment", "\xff"])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    source=st.sampled_from(SOURCES),
    body=anything
    | st.dictionaries(
        st.sampled_from(["data", "issue", "event", "exception", "id", "title", "event_id", "action", "zen"]),
        anything
        | st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("issue", "event", "id", "title", "metric_alert"), anything)
        ),
    ),
    header=st.none() | words,
)
async def test_anything(world: World, client: Client, source: str, body: Any, header: str | None) -> None:
    name = {"github": "X-GitHub-Event", "sentry": "Sentry-Hook-Resource"}[source]
    sent_body = json.dumps(body).encode()
    await world.empty()
    answer = await post(client, source, sent_body, {} if header is None else {name: header})
    assert answer.status in {200, 202, 400}, await answer.text()
    if answer.status == 400:
        assert b"NaN" in sent_body or b"Infinity" in sent_body
    elif answer.status == 202:
        [sent] = world.publisher.sent
        told = DeliveryOut.model_validate(await answer.json())
        contents = read(Record(sent.topic, 0, 0, int(NOW.timestamp() * 1000), sent.key, sent.value))
        assert {one.item.id for one in contents.items} <= set(told.ids)
        assert contents.items or contents.deleted or contents.refused
    else:
        assert world.publisher.sent == []
