"""Lists of jobs on the pages, and how jobs are written there."""

import re
from datetime import timedelta
from html import unescape
from typing import get_args

import pytest

from soulcaster.domain.fixes.fix import StopPoint
from soulcaster.domain.lifecycle import JobState, ends
from soulcaster.services import job_search
from soulcaster.web.pages import jobs
from soulcaster.web.pages.job_formatting import STATE_EXPLANATIONS, STATE_TEXTS, STOP_TEXTS, duration
from tests.support.answers import page
from tests.support.web import Client, World

PROJECT = "/app/projects/p1"
CLUSTER = f"{PROJECT}/clusters/c1"
UNDER_WAY = [state for state in get_args(JobState) if not ends(state)]


def listed(html: str) -> list[str]:
    return re.findall(r'<h2><a href="/app/projects/\w+/jobs/(\w+)">', html)


async def test_the_jobs_of_a_project(world: World, owner: Client) -> None:
    await world.fill(title="A & B")
    assert "No jobs yet." in await page(await owner.get(f"{PROJECT}/jobs"))
    await world.fix("j1", "running", minutes=1, cost_usd=0.25, backend="local")
    await world.fix("j2", "failed", minutes=3, cluster="c9", error="x" * 300)
    await world.job("j3", "pending")
    await world.fix("j4", "succeeded", project="p2")
    text = await page(await owner.get(f"{PROJECT}/jobs"))
    assert listed(text) == ["j3", "j1", "j2"]
    for part in (
        "A &amp; B",
        "$0.25",
        "local",
        ">At work<",
        ">Failed<",
        "1 min",
        f'href="{CLUSTER}"',
        "x" * 190 + "x" * 7 + "...",
    ):
        assert part in text
    assert f'href="{PROJECT}/jobs"' in await page(await owner.get(PROJECT))


async def test_jobs_are_narrowed_down_by_state(world: World, owner: Client) -> None:
    await world.fill()
    for minutes, state in enumerate(get_args(JobState)):
        await world.fix(state, state, minutes=minutes)
    for state in get_args(JobState):
        text = await page(await owner.get(f"{PROJECT}/jobs", params={"state": state}))
        assert listed(text) == [state]
        assert f'<option value="{state}" selected>' in text
    assert listed(await page(await owner.get(f"{PROJECT}/jobs?state=active"))) == UNDER_WAY
    assert listed(await page(await owner.get("/app/jobs?state=active"))) == UNDER_WAY
    await page(await owner.get(f"{PROJECT}/jobs?state=nope"), 422)
    await page(await owner.get("/app/jobs?state=nope"), 422)


async def test_many_jobs_come_in_pages(world: World, owner: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "JOBS_PER_PAGE", 2)
    await world.fill()
    for n in range(5):
        await world.fix(f"j{n}", "failed" if n == 4 else "dead", minutes=n)
    first = await page(await owner.get(f"{PROJECT}/jobs"))
    assert (listed(first), "1\u20132 of 5" in first) == (["j0", "j1"], True)
    assert listed(await page(await owner.get(f"{PROJECT}/jobs?page=3"))) == ["j4"]
    assert (await owner.get(f"{PROJECT}/jobs?page=9")).url.query_string == "page=3"
    monkeypatch.setattr(job_search.search_jobs, "__kwdefaults__", {"after": None, "reads": 1})
    text, parts = await page(await owner.get(f"{PROJECT}/jobs?state=failed")), 1
    while "No matches so far." in text:
        [following] = re.findall(r'rel="next" href="([^"]+)"', text)
        text = await page(await owner.get(f"{PROJECT}/jobs{unescape(following)}"))
        parts += 1
    assert (listed(text), parts) == (["j4"], 3)


async def test_the_list_of_a_person_has_their_projects_only(world: World, client: Client) -> None:
    await world.fill()
    await world.fill(project="p2", cluster="c2")
    await world.fill(project="p3", cluster="c3")
    for n, project in enumerate(("p1", "p2", "p3"), 1):
        await world.fix(f"j{n}", "running", project=project, cluster=f"c{n}", minutes=n)
    await world.member("me", "viewer", "p3")
    await world.member("me", "viewer")
    await world.sign_in.offer("link", "me", seconds=60)
    assert (await client.get("/app/sign-in", params={"token": "link"})).status == 200
    text = await page(await client.get("/app/jobs"))
    assert listed(text) == ["j1", "j3"]
    assert "/app/projects/p3/jobs" in text
    assert "p2" not in text


@pytest.mark.parametrize("state", ["", "failed"])
async def test_the_list_of_all_projects_goes_on(
    world: World, owner: Client, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """Each job comes once, newest first, also where many were requested at the same time."""
    monkeypatch.setattr(jobs, "JOBS_PER_PAGE", 2)
    monkeypatch.setattr(jobs, "MAX_READS", 1)
    wanted = []
    for n in range(12):
        project, job_state = f"p{n % 3 + 1}", "failed" if n % 4 else "dead"
        await world.fix(f"j{n:02}", job_state, project=project, cluster=f"c{n}", minutes=n // 4)  # type: ignore[arg-type]
        await world.fill(project=project, cluster=f"c{n}", size=1)
        wanted += [f"j{n:02}"] if state in ("", job_state) else []
    found, following = [], f"/app/jobs?state={state}"
    while following:
        text = await page(await owner.get(following))
        shown = listed(text)
        assert len(shown) <= 2
        found += shown
        links = re.findall(r'rel="next" href="([^"]+)"', text)
        following = f"/app/jobs{unescape(links[0])}" if links else ""
    assert sorted(found) == wanted
    assert [int(job[1:]) // 4 for job in found] == sorted(int(job[1:]) // 4 for job in found)


async def test_the_jobs_before_are_below(world: World, owner: Client) -> None:
    await world.fill()
    for n in range(7):
        await world.fix(f"j{n}", "running" if n == 0 else "failed", minutes=n)
    text = await page(await owner.get(CLUSTER))
    assert re.findall(r'<h3>.*jobs/(j\d)"', text) == ["j1", "j2", "j3", "j4"]
    assert "The newest jobs of 7." in text


def test_there_are_words_for_every_state() -> None:
    assert set(STATE_TEXTS) == set(STATE_EXPLANATIONS) == set(get_args(JobState))
    assert set(STOP_TEXTS) == set(get_args(StopPoint))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (59, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (90_060, "25 h 1 min")],
)
def test_duration(seconds: int, text: str) -> None:
    assert duration(timedelta(seconds=seconds)) == text
