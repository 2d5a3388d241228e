"""The client of E2B: what it asks, and what it makes of every answer. The SDK itself runs, against a server of ours."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from soulcaster.adapters.e2b import E2bSandboxes
from soulcaster.errors import SandboxGone, SandboxRefused, Unavailable
from soulcaster.ports.sandboxes import Sandbox
from tests.support.e2b_server import KEY, E2bServer

LAUNCH = "11111111-2222-3333-4444-555555555555-1"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[E2bServer]:
    async with E2bServer(tmp_path) as server:
        yield server


@pytest.fixture
def client(server: E2bServer) -> E2bSandboxes:
    return server.client()


# ---- what it asks ----------------------------------------------------------------------------------------------------


async def test_a_sandbox_is_created_from_the_template_and_found_by_its_launch(server: E2bServer) -> None:
    client = server.client(template="kilo")
    created = await client.create(LAUNCH, 1_234)
    assert await client.find(LAUNCH) == [created]
    (asked,) = server.created_with
    assert (asked["templateID"], asked["timeout"], asked["autoPause"]) == ("kilo", 1_234, False)
    assert asked["metadata"] == {"soulcaster-launch": LAUNCH}
    assert asked["envVars"] == {}


async def test_other_launches_are_not_found(client: E2bSandboxes) -> None:
    await client.create(LAUNCH, 60)
    assert await client.find(f"{LAUNCH}1") == []


async def test_sandboxes_are_found_on_all_pages_and_the_oldest_first(server: E2bServer, client: E2bSandboxes) -> None:
    server.page = 2
    ids = [server.add(LAUNCH).id for _ in range(5)]
    assert [sandbox.id for sandbox in await client.find(LAUNCH)] == ids
    assert server.calls == ["list"] * 3


async def test_a_paused_sandbox_is_found_and_never_resumed(server: E2bServer, client: E2bSandboxes) -> None:
    sandbox = server.add(LAUNCH)
    sandbox.state = "paused"
    assert await client.find(LAUNCH) == [Sandbox(sandbox.id, paused=True)]
    with pytest.raises(SandboxGone):
        await client.run(Sandbox(sandbox.id), "true", {})
    assert sandbox.state == "paused"


async def test_a_script_gets_its_variables_and_tells_its_end(client: E2bSandboxes) -> None:
    sandbox = await client.create(LAUNCH, 60)
    result = await client.run(sandbox, 'echo "$GREETING"; echo no >&2; exit 7', {"GREETING": "hello"})
    assert (result.code, result.output, result.errors) == (7, "hello\n", "no\n")


async def test_another_process_runs_scripts_in_the_same_sandbox(server: E2bServer, client: E2bSandboxes) -> None:
    sandbox = await client.create(LAUNCH, 60)
    await client.run(sandbox, "echo here >file", {})
    other = server.client()
    assert (await other.run(sandbox, "cat file", {})).output == "here\n"
    await other.run(sandbox, "true", {})
    assert server.calls.count("connect") == 1


async def test_running_a_script_does_not_change_the_time_to_live(server: E2bServer, client: E2bSandboxes) -> None:
    sandbox = server.add(LAUNCH)
    await client.run(Sandbox(sandbox.id), "true", {})
    assert sandbox.seconds == 3_600
    await client.prolong(Sandbox(sandbox.id), 7_200)
    assert sandbox.seconds == 7_200


async def test_a_removed_sandbox_is_gone_and_may_be_removed_again(server: E2bServer, client: E2bSandboxes) -> None:
    sandbox = await client.create(LAUNCH, 60)
    await client.remove(sandbox)
    await client.remove(sandbox)
    assert server.sandboxes == {}
    with pytest.raises(SandboxGone):
        await client.prolong(sandbox, 60)


@pytest.mark.parametrize("is_connected", [True, False])
async def test_a_script_in_a_sandbox_that_is_gone_says_so(server: E2bServer, is_connected: bool) -> None:
    client = server.client()
    sandbox = server.add(LAUNCH)
    if is_connected:
        await client.run(Sandbox(sandbox.id), "true", {})
    server.drop(sandbox)
    with pytest.raises(SandboxGone):
        await client.run(Sandbox(sandbox.id), "true", {})


async def test_debug_mode_of_the_sdk_is_off(server: E2bServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E2B_DEBUG", "true")
    client = server.client()
    sandbox = await client.create(LAUNCH, 60)
    assert sandbox.id in server.sandboxes
    await client.remove(sandbox)
    assert server.sandboxes == {}


async def test_the_sdk_s_own_variables_give_the_addresses(server: E2bServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E2B_API_URL", server.url)
    monkeypatch.setenv("E2B_SANDBOX_URL", server.url)
    client = E2bSandboxes(KEY, "base")
    assert (await client.run(await client.create(LAUNCH, 60), "echo here", {})).output == "here\n"


# ---- repeated requests -----------------------------------------------------------------------------------------------


async def test_after_a_lost_answer_the_same_sandbox_comes_again(server: E2bServer, client: E2bSandboxes) -> None:
    server.lose_answer("create")
    with pytest.raises(Unavailable):
        await client.create(LAUNCH, 60)
    created = await server.client().create(LAUNCH, 60)
    assert list(server.sandboxes) == [created.id]


async def test_after_its_removal_the_same_sandbox_comes_again(server: E2bServer, client: E2bSandboxes) -> None:
    first = await client.create(LAUNCH, 60)
    await client.remove(first)
    assert await client.create(LAUNCH, 60) == first
    assert server.sandboxes == {}


async def test_while_another_process_creates_it_the_request_waits(server: E2bServer, client: E2bSandboxes) -> None:
    gate = asyncio.Event()
    server.creations.append(gate)

    async def open_after_two(_: object) -> None:
        if server.calls.count("create") == 3:
            gate.set()

    server.before = open_after_two
    first, second = await asyncio.gather(client.create(LAUNCH, 60), server.client().create(LAUNCH, 60))
    assert first == second
    assert len(server.all_sandboxes) == 1


@pytest.mark.parametrize("status", [500, 503])
async def test_after_a_recorded_failure_every_process_comes_to_the_same_sandbox(
    server: E2bServer, client: E2bSandboxes, status: int
) -> None:
    server.failures.append((status, {"code": status, "message": "A node could not create the sandbox"}))
    with pytest.raises(Unavailable):
        await client.create(LAUNCH, 60)
    created = await client.create(LAUNCH, 60)
    other = server.client()
    with pytest.raises(Unavailable):  # the recorded failure
        await other.create(LAUNCH, 60)
    assert await other.create(LAUNCH, 60) == created
    assert len(server.all_sandboxes) == 1


async def test_what_a_gateway_answers_is_no_recorded_failure(server: E2bServer, client: E2bSandboxes) -> None:
    server.lose_answer("create")
    with pytest.raises(Unavailable):
        await client.create(LAUNCH, 60)
    for status in (429, 502, 504):
        server.answer("create", status, "slow down")
        with pytest.raises(Unavailable):
            await client.create(LAUNCH, 60)
    server.answer("create", 503, json.dumps({"code": 503, "message": "retry with the same Idempotency-Key"}))
    with pytest.raises(Unavailable):
        await client.create(LAUNCH, 60)
    await client.create(LAUNCH, 60)
    assert len(server.all_sandboxes) == 1


async def test_other_settings_for_the_same_launch_are_refused(server: E2bServer, client: E2bSandboxes) -> None:
    await client.remove(await client.create(LAUNCH, 60))
    with pytest.raises(SandboxRefused, match="settings have changed"):
        await client.create(LAUNCH, 61)
    assert len(server.all_sandboxes) == 1


# ---- what E2B refuses ------------------------------------------------------------------------------------------------


async def test_a_wrong_key_names_its_setting(server: E2bServer) -> None:
    client = server.client(key="e2b_wrong")
    for call in (client.find(LAUNCH), client.create(LAUNCH, 60), client.remove(Sandbox("i1"))):
        with pytest.raises(SandboxRefused, match="E2B_API_KEY"):
            await call


async def test_a_missing_key_names_its_setting(server: E2bServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("E2B_API_KEY", raising=False)
    with pytest.raises(SandboxRefused, match="E2B_API_KEY"):
        await server.client(key="").find(LAUNCH)


@pytest.mark.parametrize("template", ["nowhere", "foreign"])
async def test_a_template_that_cannot_be_used_is_named_with_its_setting(server: E2bServer, template: str) -> None:
    with pytest.raises(SandboxRefused, match=f"{template}.*KILOCODE_TEMPLATE_NAME"):
        await server.client(template=template).create(LAUNCH, 60)


async def test_a_time_to_live_above_the_plan_names_the_settings(server: E2bServer, client: E2bSandboxes) -> None:
    server.most_hours = 1
    with pytest.raises(SandboxRefused, match=r"3601 seconds.*greater than 1 hours.*SANDBOX_AGENT_TIMEOUT_SECONDS"):
        await client.create(LAUNCH, 3_601)


async def test_the_limit_of_sandboxes_at_once_is_a_refusal(server: E2bServer, client: E2bSandboxes) -> None:
    server.most_sandboxes = 0
    with pytest.raises(SandboxRefused, match="no more sandboxes"):
        await client.create(LAUNCH, 60)


async def test_any_other_400_is_a_refusal(server: E2bServer, client: E2bSandboxes) -> None:
    server.failures.append((400, {"code": 400, "message": "Invalid template reference"}))
    with pytest.raises(SandboxRefused, match="Invalid template reference"):
        await client.create(LAUNCH, 60)


# ---- when E2B does not answer ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["", "<html>", "[]", "{}", '{"code": 500, "message": "Error"}'])
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_an_error_of_the_server_is_unavailable_whatever_its_body(
    server: E2bServer, client: E2bSandboxes, status: int, body: str
) -> None:
    sandbox = server.add(LAUNCH)
    server.answer("list", status, body)
    server.answer("timeout", status, body)
    server.answer("remove", status, body)
    for call in (client.find(LAUNCH), client.prolong(Sandbox(sandbox.id), 1), client.remove(Sandbox(sandbox.id))):
        with pytest.raises(Unavailable):
            await call
    assert sandbox.id in server.sandboxes


@pytest.mark.parametrize("body", ["", "<html>", "[{}]", "null", '[{"sandboxID": 1}]'])
async def test_an_answer_that_cannot_be_read_is_unavailable(server: E2bServer, client: E2bSandboxes, body: str) -> None:
    server.answer("list", 200, body)
    with pytest.raises(Unavailable):
        await client.find(LAUNCH)
    server.answer("create", 201, body)
    with pytest.raises(Unavailable):
        await client.create(LAUNCH, 60)


@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_a_lost_call_of_any_kind_is_unavailable(server: E2bServer, lost: str) -> None:
    lose = server.lose_request if lost == "request" else server.lose_answer
    sandbox = Sandbox(server.add(LAUNCH).id)
    for name in ("list", "create", "info", "connect", "timeout", "run", "remove"):
        lose(name)
        client = server.client()
        calls = {
            "list": lambda client=client: client.find(LAUNCH),
            "create": lambda client=client: client.create(LAUNCH, 60),
            "timeout": lambda client=client: client.prolong(sandbox, 60),
            "remove": lambda client=client: client.remove(sandbox),
        }
        with pytest.raises(Unavailable):
            await calls.get(name, lambda client=client: client.run(sandbox, "true", {}))()


@pytest.mark.parametrize("status", [403, 404, 429, 500, 502, 503])
async def test_an_error_of_the_way_to_the_sandbox_is_unavailable(
    server: E2bServer, client: E2bSandboxes, status: int
) -> None:
    sandbox = await client.create(LAUNCH, 60)
    server.answer("run", status, json.dumps({"code": status, "message": "The sandbox is running but port is not open"}))
    with pytest.raises(Unavailable):
        await client.run(sandbox, "true", {})


async def test_a_server_that_is_not_there_is_unavailable(server: E2bServer, unused_tcp_port: int) -> None:
    nowhere = f"http://127.0.0.1:{unused_tcp_port}"
    client = E2bSandboxes(KEY, "base", api_url=nowhere, sandbox_url=nowhere)
    with pytest.raises(Unavailable):
        await client.find(LAUNCH)


# ---- secrets ---------------------------------------------------------------------------------------------------------


async def test_neither_the_key_nor_a_variable_is_printed_or_logged(
    server: E2bServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    client = server.client()
    errors: list[BaseException] = []
    sandbox = await client.create(LAUNCH, 60)
    await client.run(sandbox, "true", {"JOB_TOKEN": "scj_secret"})
    server.answer("run", 500, '{"code": "internal", "message": "error"}')
    server.lose_answer("remove")
    for call in (client.run(sandbox, "true", {"JOB_TOKEN": "scj_secret"}), client.remove(sandbox)):
        with pytest.raises(Unavailable) as raised:
            await call
        errors += [raised.value, raised.value.__cause__ or raised.value]
    printed = "".join(capfd.readouterr()) + caplog.text + "".join(map(repr, errors)) + "".join(map(str, errors))
    assert KEY not in printed
    assert "scj_secret" not in printed
