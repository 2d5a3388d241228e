"""Plans over the API: written by a model and by people, and given to fixes."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
import stamina
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.adapters.gemini.planner import GeminiPlanner
from soulcaster.domain.commands import StartFix
from soulcaster.domain.events import ClusterMerged, ClusterRestored
from soulcaster.domain.fixes.fix import Fix, FixOptions
from soulcaster.domain.ids import plan_id_for
from soulcaster.domain.lifecycle import JobStep
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.documents import JobDocument
from tests.support.answers import problem
from tests.support.gemini import KEY, Gemini, error, written
from tests.support.make import NOW
from tests.support.web import JOB_TOKENS, Client, World

HERE = {"project_id": "p1"}
PLAN = "/clusters/c1/plan"
MINE = {"title": "Send it", "description": "Look at cards/late.py first."}


@pytest.fixture
async def planning(world: World, gemini: Gemini) -> AsyncIterator[Client]:
    """A client of a server whose planner is the Gemini of the test."""
    planner = GeminiPlanner(KEY, model="gemini-3.8-flash", url=gemini.url)
    async with TestClient(TestServer(world.app(planner=planner))) as client:
        yield client
    await planner.close()


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """Retries as they are, without the time between them."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


async def plan(client: Client, path: str = PLAN, **query: str) -> Any:
    answer = await client.get(path, params={**HERE, **query})
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def write(client: Client, path: str = PLAN, body: Any = None) -> Any:
    answer = await client.post(path, params=HERE, **({} if body is None else {"json": body}))
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def start(client: Client, **query: str) -> Any:
    answer = await client.post("/clusters/c1/start_fix", params={**HERE, **query})
    assert answer.status == 202, await answer.text()
    return await answer.json()


def ordered(world: World) -> StartFix:
    """Return the command that starts a fix."""
    [message] = [m for m in world.publisher.sent if m.topic == "cluster.commands"]
    command = ClusterCommand.model_validate_json(message.value).command
    assert isinstance(command, StartFix)
    return command


def plans_sent(world: World) -> list[JobDocument]:
    sent = [JobDocument.model_validate_json(m.value) for m in world.publisher.sent if m.topic == "job.documents"]
    return [document for document in sent if document.kind == "plan"]


# ---- reading and writing -------------------------------------------------------------------------------------------


async def test_no_plan(world: World, client: Client) -> None:
    await world.fill()
    told = await problem(await client.get(PLAN, params=HERE), 404)
    assert told["detail"] == "No plan found for this cluster"
    await problem(await client.get("/clusters/nope/plan", params=HERE), 404)


async def test_a_person_writes_one(world: World, client: Client) -> None:
    await world.fill()
    made = await write(client, body=MINE)
    [document] = plans_sent(world)
    assert made == {
        "id": plan_id_for("p1", "c1", document.text),
        "project_id": "p1",
        "cluster_id": "c1",
        **MINE,
        "by": "local owner",
        "created_at": NOW.isoformat().replace("+00:00", "Z"),
        "updated_at": NOW.isoformat().replace("+00:00", "Z"),
    }
    assert await plan(client) == made
    await problem(await client.get(PLAN, params={"project_id": "p2"}), 404)


async def test_the_same_plan_twice_is_one_and_an_edited_plan_is_another(world: World, client: Client) -> None:
    await world.fill()
    first = await write(client, body=MINE)
    assert await write(client, body=MINE) == first
    edited = await write(client, body={**MINE, "title": "Send it now"})
    assert edited["id"] != first["id"]
    assert await plan(client) == edited
    world.now += timedelta(hours=1)
    assert await write(client, body=MINE) == first
    assert await plan(client) == first
    assert len(plans_sent(world)) == 3


async def test_the_plan_of_a_merged_cluster_is_the_others(world: World, client: Client) -> None:
    await world.fill(cluster="c1")
    await world.fill(cluster="c2")
    await world.read_model.writer.apply("p1", [ClusterMerged("c2", "c1", "person", "same", 1)])
    made = await write(client, "/clusters/c2/plan", MINE)
    assert made["cluster_id"] == "c1"
    assert await plan(client) == await plan(client, "/clusters/c2/plan") == made


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "title"),
        ({"title": "Only a title"}, "description"),
        ({**MINE, "title": ""}, "title"),
        ({**MINE, "title": "t" * 201}, "title"),
        ({**MINE, "description": "d" * 20_001}, "description"),
        ({**MINE, "description": "\u200b"}, "description"),
    ],
)
async def test_422_for_what_is_no_plan(world: World, client: Client, body: Any, field: str) -> None:
    await world.fill()
    told = await problem(await client.post(PLAN, params=HERE, json=body), 422)
    assert field in [fault["field"] for fault in told["errors"]]
    assert world.publisher.sent == []


async def test_404_for_a_cluster_that_is_not_here(world: World, planning: Client, gemini: Gemini) -> None:
    await world.fill(project="p2")
    await problem(await planning.post(PLAN, params=HERE), 404)
    await problem(await planning.post(PLAN, params=HERE, json=MINE), 404)
    assert gemini.questions == []


async def test_who_may(world: World, guarded: Client) -> None:
    await world.fill()
    reader, launcher = await world.key("read"), await world.key("launch")
    await problem(await guarded.post(PLAN, json=MINE, headers=reader), 403)
    answer = await guarded.post(PLAN, json=MINE, headers=launcher)
    assert (answer.status, (await answer.json())["by"]) == (200, "key test")
    assert (await guarded.get(PLAN, headers=reader)).status == 200
    await problem(await guarded.get(PLAN, headers=launcher), 403)


# ---- the model -----------------------------------------------------------------------------------------------------


async def test_the_model_writes_one_from_the_brief(world: World, planning: Client, gemini: Gemini) -> None:
    await world.fill()
    gemini.plan = {"title": "Send\u200b it", "description": "Change src/made_up.py, see https://evil.example/x."}
    made = await write(planning)
    brief = await (await planning.get("/clusters/c1/brief", params=HERE)).json()
    assert [question.text for question in gemini.questions] == [brief["text"]]
    assert (made["title"], made["by"]) == ("Send it", "gemini-3.8-flash")
    assert made["description"] == "Change src/made_up.py [not in the brief], see [link removed]."
    assert await plan(planning) == made
    [document] = plans_sent(world)
    assert list(document.item_ids) == brief["item_ids"] != []


async def test_409_without_a_key_says_what_to_do(world: World, client: Client) -> None:
    await world.fill()
    told = await problem(await client.post(PLAN, params=HERE), 409)
    assert "GEMINI_API_KEY" in told["detail"]


async def test_502_when_the_model_writes_none(world: World, planning: Client, gemini: Gemini) -> None:
    await world.fill()
    gemini.answers = [written(None, "SAFETY"), written('{"title": "\\u200b", "description": "x"}')]
    assert "SAFETY" in (await problem(await planning.post(PLAN, params=HERE), 502))["detail"]
    assert "empty plan" in (await problem(await planning.post(PLAN, params=HERE), 502))["detail"]
    assert world.publisher.sent == []


async def test_503_while_gemini_is_away(world: World, planning: Client, gemini: Gemini) -> None:
    await world.fill()
    gemini.answers = [error(503, "UNAVAILABLE", "The model is overloaded.") for _ in range(2)]
    answer = await planning.post(PLAN, params=HERE)
    assert "overloaded" in (await problem(answer, 503))["detail"]
    assert answer.headers["Retry-After"]


# ---- fixes ---------------------------------------------------------------------------------------------------------


async def test_a_fix_is_given_the_brief_alone_or_the_newest_plan(world: World, client: Client) -> None:
    await world.fill()
    await start(client)
    assert ordered(world).options.plan_id is None
    await write(client, body=MINE)
    newest = await write(client, body={**MINE, "title": "Another"})
    world.publisher.sent.clear()
    await start(client)
    assert ordered(world).options.plan_id == newest["id"]


async def test_a_fix_is_given_the_plan_that_it_names(world: World, client: Client) -> None:
    await world.fill()
    first = await write(client, body=MINE)
    await write(client, body={**MINE, "title": "Another"})
    await start(client, plan_id=first["id"])
    assert ordered(world).options.plan_id == first["id"]


async def test_a_fix_cannot_be_given_what_is_no_plan_of_its_cluster(world: World, client: Client) -> None:
    await world.fill(cluster="c1")
    await world.fill(cluster="c2")
    await world.fill(cluster="c3", project="p2")
    other = await write(client, "/clusters/c2/plan", MINE)
    brief = (await (await client.get("/clusters/c1/brief", params=HERE)).json())["id"]
    await start(client)  # stores the brief
    world.publisher.sent.clear()
    for no_plan in (other["id"], brief, "nope"):
        answer = await client.post("/clusters/c1/start_fix", params={**HERE, "plan_id": no_plan})
        assert (await problem(answer, 404))["detail"] == "This cluster has no plan with that id"
    assert world.publisher.sent == []
    merged = ClusterMerged("c2", "c1", "person", "same", 1)
    await world.read_model.writer.apply("p1", [merged])
    await start(client, plan_id=other["id"])
    assert ordered(world).options.plan_id == other["id"]
    await world.read_model.writer.apply("p1", [ClusterRestored("c2", "asked for")])


async def test_a_fix_that_stops_at_the_plan_gets_one(world: World, planning: Client, gemini: Gemini) -> None:
    await world.fill()
    asked = await start(planning, stop_at="plan")
    assert not asked["approved"]
    made = await plan(planning)
    assert ordered(world).options.plan_id == made["id"]
    topics = [message.topic for message in world.publisher.sent]
    assert topics == ["job.documents", "job.documents", "cluster.commands"]
    world.publisher.sent.clear()
    await start(planning, stop_at="plan")  # the plan is there now
    assert ordered(world).options.plan_id == made["id"]
    assert len(gemini.questions) == 1


async def test_only_a_fix_that_stops_at_the_plan_makes_the_model_write(
    world: World, planning: Client, gemini: Gemini
) -> None:
    await world.fill()
    await start(planning)
    await start(planning, stop_at="brief")
    assert gemini.questions == []


async def test_without_a_model_a_fix_that_stops_at_the_plan_waits_all_the_same(world: World, client: Client) -> None:
    await world.fill()
    assert not (await start(client, stop_at="plan"))["approved"]
    assert ordered(world).options.plan_id is None


async def test_no_fix_starts_while_its_plan_cannot_be_written(world: World, planning: Client, gemini: Gemini) -> None:
    await world.fill()
    gemini.answers = [written(None, "SAFETY")]
    at_plan = {**HERE, "stop_at": "plan"}
    await problem(await planning.post("/clusters/c1/start_fix", params=at_plan), 502)
    assert world.publisher.sent == []


async def test_the_program_of_a_job_reads_its_plan(world: World, guarded: Client) -> None:
    await world.fill()
    launcher, reader = await world.key("launch"), await world.key("read")
    made = await (await guarded.post(PLAN, json=MINE, headers=launcher)).json()
    fix = Fix("j1", "c1", "Late card", "kim", NOW, options=FixOptions(plan_id=made["id"]))
    await world.read_model.writer.put_job_steps(
        [
            JobStep("a", "j1", "p1", "c1", 0, "approved", NOW, fix=fix, offset=3),
            JobStep("b", "j1", "p1", "c1", 1, "launching", NOW, launch=1, offset=7),
        ]
    )
    await world.fix("j2", "running", cluster="c2")
    await world.job("j3", "pending")
    await guarded.post(PLAN, json={**MINE, "title": "Another"}, headers=launcher)
    job = await world.read_model.jobs.get("j1")
    assert job is not None
    token = {"Authorization": f"Bearer {JOB_TOKENS.issue(job)}"}
    for caller in (token, reader):
        answer = await guarded.get("/jobs/j1/plan", headers=caller)
        assert (answer.status, await answer.json()) == (200, made)
    await problem(await guarded.get("/jobs/j2/plan", headers=token), 404)
    for without in ("j2", "j3", "nope"):
        await problem(await guarded.get(f"/jobs/{without}/plan", headers=reader), 404)
