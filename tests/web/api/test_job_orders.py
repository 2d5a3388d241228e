"""What the program of a job gets: its order, and credentials for one use each."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.domain.fixes.document import Document
from soulcaster.domain.fixes.fix import Fix, FixOptions, Target
from soulcaster.domain.fixes.order import AgentOrder, Author, Report
from soulcaster.domain.fixes.outcome import FixOutcome
from soulcaster.domain.fixes.plan import PlannedFix, new_plan
from soulcaster.domain.lifecycle import Job, JobStep
from soulcaster.services.credentials import AT_MOST, ModelAccess
from soulcaster.services.job_orders import OrderDefaults
from soulcaster.services.person_tokens import PersonTokens
from soulcaster.services.webhook_secrets import Seal
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.job_orders import JobOrderOut
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.project_config import ProjectConfig, StoredConfig
from tests.support.answers import problem
from tests.support.make import NOW
from tests.support.web import FIXES, JOB_TOKENS, SECRETS_KEY, Client, World

AGENT = AgentOrder("opencode", "some-model", "openai", usd_per_million=(1.0, 2.0))
TARGET = Target("acme/shop", "main", "a" * 40)
FIX = Fix("j1", "c1", "Late card", "kim", NOW, branch="soulcaster/fix-c1-1", options=FixOptions("local", TARGET))
JOB = Job("j1", "p1", "c1", "launching", 0, NOW, NOW, launch=1, fence=7, launched_at=NOW, fix=FIX)
TOKEN = {"Authorization": f"Bearer {JOB_TOKENS.issue(JOB)}"}
MODEL = ModelAccess("https://model.example/v1", "sk-model")
ORDERS = OrderDefaults(
    Author("Bot", "bot@example.org"), "https://git.example", "https://api.example", "https://s.example"
)


@pytest_asyncio.fixture
async def launched(world: World) -> AsyncIterator[Client]:
    """A server with a coding agent and a model, which has no credential of its own; the job j1 is launched."""
    await world.fill()
    await put(world)
    app = world.app(
        keyless=False,
        model=MODEL,
        orders=ORDERS,
        fixes=replace(FIXES, agent=AGENT, price_known=True, keeps_tokens=True),
    )
    async with TestClient(TestServer(app)) as client:
        yield client


async def put(world: World, *steps: JobStep) -> None:
    first = JobStep("a", "j1", "p1", "c1", 0, "approved", NOW, fix=FIX, offset=3)
    claim = JobStep("b", "j1", "p1", "c1", 1, "launching", NOW, launch=1, offset=7)
    await world.read_model.writer.put_job_steps([first, claim, *steps])


async def ask(client: Client, use: str, **headers: str) -> Any:
    answer = await client.post("/jobs/j1/credentials", json={"use": use}, headers=headers or TOKEN)
    assert answer.status == 200, await answer.text()
    assert answer.headers["Cache-Control"] == "no-store"
    return await answer.json()


async def test_the_order_says_all_that_a_job_is_to_do(world: World, launched: Client) -> None:
    config = ProjectConfig.model_validate({"fix": {"test": "make check", "hosts": ["example.org"], "fork": True}})
    await world.read_model.writer.put_project_config("p1", StoredConfig(1, config, NOW, "kim"))
    answer = await launched.get("/jobs/j1/order", headers=TOKEN)
    assert answer.status == 200, await answer.text()
    order = JobOrderOut.model_validate(await answer.json()).root
    assert (order.job_id, order.branch, order.title, order.items) == ("j1", "soulcaster/fix-c1-1", "Late card", 3)
    assert (order.target, order.agent, order.author) == (TARGET, AGENT, ORDERS.author)
    assert (order.rules.test, order.rules.hosts, order.rules.fork) == ("make check", ("example.org",), True)
    assert (order.git_url, order.api_url) == ("https://git.example", "https://api.example")
    assert order.cluster_url == "https://s.example/app/projects/p1/clusters/c1"
    assert order.pushed_to is None
    assert "sk-model" not in await answer.text()


async def test_the_order_says_where_an_earlier_launch_pushed_to(world: World, launched: Client) -> None:
    made = FixOutcome(repository="kim/shop")
    await put(world, JobStep("c", "j1", "p1", "c1", 2, "publishing", NOW, token=7, offset=9, outcome=made))
    answer = await launched.get("/jobs/j1/order", headers=TOKEN)
    assert JobOrderOut.model_validate(await answer.json()).root.pushed_to == "kim/shop"


async def test_only_the_program_of_the_present_launch_gets_them(world: World, launched: Client) -> None:
    admin = await world.key("admin")
    for headers in (admin, {}):
        assert (await launched.get("/jobs/j1/order", headers=headers)).status in {401, 403}
        refused = await launched.post("/jobs/j1/credentials", json={"use": "model"}, headers=headers)
        assert refused.status in {401, 403}
    await put(
        world,
        JobStep("c", "j1", "p1", "c1", 2, "approved", NOW, token=7, offset=9),
        JobStep("d", "j1", "p1", "c1", 3, "launching", NOW, launch=2, token=7, offset=12),
    )
    await problem(await launched.get("/jobs/j1/order", headers=TOKEN), 409)
    await problem(await launched.post("/jobs/j1/credentials", json={"use": "model"}, headers=TOKEN), 409)


async def test_a_job_that_has_ended_gets_no_credential(world: World, launched: Client) -> None:
    await put(world, JobStep("c", "j1", "p1", "c1", 2, "cancelled", NOW, offset=9))
    await problem(await launched.post("/jobs/j1/credentials", json={"use": "publish"}, headers=TOKEN), 409)


async def test_the_key_of_the_model_goes_to_the_program_and_nowhere_else(launched: Client) -> None:
    assert await ask(launched, "model") == {"use": "model", "secret": "sk-model", "url": "https://model.example/v1"}


async def test_the_token_of_the_person_who_asked_is_kept_sealed_until_the_job_ends(
    world: World, launched: Client
) -> None:
    assert (await ask(launched, "clone"))["secret"] == "", "a public repository needs none"
    assert "X-GitHub-Token" in (await problem(await publish(launched), 422))["detail"]
    tokens = PersonTokens(world.read_model.person_tokens, Seal(SECRETS_KEY))
    await tokens.keep("j1", "ghp_of_kim", launch_seconds=60)
    assert (await ask(launched, "publish"))["secret"] == "ghp_of_kim"  # noqa: S105
    stored = await world.read_model.person_tokens.get("j1")
    assert stored is not None
    assert "ghp" not in stored
    await put(world, JobStep("c", "j1", "p1", "c1", 2, "cancelled", NOW, offset=9))
    assert await world.read_model.person_tokens.get("j1") is None


async def publish(client: Client) -> Any:
    return await client.post("/jobs/j1/credentials", json={"use": "publish"}, headers=TOKEN)


async def test_the_request_for_a_fix_brings_the_token_and_kafka_never_has_it(world: World, launched: Client) -> None:
    config = ProjectConfig(repositories=("acme/shop",))
    await world.read_model.writer.put_project_config("p1", StoredConfig(1, config, NOW, "kim"))
    await world.fill(cluster="c2")
    headers = {**await world.key("launch"), "X-GitHub-Token": "ghp_of_kim"}
    answer = await launched.post("/clusters/c2/start_fix", params={"backend": "local"}, headers=headers)
    assert answer.status == 202, await answer.text()
    tokens = PersonTokens(world.read_model.person_tokens, Seal(SECRETS_KEY))
    assert await tokens.of((await answer.json())["job_id"]) == "ghp_of_kim"
    assert [message for message in world.publisher.sent if b"ghp_of_kim" in message.value] == []
    assert ClusterCommand.model_validate_json(world.publisher.sent[-1].value).command.type == "start_fix"


async def test_a_job_that_asks_too_often_has_to_wait(launched: Client) -> None:
    for _ in range(AT_MOST):
        await ask(launched, "clone")
    await problem(await launched.post("/jobs/j1/credentials", json={"use": "clone"}, headers=TOKEN), 429)


@pytest.mark.parametrize("path", ["/jobs/j2/order", "/jobs/nobody/order"])
async def test_a_job_token_is_for_its_own_job(launched: Client, path: str) -> None:
    assert (await launched.get(path, headers=TOKEN)).status == 404


async def test_what_a_job_made_is_kept_as_plain_text(world: World, launched: Client) -> None:
    outcome = {
        "files": ["a.py", "<b>\u202eb\n.py"],
        "added": 2,
        "before": {"status": "failed", "failed": 1},
        "after": {"status": "passed", "passed": 2},
        "flags": ["x" * 900],
        "shows_bug": True,
    }
    answer = await launched.patch("/jobs/j1", json={"state": "running", "outcome": outcome}, headers=TOKEN)
    assert answer.status == 202, await answer.text()
    event = JobEvent.model_validate_json(world.publisher.sent[-1].value)
    assert event.outcome is not None
    assert event.outcome.files == ("a.py", "<b>b .py")
    assert len(event.outcome.flags[0]) == 500
    shown = (await answer.json())["job"]["outcome"]
    assert (shown["after"]["passed"], shown["shows_bug"]) == (2, True)


async def test_what_a_job_made_shows_no_secret(world: World, launched: Client) -> None:
    secret = "ghp_" + "a1B2" * 9
    outcome = {
        "files": [f"{secret}.py"],
        "flags": [f"it prints {secret}", "ok"],
        "blocked_hosts": [f"{secret}.example"],
    }
    answer = await launched.patch("/jobs/j1", json={"outcome": outcome}, headers=TOKEN)
    assert answer.status == 202, await answer.text()
    assert secret.encode() not in world.publisher.sent[-1].value
    event = JobEvent.model_validate_json(world.publisher.sent[-1].value)
    assert event.outcome is not None
    assert event.outcome.flags[1] == "ok"


@pytest.mark.parametrize("count", [-1, 2**63, 10**30])
async def test_a_number_that_nothing_can_write_is_refused(world: World, launched: Client, count: int) -> None:
    answer = await launched.patch("/jobs/j1", json={"outcome": {"tokens_in": count}}, headers=TOKEN)
    await problem(answer, 422)
    assert world.publisher.sent == []


async def test_the_order_has_brief_and_plan_and_where_reports_are(world: World, launched: Client) -> None:
    items = await world.fill(cluster="c1")
    hostile = replace(items[0], url="javascript:alert(1)", id="hostile")
    linked = replace(items[1], url="https://github.com/acme/shop/issues/1", id="linked")
    await world.read_model.writer.put_items("p1", [hostile, linked])
    brief = Document("b" * 64, "p1", "c1", "brief", "# Brief", NOW, ("hostile", "linked", "deleted since"))
    plan = new_plan("p1", "c1", PlannedFix("The plan", "Look first."), by="kim", at=NOW)
    await world.read_model.writer.put_documents([brief, plan.document()])
    options = replace(FIX.options, brief_id=brief.id, plan_id=plan.id)
    fix = replace(FIX, options=options)
    await world.read_model.writer.put_job_steps([JobStep("e", "j1", "p1", "c1", 2, "running", NOW, fix=fix, offset=9)])
    order = JobOrderOut.model_validate(await (await launched.get("/jobs/j1/order", headers=TOKEN)).json()).root
    assert (order.brief, order.plan) == ("# Brief", "The plan\n\nLook first.")
    assert order.reports == (Report("manual", None), Report("manual", "https://github.com/acme/shop/issues/1"))


async def test_a_brief_that_is_not_shown_yet_is_worth_waiting_for(world: World, launched: Client) -> None:
    options = replace(FIX.options, brief_id="b" * 64)
    fix = replace(FIX, options=options)
    await world.read_model.writer.put_job_steps([JobStep("e", "j1", "p1", "c1", 2, "running", NOW, fix=fix, offset=9)])
    await problem(await launched.get("/jobs/j1/order", headers=TOKEN), 503)
