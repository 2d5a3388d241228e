"""Telling of jobs over HTTP: recorded, patched, cancelled, by one or by many at once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soulcaster.domain.fixes.fix import Fix
from soulcaster.domain.lifecycle import JobStatus, JobStep
from soulcaster.errors import KafkaUnavailable
from soulcaster.web import caller
from soulcaster.web.api.jobs.models import JobChangedOut
from soulcaster.wire.jobs import JobEvent
from tests.support.answers import problem
from tests.support.make import NOW
from tests.support.web import JOB_TOKENS, Client, World

HERE = {"project_id": "p1"}


def events(world: World) -> list[JobEvent]:
    return [JobEvent.model_validate_json(m.value) for m in world.publisher.sent if m.topic == "job.events"]


async def record(client: Client, **headers: str) -> dict[str, Any]:
    answer = await client.post("/jobs", params=HERE, json={"cluster_id": "c1"}, headers=headers)
    assert answer.status == 201, await answer.text()
    body: dict[str, Any] = await answer.json()
    return body


async def patch(client: Client, job_id: str, expected: int = 202, /, **body: str) -> dict[str, Any]:
    answer = await client.patch(f"/jobs/{job_id}", params=HERE, json=body)
    assert answer.status == expected, await answer.text()
    said: dict[str, Any] = await answer.json(content_type=None)
    return said


async def read(client: Client, job_id: str) -> dict[str, Any]:
    body: dict[str, Any] = await (await client.get(f"/jobs/{job_id}", params=HERE)).json()
    return body


# ---- recorded --------------------------------------------------------------------------------------------------------


async def test_a_job_is_recorded_and_not_launched(world: World, client: Client) -> None:
    await world.fill()
    body = await record(client)
    JobChangedOut.model_validate(body)
    assert (body["status"], body["project_id"], body["job"]["status"]) == ("ok", "p1", "pending")
    assert (body["job"]["cluster_id"], body["job"]["id"]) == ("c1", body["job_id"])
    [message] = world.publisher.sent
    assert (message.topic, message.key) == ("job.events", b"p1")
    shown = await read(client, body["job_id"])
    assert shown == {**body["job"], "logs": "recorded by local owner"}
    other = await record(client)
    assert other["job_id"] != body["job_id"]


async def test_recorded_twice_under_one_key_it_is_one_job(world: World, client: Client) -> None:
    await world.fill()
    first = await record(client, **{"Idempotency-Key": "k1"})
    await patch(client, first["job_id"], status="running")
    again = await record(client, **{"Idempotency-Key": "k1"})
    assert (again["job_id"], again["job"]["status"]) == (first["job_id"], "running")
    assert (await record(client, **{"Idempotency-Key": "k2"}))["job_id"] != first["job_id"]
    assert (await world.read_model.jobs.list("p1", cluster_id=None, limit=9, offset=0)).total == 2


async def test_what_is_not_there_yet_is_answered_202(world: World, client: Client) -> None:
    await world.fill()
    answer = await client.post("/jobs", params=HERE | {"wait": "0"}, json={"cluster_id": "c1"})
    assert answer.status == 202
    assert (await answer.json())["job"]["status"] == "pending"


async def test_a_job_of_a_cluster_that_is_not_here(world: World, client: Client) -> None:
    await world.fill(project="p2")
    await problem(await client.post("/jobs", params=HERE, json={"cluster_id": "c1"}), 404)
    details = await problem(await client.post("/jobs", params=HERE, json={}), 422)
    assert details["errors"][0]["field"] == "cluster_id"
    assert world.publisher.sent == []


# ---- patched ---------------------------------------------------------------------------------------------------------


async def test_an_agent_tells_how_it_goes(world: World, client: Client) -> None:
    await world.fill()
    job_id = (await record(client))["job_id"]
    body = await patch(client, job_id, status="running", logs="reading")
    assert (body["status"], body["job"]["status"]) == ("ok", "running")
    world.now += timedelta(seconds=1)
    await patch(client, job_id, logs="writing\nand testing")
    world.now += timedelta(seconds=1)
    url = "https://github.com/a/b/pull/1"
    answer = await client.patch(
        f"/jobs/{job_id}", params=HERE | {"wait": "5"}, json={"status": "success", "pr_url": url, "logs": "done"}
    )
    assert answer.status == 200
    shown = await read(client, job_id)
    assert (shown["status"], shown["pr_url"]) == ("success", url)
    assert shown["logs"] == "recorded by local owner\nreading\nwriting\nand testing\ndone"
    assert [(e.seq, e.status) for e in events(world)] == [
        (0, "pending"),
        (1, "running"),
        (2, "running"),
        (3, "success"),
    ]
    cluster = await (await client.get("/clusters/c1", params=HERE)).json()
    assert (cluster["status"], cluster["github_pr_url"]) == ("pr_opened", url)


async def test_nothing_to_tell_is_not_told(world: World, client: Client) -> None:
    await world.job("j1", "pending")
    assert (await patch(client, "j1", 200))["message"] == "No updates provided"
    assert world.publisher.sent == []


@pytest.mark.parametrize(
    ("steps", "asked", "status"),
    [
        (("pending",), "pending", 202),
        (("pending", "running"), "pending", 409),
        (("pending", "success"), "running", 409),
        (("pending", "success"), "failed", 409),
        (("pending", "failed"), "success", 409),
        (("pending", "success"), "success", 202),
        (("pending",), "failed", 202),
    ],
)
async def test_what_cannot_follow_is_409(
    world: World, client: Client, steps: tuple[JobStatus, ...], asked: str, status: int
) -> None:
    await world.job("j1", *steps)
    said = await patch(client, "j1", status, status=asked)
    if status == 409:
        assert said["detail"] == f"The job is {steps[-1]}; it cannot become {asked}."
        assert world.publisher.sent == []


async def test_a_job_has_so_many_reports(
    world: World, client: Client, guarded: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "REPORTS_OF_A_JOB", 2)
    fix = Fix("j1", "c1", "Late card", "kim", NOW)
    asked = JobStep("a", "j1", "p1", "c1", 0, "approved", NOW, fix=fix, offset=3)
    await world.read_model.writer.put_job_steps(
        [asked, JobStep("b", "j1", "p1", "c1", 1, "launching", NOW, launch=1, offset=7)]
    )
    await world.job("j2", "pending", "running")
    for _ in range(2):
        await patch(client, "j1", logs="one more")
    sent = len(world.publisher.sent)
    answer = await client.patch("/jobs/j1", params=HERE, json={"logs": "too many"})
    assert "2 reports" in (await problem(answer, 429))["detail"]
    assert len(world.publisher.sent) == sent
    await patch(client, "j2", logs="another job has its own")
    job = await world.read_model.jobs.get("j1")
    assert job is not None
    program = {"Authorization": f"Bearer {JOB_TOKENS.issue(job)}"}
    answer = await guarded.patch("/jobs/j1", headers=program, json={"status": "failed"})
    assert answer.status == 202, "its program has no limit"


async def test_a_line_after_the_end_is_kept_and_changes_nothing_else(world: World, client: Client) -> None:
    await world.job("j1", "pending", "running")
    await client.post("/jobs/j1/cancel", params=HERE)
    body = await patch(client, "j1", logs="one more thing")
    assert body["job"]["status"] == "failed", "so the agent hears of it"
    shown = await read(client, "j1")
    assert (shown["status"], shown["error"]) == ("failed", "cancelled by local owner")
    assert shown["logs"].endswith("one more thing")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"status": "done"}, "status"),
        ({"pr_url": "javascript:alert(1)"}, "pr_url"),
        ({"logs": "x" * 100_001}, "logs"),
        ({"error": "x" * 2_001}, "error"),
        ({"logs": 7}, "logs"),
    ],
)
async def test_a_bad_field_is_named(world: World, client: Client, body: dict[str, Any], field: str) -> None:
    await world.job("j1", "pending")
    details = await problem(await client.patch("/jobs/j1", params=HERE, json=body), 422)
    assert details["errors"][0]["field"] == field
    assert world.publisher.sent == []


async def test_the_same_patch_under_one_key_counts_once(world: World, client: Client) -> None:
    await world.job("j1", "pending")
    for key in ("k1", "k1", "k2"):
        body = {"logs": "compiling"}
        answer = await client.patch("/jobs/j1", params=HERE, json=body, headers={"Idempotency-Key": key})
        assert answer.status == 202
    assert await world.read_model.jobs.logs("j1") == ("line 0", "compiling", "compiling")


@given(
    st.lists(st.tuples(st.sampled_from(["running", "success", "failed", None]), st.booleans()), min_size=1, max_size=8)
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_who_patches_at_once_loses_no_line(
    world: World, client: Client, told: list[tuple[str | None, bool]]
) -> None:
    """All read the job before any of them has told; some say the same; it comes in another order, and twice."""
    await world.fill()
    job_id = (await record(client))["job_id"]
    job = await world.read_model.jobs.get(job_id)
    assert job is not None
    before = len(world.publisher.sent)
    world.publisher.behind = True
    bodies = [
        {"logs": f"line {n % 2}"} | ({} if status is None else {"status": status}) for n, (status, _) in enumerate(told)
    ]
    answers = await asyncio.gather(*(client.patch(f"/jobs/{job_id}", params=HERE, json=body) for body in bodies))
    world.publisher.behind = False
    assert {answer.status for answer in answers} == {202}
    sent = world.publisher.sent[before:]
    events = [JobEvent.model_validate_json(message.value) for message in sent]
    assert {event.seq for event in events} == {1}
    for event, (_, twice) in zip(reversed(events), told, strict=True):
        for _ in range(1 + twice):
            await world.read_model.writer.put_job_steps([event.step()])
    assert sorted(await world.read_model.jobs.logs(job_id)) == sorted(
        ["recorded by local owner", *(f"line {n % 2}" for n in range(len(told)))]
    )


async def test_another_projects_job_is_not_there(world: World, client: Client) -> None:
    await world.job("j1", "pending", project="p2")
    await problem(await client.patch("/jobs/j1", params=HERE, json={"logs": "x"}), 404)
    await problem(await client.post("/jobs/j1/cancel", params=HERE), 404)
    assert world.publisher.sent == []


async def test_503_while_kafka_is_away(world: World, client: Client) -> None:
    await world.fill()
    await world.job("j1", "pending")
    world.publisher.fail = KafkaUnavailable()
    await problem(await client.post("/jobs", params=HERE, json={"cluster_id": "c1"}), 503)
    await problem(await client.patch("/jobs/j1", params=HERE, json={"logs": "x"}), 503)
    await problem(await client.post("/jobs/j1/cancel", params=HERE), 503)


# ---- cancelled -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [("pending",), ("pending", "running")])
async def test_a_cancelled_job_has_failed_and_says_who(
    world: World, client: Client, steps: tuple[JobStatus, ...]
) -> None:
    await world.fill()
    await world.job("j1", *steps)
    answer = await client.post("/jobs/j1/cancel", params=HERE | {"wait": "5"})
    assert answer.status == 200
    body = await answer.json()
    assert (body["job"]["status"], body["job"]["error"]) == ("failed", "cancelled by local owner")
    [event] = events(world)
    assert (event.status, event.error, event.seq) == ("failed", "cancelled by local owner", len(steps))
    again = await client.post("/jobs/j1/cancel", params=HERE)
    assert again.status == 202
    assert len(events(world)) == 1
    cluster = await (await client.get("/clusters/c1", params=HERE)).json()
    assert (cluster["status"], cluster["error_message"]) == ("failed", "cancelled by local owner")
    assert (await client.post("/clusters/c1/start_fix", params=HERE)).status == 202


@pytest.mark.parametrize("end", ["success", "failed"])
async def test_a_job_that_has_ended_of_itself_cannot_be_cancelled(world: World, client: Client, end: JobStatus) -> None:
    await world.job("j1", "pending", end)
    details = await problem(await client.post("/jobs/j1/cancel", params=HERE), 409)
    assert details["detail"] == f"The job has ended: it is {end}."


# ---- another name ----------------------------------------------------------------------------------------------------


async def test_run_agent_is_start_fix(world: World, client: Client) -> None:
    await world.fill()
    answers = [await client.post(f"/clusters/c1/{name}", params=HERE) for name in ("start_fix", "run_agent")]
    assert [answer.status for answer in answers] == [202, 202]
    first, second = [await answer.json() for answer in answers]
    assert first == second
    await world.job("j1", "pending")
    await problem(await client.post("/clusters/c1/run_agent", params=HERE), 409)
