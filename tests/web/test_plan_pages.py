"""Plans on the pages: shown before the button, written by a model or a person, and given to the fix."""

import re
from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.domain.commands import StartFix
from soulcaster.domain.fixes.plan import MAX_DESCRIPTION_CHARS, PlannedFix, new_plan
from soulcaster.errors import PlannerRefuses, PlannerUnavailable
from soulcaster.web.pages import outcomes
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.documents import JobDocument
from tests.support.answers import page
from tests.support.make import NOW
from tests.support.web import Client, FixedPlanner, World

CLUSTER = "/app/projects/p1/clusters/c1"
HOSTILE = "</textarea></pre><img src=x onerror=alert(1)>"
WRITTEN = PlannedFix("Find the wait", "Look where cards are sent.")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "OUTCOME_SECONDS", 0)


@pytest.fixture
def planner() -> FixedPlanner:
    return FixedPlanner(WRITTEN)


@pytest.fixture
async def planning(world: World, planner: FixedPlanner) -> AsyncIterator[Client]:
    """A client that is signed in to a server with a planner."""
    await world.fill()
    async with TestClient(TestServer(world.app(planner=planner))) as client:
        await world.sign_in.offer("let-me-in", "owner", seconds=60)
        assert (await client.get("/app/sign-in", params={"token": "let-me-in"})).status == 200
        yield client


async def post(client: Client, path: str, **fields: str) -> str:
    """Send a form, and return the page that follows."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', await page(await client.get("/app/projects")))
    assert found
    return await page(await client.post(path, data={"csrf_token": found[1], **fields}))


def stored(world: World) -> str:
    """Return the id of the last plan that was published."""
    message = [message for message in world.publisher.sent if message.topic == "job.documents"][-1]
    return JobDocument.model_validate_json(message.value).document().id


async def test_without_a_planner_people_may_write_plans(world: World, owner: Client) -> None:
    await world.fill()
    text = await page(await owner.get(CLUSTER))
    assert "Add a plan" in text
    assert ">Write a plan</button>" not in text
    assert "No plan was written. No model writes plans here" in await post(owner, f"{CLUSTER}/write-plan")
    assert world.publisher.sent == []


async def test_a_model_writes_a_plan_and_the_fix_is_given_it(world: World, planning: Client) -> None:
    assert ">Write a plan</button>" in await page(await planning.get(CLUSTER))
    assert "The plan is stored" in await post(planning, f"{CLUSTER}/write-plan")
    plan_id = stored(world)
    text = await page(await planning.get(CLUSTER))
    assert "Plan: Find the wait" in text
    assert 'aria-label="Plan">Look where cards are sent.</pre>' in text
    assert f'name="plan_id" value="{plan_id}"' in text
    assert text.index("Plan: Find the wait") < text.index(">Start fix<")
    await post(planning, f"{CLUSTER}/start-fix", plan_id=plan_id)
    command = ClusterCommand.model_validate_json(world.publisher.sent[-1].value).command
    assert isinstance(command, StartFix)
    assert command.options.plan_id == plan_id


@pytest.mark.parametrize("error", [PlannerRefuses("It refuses <this>."), PlannerUnavailable("It is away.")])
async def test_why_no_plan_was_written_is_said(
    world: World, planning: Client, planner: FixedPlanner, error: PlannerRefuses | PlannerUnavailable
) -> None:
    planner.error = error
    said = str(error).replace("<", "&lt;").replace(">", "&gt;")
    assert f"No plan was written. {said}" in await post(planning, f"{CLUSTER}/write-plan")
    assert world.publisher.sent == []


async def test_a_person_changes_the_plan(world: World, planning: Client) -> None:
    plan = new_plan("p1", "c1", WRITTEN, by="a model", at=NOW)
    await world.read_model.writer.put_documents([plan.document()])
    text = await page(await planning.get(CLUSTER))
    assert "Change the plan" in text
    assert 'value="Find the wait"' in text
    assert re.search(r"<textarea[^>]*>\nLook where cards are sent.</textarea>", text)
    assert "The plan is stored" in await post(planning, f"{CLUSTER}/plan", title="Mine", description="a\r\nb")
    text = await page(await planning.get(CLUSTER))
    assert "Plan: Mine" in text
    assert 'aria-label="Plan">a\nb</pre>' in text


@pytest.mark.parametrize(
    "fields", [{}, {"title": "only"}, {"title": "x", "description": "y" * (MAX_DESCRIPTION_CHARS + 1)}]
)
async def test_a_plan_that_is_none_is_refused(world: World, planning: Client, fields: dict[str, str]) -> None:
    assert "A plan needs a title" in await post(planning, f"{CLUSTER}/plan", **fields)
    assert world.publisher.sent == []


async def test_plans_are_text_here_and_with_their_job(world: World, planning: Client) -> None:
    plan = new_plan("p1", "c1", PlannedFix(HOSTILE, HOSTILE), by=HOSTILE, at=NOW)
    await world.read_model.writer.put_documents([plan.document()])
    assert "<img src=x" not in await page(await planning.get(CLUSTER))
    await world.fix("j1", "running", plan_id=plan.id)
    text = await page(await planning.get("/app/projects/p1/jobs/j1"))
    assert "<img src=x" not in text
    assert "Plan: &lt;/textarea&gt;" in text
    await world.fix("j2", "running", minutes=-1)
    assert "Plan:" not in await page(await planning.get("/app/projects/p1/jobs/j2"))
