"""Webhook secrets: two stand at a time, what is stored is sealed, and none is shown again."""

import hashlib
import hmac
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import structlog
from cryptography.fernet import Fernet
from structlog.testing import capture_logs

from soulcaster.domain.webhook_secrets import signed
from soulcaster.errors import BadInput, RedisUnavailable
from soulcaster.processes import logs
from soulcaster.services import webhook_secrets as webhooks
from soulcaster.services.project_config import CACHED_SECONDS
from soulcaster.services.webhook_secrets import Seal, SecretUnreadable
from soulcaster.web.api.webhook_secrets.models import NewWebhookSecretOut, WebhookSecretOut
from soulcaster.wire.control import WebhookSecretDefined, control_message
from tests.support.answers import problem
from tests.support.make import NOW
from tests.support.web import SECRETS_KEY, Client, World

HERE = {"project_id": "p1"}
VENDORS = "a-vendors-client-secret-9f3c"


async def add(client: Client, source: str = "sentry", given: str | None = VENDORS, status: int = 201) -> Any:
    body = {"source": source} if given is None else {"source": source, "secret": given}
    answer = await client.post("/webhook-secrets", params=HERE, json=body)
    assert answer.status == status, await answer.text()
    return await answer.json(content_type=None)


async def test_one_that_is_given_is_stored_sealed_and_not_shown(world: World, client: Client) -> None:
    with capture_logs() as said:
        made = await add(client)
    NewWebhookSecretOut.model_validate(made)
    assert (made["secret"], made["last4"], made["source"]) == (None, "9f3c", "sentry")
    listed = await (await client.get("/webhook-secrets", params=HERE)).json()
    WebhookSecretOut.model_validate(listed[0])
    assert [(one["id"], one["last4"]) for one in listed] == [(made["id"], "9f3c")]
    assert all("sealed" not in one and "secret" not in one for one in listed)
    [sent] = world.publisher.sent
    assert sent.key == f"webhook:p1:{made['id']}".encode()
    assert isinstance(control_message(sent.value), WebhookSecretDefined)
    [kept] = await world.read_model.webhook_secrets.list("p1")
    for shown in (sent.value.decode(), str(kept), str(listed), str(made), str(said)):
        assert VENDORS not in shown
    assert await world.webhooks().valid_secrets("p1", "sentry") == (VENDORS.encode(),)


async def test_one_that_is_made_is_shown_once(world: World, client: Client) -> None:
    made = await add(client, "github", None)
    assert len(made["secret"]) == 43
    assert made["secret"].endswith(made["last4"])
    assert made["secret"] not in await (await client.get("/webhook-secrets", params=HERE)).text()
    assert await world.webhooks().valid_secrets("p1", "github") == (made["secret"].encode(),)
    assert (await add(client, "github", None))["secret"] != made["secret"]


async def test_two_stand_while_one_takes_over(world: World, client: Client) -> None:
    old = await add(client)
    world.now = NOW + timedelta(seconds=1)
    new = await add(client, given="the-next-client-secret")
    await add(client, given="a-third-client-secret", status=409)
    await add(client, "github")  # of another source
    standing = await world.webhooks().valid_secrets("p1", "sentry")
    assert standing == (b"the-next-client-secret", VENDORS.encode())
    signature = hmac.new(VENDORS.encode(), b"body", hashlib.sha256).hexdigest()
    assert signed(b"body", signature, standing)
    answer = await client.delete(f"/webhook-secrets/{old['id']}", params=HERE)
    assert answer.status == 202
    assert (await answer.json())["removed_at"] == "2026-11-21T12:00:01Z"
    standing = await world.webhooks().valid_secrets("p1", "sentry")
    assert not signed(b"body", signature, standing)
    removed = control_message(world.publisher.sent[-1].value)
    assert isinstance(removed, WebhookSecretDefined)
    assert removed.sealed == ""
    await problem(await client.delete(f"/webhook-secrets/{old['id']}", params=HERE), 404)
    await problem(await client.delete(f"/webhook-secrets/{new['id']}", params={"project_id": "p2"}), 404)
    assert await world.webhooks().valid_secrets("p2", "sentry") == ()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"secret": VENDORS}, "source"),
        ({"source": "a b", "secret": VENDORS}, "source"),
        ({"source": "sentry", "secret": "short-5ecret"}, "secret"),
        ({"source": "sentry", "secret": "x5ecret" * 50}, "secret"),
        ({"source": "sentry", "secret": ["x5ecret" * 3]}, "secret"),
    ],
)
async def test_what_cannot_be_is_named_and_not_repeated(
    world: World, client: Client, body: dict[str, Any], field: str
) -> None:
    answer = await client.post("/webhook-secrets", params=HERE, json=body)
    assert "5ecret" not in await answer.text()
    details = await problem(answer, 422)
    assert details["errors"][0]["field"].split(".")[0] == field
    assert world.publisher.sent == []


async def test_an_error_of_ours_does_not_tell_it(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(world.publisher, "publish", broken)
    logs.configure("DEBUG")  # as a server logs, and not as structlog does by itself
    try:
        answer = await client.post("/webhook-secrets", params=HERE, json={"source": "sentry", "secret": VENDORS})
    finally:
        structlog.reset_defaults()
    await problem(answer, 500)
    said = capsys.readouterr().err
    assert "RuntimeError" in said
    assert VENDORS not in said + await answer.text()


# ---- those that stand ----------------------------------------------------------------------------------------------


async def test_they_are_remembered_for_seconds_and_no_longer(world: World, client: Client) -> None:
    made = await add(client)
    now = [0.0]
    known = world.webhooks(ticks=lambda: now[0])
    assert len(await known.valid_secrets("p1", "sentry")) == 1
    assert await known.valid_secrets("p1", "github") == ()
    await client.delete(f"/webhook-secrets/{made['id']}", params=HERE)
    now[0] = CACHED_SECONDS - 0.1
    assert len(await known.valid_secrets("p1", "sentry")) == 1
    now[0] = CACHED_SECONDS
    assert await known.valid_secrets("p1", "sentry") == ()


async def test_only_so_many_are_remembered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "CACHED_MOST", 2)
    known = world.webhooks(ticks=lambda: 0.0)
    made = (await known.create("p1", "sentry", VENDORS, by="me")).secret
    for project in ("p1", "p2", "p1", "p3"):
        await known.valid_secrets(project, "sentry")
    await known.remove("p1", made.id)
    assert await known.valid_secrets("p1", "sentry") == (VENDORS.encode(),)  # p2 gave way, not this
    await known.valid_secrets("p2", "sentry")
    await known.valid_secrets("p3", "sentry")
    assert await known.valid_secrets("p1", "sentry") == ()


async def test_without_redis_nobody_knows(fragile: World) -> None:
    fragile.redis.kill()
    with pytest.raises(RedisUnavailable):
        await fragile.webhooks().valid_secrets("p1", "sentry")


async def test_the_key_can_be_changed(world: World) -> None:
    await world.webhooks().create("p1", "sentry", VENDORS, by="me")
    new = Fernet.generate_key().decode()
    both = world.webhooks(f"{new}, {SECRETS_KEY}")
    assert await both.valid_secrets("p1", "sentry") == (VENDORS.encode(),)
    world.now = NOW + timedelta(seconds=1)
    await both.create("p1", "sentry", "made-by-the-new-key", by="me")
    only_new = world.webhooks(new)
    assert await only_new.valid_secrets("p1", "sentry") == (b"made-by-the-new-key",)


async def test_stored_secrets_are_sealed_with_the_newest_key(world: World) -> None:
    new, lost = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    await world.webhooks().create("p1", "sentry", VENDORS, by="me")
    await world.webhooks(lost).create("p2", "github", "cannot-be-read", by="me")
    both = world.webhooks(f"{new}, {SECRETS_KEY}")
    await both.create("p2", "sentry", "made-by-the-new-key", by="me")
    done = await both.reseal(["p1", "p2"])
    assert [(one.project_id, one.source) for one in done.resealed] == [("p1", "sentry")]
    assert [(one.project_id, one.source) for one in done.right] == [("p2", "sentry")]
    assert [(one.project_id, one.source) for one in done.unreadable] == [("p2", "github")]
    assert await world.webhooks(new).valid_secrets("p1", "sentry") == (VENDORS.encode(),)
    [secret] = await world.read_model.webhook_secrets.list("p1")
    assert (secret.id, secret.last4, secret.removed_at) == (done.resealed[0].id, VENDORS[-4:], None)
    assert not (await both.reseal(["p1"])).resealed


async def test_none_that_can_be_read_is_said(world: World) -> None:
    await world.webhooks().create("p1", "sentry", VENDORS, by="me")
    other = world.webhooks(Fernet.generate_key().decode())
    with pytest.raises(SecretUnreadable), capture_logs() as said:
        await other.valid_secrets("p1", "sentry")
    assert [(one["log_level"], one["event"]) for one in said] == [
        ("error", "a webhook secret was sealed with another key")
    ]


async def test_of_three_that_came_at_once_the_newest_two_stand(world: World) -> None:
    made = (await world.webhooks().create("p1", "sentry", VENDORS, by="me")).secret
    for n in (1, 2):
        later = replace(
            made, id=f"w{n}", sealed=Seal(SECRETS_KEY).close(f"s{n}"), created_at=NOW + timedelta(seconds=n)
        )
        await world.read_model.writer.put_webhook_secret(later)
    assert await world.webhooks().valid_secrets("p1", "sentry") == (b"s2", b"s1")


@pytest.mark.parametrize("keys", ["", "x", f"{SECRETS_KEY},", "a" * 44])
def test_what_is_no_key_is_not_repeated(keys: str) -> None:
    with pytest.raises(BadInput, match="SECRETS_KEY") as raised:
        Seal(keys)
    assert SECRETS_KEY not in repr(raised.value)
    assert raised.value.__cause__ is None
