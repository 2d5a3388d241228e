"""From fix commands to the ends of jobs, with a launcher that is killed between any two of its steps."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
import stamina

from soulcaster.domain.fixes.fix import MAX_JOB_SECONDS
from soulcaster.launcher.commits import OrderedCommits
from soulcaster.ports.launch_backend import Launch, LaunchRefused, Task
from soulcaster.ports.messaging import Record
from tests.support.agents import headers
from tests.support.kill_points import Killed, KillPoints
from tests.support.launch_in_memory import MemoryVendor
from tests.support.launcher import WORKS, Setting
from tests.support.programs import Script

FAILS = ("running", "failed")
CRASHES = ("running", "exit")
LASTS = ("running",)


@pytest.fixture(autouse=True)
async def no_waiting() -> AsyncIterator[None]:
    with stamina.set_testing(True, attempts=1000):
        yield


@pytest.fixture
def vendor() -> MemoryVendor:
    return MemoryVendor()


@pytest.fixture
def setting(vendor: MemoryVendor) -> Setting:
    return Setting(vendor)


def scripted(*scripts: Script) -> Setting:
    return Setting(MemoryVendor(), *scripts)


async def test_a_job_is_launched_watched_and_committed(setting: Setting) -> None:
    setting.log.order()
    await setting.launcher()
    await setting.check_ended()
    job = setting.log.job()
    assert (job.state, job.launch, job.task) == ("succeeded", 1, "task j1-1")
    assert setting.log.dead_letters == []


@pytest.mark.parametrize(
    ("scripts", "end", "launches", "letters"),
    [
        ([FAILS], "failed", 1, 0),
        ([CRASHES, CRASHES, FAILS], "failed", 3, 0),
        ([CRASHES], "dead", 3, 1),
    ],
)
async def test_killed_at_every_point_of_the_way_a_job_that_fails_ends_as_it_would_have(
    scripts: Sequence[Script], end: str, launches: int, letters: int
) -> None:
    """`test_killed_launchers.py` has the jobs that succeed or are cancelled, on every backend."""
    whole = KillPoints()
    calm = scripted(*scripts)
    calm.log.order()
    await calm.launcher(whole)
    await calm.check_ended()
    assert len(whole.passed) > 10
    for point in whole.passed:
        setting = scripted(*scripts)
        setting.log.order()
        with pytest.raises(Killed):
            await setting.launcher(KillPoints(lambda name, point=point: name == point))  # type: ignore[misc]
        await setting.launcher()
        await setting.check_ended()
        job = setting.log.job()
        assert (job.state, job.launch) == (end, launches), point
        assert letters <= len(setting.log.dead_letters) <= 2 * letters, "a dead letter may come twice, never none"


async def test_killed_at_one_point_after_the_other() -> None:
    setting = scripted(CRASHES, WORKS)
    setting.log.order()
    met: set[str] = set()
    while True:
        points = KillPoints(lambda name: name not in met)
        try:
            await setting.launcher(points)
        except Killed:
            met.update(points.struck)
            continue
        break
    await setting.check_ended()
    assert len(met) > 30


async def test_two_launchers_at_once_run_one_job(setting: Setting) -> None:
    setting.programs.scripts = [CRASHES, WORKS]
    for name in ("j1", "j2", "j3"):
        setting.log.order(name)
    await asyncio.gather(setting.launcher(), setting.launcher(), setting.launcher())
    await setting.check_ended("j1", "j2", "j3")
    assert {setting.log.job(name).launch for name in ("j1", "j2", "j3")} == {2}


async def test_jobs_of_a_project_that_never_end_leave_a_place_to_others(setting: Setting) -> None:
    setting.programs.scripts = [LASTS]
    names = [f"greedy{n}" for n in range(10)]
    for name in names:
        setting.log.order(name, project="greedy", seconds=MAX_JOB_SECONDS)
    setting.log.order("mine", project="neighbour", seconds=MAX_JOB_SECONDS)
    running = asyncio.create_task(setting.launcher())
    async with asyncio.timeout(60):
        while not setting.log.job("mine").launch:
            await asyncio.sleep(0)
    assert [name for name in names if setting.log.job(name).launch] == names[:3]
    for name in (*names, "mine"):
        await setting.log.cancel(name)
    await running
    await setting.check_ended("mine", *names)


@pytest.mark.parametrize("point", range(0, 24, 2))
async def test_cancelled_at_any_time_nothing_of_it_runs_any_more(point: int) -> None:
    setting = scripted(LASTS)
    setting.log.order()
    points = KillPoints()
    running = asyncio.create_task(setting.launcher(points))
    while len(points.passed) <= point and not running.done():
        await asyncio.sleep(0)
    await setting.log.cancel()
    await running
    await setting.check_ended()
    job = setting.log.job()
    assert (job.state, job.error) == ("cancelled", "cancelled by kim")


async def test_a_job_that_is_cancelled_ends_though_the_backend_drops_the_cancellation_of_its_launch(
    setting: Setting, vendor: MemoryVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `asyncio.wait_for` does when the vendor's answer comes at the same moment."""
    setting.programs.scripts = [LASTS]
    launch_at_vendor = vendor.launch

    async def launch(launch: Launch) -> Task:
        await setting.log.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return await launch_at_vendor(launch)

    monkeypatch.setattr(vendor, "launch", launch)
    setting.log.order(seconds=MAX_JOB_SECONDS)
    await setting.launcher()
    await setting.check_ended()
    assert setting.log.job().state == "cancelled"
    assert setting.seconds < MAX_JOB_SECONDS, "it ended only at the time limit of the job"


async def test_a_job_that_has_ended_is_not_launched(setting: Setting, vendor: MemoryVendor) -> None:
    setting.log.order()
    await setting.log.cancel()
    await setting.launcher()
    await setting.check_ended()
    assert not vendor.starts


async def test_a_job_that_somebody_says_is_running_is_launched_all_the_same(setting: Setting) -> None:
    setting.log.order()
    await setting.log.step(setting.log.job(), "running")
    await setting.launcher()
    await setting.check_ended()
    assert (setting.log.job().state, setting.log.dead_letters) == ("succeeded", [])


async def test_replayed_commands_launch_nothing(setting: Setting, vendor: MemoryVendor) -> None:
    setting.log.order("j1")
    setting.log.order("j2")
    await setting.launcher()
    before = list(setting.log.events)
    setting.log.committed = 0
    await setting.launcher()
    await setting.check_ended("j1", "j2")
    assert setting.log.events == before
    assert vendor.starts.total() == 2


async def test_a_refused_launch_is_tried_again(setting: Setting, vendor: MemoryVendor) -> None:
    setting.log.order()
    vendor.refuse = [LaunchRefused("no capacity")]
    await setting.launcher()
    await setting.check_ended()
    assert (setting.log.job().state, setting.log.job().launch) == ("succeeded", 2)
    assert any(event.log and "launch 1 failed: no capacity" in event.log for event in setting.log.events)


async def test_what_a_backend_says_of_a_failure_is_redacted(setting: Setting, vendor: MemoryVendor) -> None:
    setting.secrets = ["correct horse battery"]
    setting.log.order()
    vendor.refuse = [LaunchRefused(f"correct horse battery, ghp_{'Ab1' * 14}")] * 3
    await setting.launcher()
    assert setting.log.job().error == "[secret], [secret]"
    assert setting.log.job().state == "dead"
    told = [event.to_bytes() for event in setting.log.events] + [letter.value for letter in setting.log.dead_letters]
    assert [text for text in told if b"horse" in text or b"ghp_" in text] == []
    [letter] = setting.log.dead_letters
    assert b"horse" not in dict(letter.headers)["reason"]


@pytest.mark.parametrize(("spent", "ended"), [(1.9, False), (2.1, True)])
async def test_a_program_that_spends_much_more_than_its_budget_is_ended_for_good(spent: float, ended: bool) -> None:
    setting = scripted(("running",))
    setting.log.order(budget=1.0)
    running = asyncio.create_task(setting.launcher())
    while setting.log.job().state != "running":
        await asyncio.sleep(0)
    await setting.log.step(setting.log.job(), "running", cost_usd=spent)
    for _ in range(200):
        await asyncio.sleep(0)
    assert running.done() == ended
    if not ended:
        await setting.log.step(setting.log.job(), "cancelled")
    await running
    await setting.check_ended()
    job = setting.log.job()
    assert (job.state, job.launch) == ("dead" if ended else "cancelled", 1)


async def test_a_backend_that_is_not_set_up_ends_the_job_at_once(setting: Setting) -> None:
    setting.log.order(backend="ecs")
    await setting.launcher()
    await setting.check_ended()
    assert (setting.log.job().state, setting.log.job().launch) == ("dead", 1)
    assert "no backend ecs is set up" in (setting.log.job().error or "")
    assert len(setting.log.dead_letters) == 1


async def test_a_program_that_runs_too_long_is_stopped(setting: Setting) -> None:
    setting.programs.scripts = [LASTS, WORKS]
    setting.log.order(seconds=10)
    running = asyncio.create_task(setting.launcher())
    while not await setting.programs.alive():
        await asyncio.sleep(0)
    setting.seconds += 10 + 31
    await running
    await setting.check_ended()
    assert setting.log.job().launch == 2
    assert any(event.log and "time limit of 10 s" in event.log for event in setting.log.events)


async def test_a_program_that_falls_silent_is_taken_for_lost(setting: Setting) -> None:
    setting.lease_seconds = 120
    setting.programs.scripts = [LASTS, WORKS]
    setting.log.order()
    running = asyncio.create_task(setting.launcher())
    while not await setting.programs.alive():
        await asyncio.sleep(0)
    setting.seconds += 121
    await running
    await setting.check_ended()
    assert any(event.log and "nothing was heard of it for 120 s" in event.log for event in setting.log.events)


@pytest.mark.parametrize("which", ["log", "vendor"])
async def test_while_kafka_or_the_backend_is_away_it_waits(setting: Setting, vendor: MemoryVendor, which: str) -> None:
    setting.programs.scripts = [LASTS]
    setting.log.order()
    away = setting.log if which == "log" else vendor
    running = asyncio.create_task(setting.launcher())
    for _ in range(3):
        away.down = True
        for _ in range(50):
            await asyncio.sleep(0)
        away.down = False
        for _ in range(50):
            await asyncio.sleep(0)
    assert not running.done()
    assert vendor.starts == {"j1-1": 1}
    await setting.log.step(setting.log.job(), "cancelled")
    await running
    await setting.check_ended()


async def test_an_error_of_our_own_ends_the_job_with_a_dead_letter(setting: Setting, vendor: MemoryVendor) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    setting.programs.scripts = [LASTS]
    setting.log.order("j1")
    setting.log.order("j2")
    vendor.observe = broken  # type: ignore[method-assign, assignment]
    await setting.launcher()
    await setting.check_ended("j1", "j2")
    assert setting.log.job("j1").state == "dead"
    assert len(setting.log.dead_letters) == 2


async def test_a_record_that_is_no_command_is_a_dead_letter(setting: Setting) -> None:
    setting.log.commands.append(Record("fix.commands", 3, 0, 0, b"p1", b"poison"))
    await setting.launcher()
    assert len(setting.log.dead_letters) == 1
    assert setting.log.committed == 1


async def test_a_command_of_a_newer_major_version_is_set_aside_and_the_next_one_runs(setting: Setting) -> None:
    setting.log.order("j0")
    [ordered] = setting.log.commands
    newer = json.dumps({**json.loads(ordered.value or b""), "schema_version": 2}).encode()
    setting.log.commands[0] = replace(ordered, value=newer)
    setting.log.order("j1")
    await setting.launcher()
    await setting.check_ended("j1")
    assert setting.log.job("j1").state == "succeeded"
    [letter] = setting.log.dead_letters
    assert letter.value == newer
    assert "schema_version" in headers(letter)["reason"]
    assert setting.log.committed == 2


async def test_commits_never_pass_a_record_whose_job_runs() -> None:
    commits: list[tuple[int, int]] = []

    async def commit(record: Record) -> None:
        commits.append((record.partition, record.offset))

    ordered = OrderedCommits(commit)
    records = {(p, o): Record("fix.commands", p, o, 0, b"p1", b"") for p in (0, 1) for o in range(4)}
    for record in records.values():
        ordered.begin(record)
    for place in [(0, 2), (0, 1), (1, 0), (0, 0), (0, 3)]:
        await ordered.done(records[place])
    assert commits == [(1, 0), (0, 2), (0, 3)]
    ordered.forget()
    await ordered.done(records[1, 1])
    assert commits == [(1, 0), (0, 2), (0, 3)]
