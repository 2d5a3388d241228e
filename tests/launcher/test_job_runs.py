"""From fix commands to the ends of jobs, with a launcher that is killed between any two of its steps."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import stamina

from soulcaster.launcher.commits import OrderedCommits
from soulcaster.ports.launch_backend import LaunchRefused
from soulcaster.ports.messaging import Record
from tests.support.launcher import Killed, KillPoints, Setting, Vendor

WORKS = ["running", "publishing", "succeeded"]
FAILS = ["running", "failed"]
CRASHES = ["running", "exit"]


@pytest.fixture(autouse=True)
async def no_waiting() -> AsyncIterator[None]:
    with stamina.set_testing(True, attempts=1000):
        yield


@pytest.fixture
def setting() -> Setting:
    return Setting()


def scripted(setting: Setting, *scripts: Sequence[str]) -> Vendor:
    setting.vendor = Vendor(setting.log, *scripts)
    return setting.vendor


async def test_a_job_is_launched_watched_and_committed(setting: Setting) -> None:
    setting.log.order()
    await setting.launcher()
    setting.check_ended()
    job = setting.log.job()
    assert (job.state, job.launch, job.task) == ("succeeded", 1, "task j1-1")
    assert setting.log.dead_letters == []


@pytest.mark.parametrize(
    ("scripts", "end", "launches", "letters"),
    [
        ([WORKS], "succeeded", 1, 0),
        ([FAILS], "failed", 1, 0),
        ([CRASHES, WORKS], "succeeded", 2, 0),
        ([CRASHES, CRASHES, FAILS], "failed", 3, 0),
        ([CRASHES], "dead", 3, 1),
    ],
)
async def test_killed_at_every_point_of_the_way_it_starts_nothing_twice_and_leaves_nothing_behind(
    scripts: Sequence[Sequence[str]], end: str, launches: int, letters: int
) -> None:
    whole = KillPoints()
    calm = Setting()
    scripted(calm, *scripts)
    calm.log.order()
    await calm.launcher(whole)
    assert len(whole.passed) > 10
    for point in range(len(whole.passed)):
        setting = Setting()
        scripted(setting, *scripts)
        setting.log.order()
        with pytest.raises(Killed):
            await setting.launcher(KillPoints(point))
        await setting.launcher()
        setting.check_ended()
        job = setting.log.job()
        assert (job.state, job.launch) == (end, launches), whole.passed[point]
        assert letters <= len(setting.log.dead_letters) <= 2 * letters, "a dead letter may come twice, never none"


async def test_killed_again_and_again(setting: Setting) -> None:
    scripted(setting, CRASHES, WORKS)
    setting.log.order()
    for _ in range(60):
        try:
            await setting.launcher(KillPoints(7))
        except Killed:
            continue
        break
    await setting.launcher()
    setting.check_ended()


async def test_two_launchers_at_once_run_one_job(setting: Setting) -> None:
    scripted(setting, CRASHES, WORKS)
    for name in ("j1", "j2", "j3"):
        setting.log.order(name)
    await asyncio.gather(setting.launcher(), setting.launcher(), setting.launcher())
    setting.check_ended("j1", "j2", "j3")
    assert {setting.log.job(name).launch for name in ("j1", "j2", "j3")} == {2}


@pytest.mark.parametrize("point", range(0, 24, 2))
async def test_cancelled_at_any_time_nothing_of_it_runs_any_more(point: int) -> None:
    setting = Setting()
    scripted(setting, ["running"])
    setting.log.order()
    points = KillPoints()
    running = asyncio.create_task(setting.launcher(points))
    while len(points.passed) <= point and not running.done():
        await asyncio.sleep(0)
    await setting.log.step(setting.log.job(), "cancelled", error="cancelled by kim")
    await running
    setting.check_ended()
    job = setting.log.job()
    assert (job.state, job.error) == ("cancelled", "cancelled by kim")


async def test_a_job_that_has_ended_is_not_launched(setting: Setting) -> None:
    setting.log.order()
    await setting.log.step(setting.log.job(), "cancelled", error="cancelled by kim")
    await setting.launcher()
    setting.check_ended()
    assert not setting.vendor.starts


async def test_a_job_that_somebody_says_is_running_is_launched_all_the_same(setting: Setting) -> None:
    setting.log.order()
    await setting.log.step(setting.log.job(), "running")
    await setting.launcher()
    setting.check_ended()
    assert (setting.log.job().state, setting.log.dead_letters) == ("succeeded", [])


async def test_replayed_commands_launch_nothing(setting: Setting) -> None:
    setting.log.order("j1")
    setting.log.order("j2")
    await setting.launcher()
    before = list(setting.log.events)
    setting.log.committed = 0
    await setting.launcher()
    setting.check_ended("j1", "j2")
    assert setting.log.events == before
    assert setting.vendor.starts.total() == 2


async def test_a_refused_launch_is_tried_again(setting: Setting) -> None:
    setting.log.order()
    setting.vendor.refuse = [LaunchRefused("no capacity")]
    await setting.launcher()
    setting.check_ended()
    assert (setting.log.job().state, setting.log.job().launch) == ("succeeded", 2)
    assert any(event.log and "launch 1 failed: no capacity" in event.log for event in setting.log.events)


async def test_what_a_backend_says_of_a_failure_is_redacted(setting: Setting) -> None:
    setting.secrets = ["correct horse battery"]
    setting.log.order()
    setting.vendor.refuse = [LaunchRefused(f"correct horse battery, ghp_{'Ab1' * 14}")] * 3
    await setting.launcher()
    assert setting.log.job().error == "[secret], [secret]"
    assert setting.log.job().state == "dead"
    told = [event.to_bytes() for event in setting.log.events] + [letter.value for letter in setting.log.dead_letters]
    assert [text for text in told if b"horse" in text or b"ghp_" in text] == []
    [letter] = setting.log.dead_letters
    assert b"horse" not in dict(letter.headers)["reason"]


async def test_a_backend_that_is_not_set_up_ends_the_job_at_once(setting: Setting) -> None:
    setting.log.order(backend="ecs")
    await setting.launcher()
    setting.check_ended()
    assert (setting.log.job().state, setting.log.job().launch) == ("dead", 1)
    assert "no backend ecs is set up" in (setting.log.job().error or "")
    assert len(setting.log.dead_letters) == 1


async def test_a_program_that_runs_too_long_is_stopped(setting: Setting) -> None:
    scripted(setting, ["running"], WORKS)
    setting.log.order(seconds=10)
    running = asyncio.create_task(setting.launcher())
    while not setting.vendor.alive():
        await asyncio.sleep(0)
    setting.seconds += 10 + 31
    await running
    setting.check_ended()
    assert setting.log.job().launch == 2
    assert any(event.log and "time limit of 10 s" in event.log for event in setting.log.events)


async def test_a_program_that_falls_silent_is_taken_for_lost(setting: Setting) -> None:
    setting.lease_seconds = 120
    scripted(setting, ["running"], WORKS)
    setting.log.order()
    running = asyncio.create_task(setting.launcher())
    while not setting.vendor.alive():
        await asyncio.sleep(0)
    setting.seconds += 121
    await running
    setting.check_ended()
    assert any(event.log and "nothing was heard of it for 120 s" in event.log for event in setting.log.events)


@pytest.mark.parametrize("which", ["log", "vendor"])
async def test_while_kafka_or_the_backend_is_away_it_waits(setting: Setting, which: str) -> None:
    scripted(setting, ["running"])
    setting.log.order()
    away = setting.log if which == "log" else setting.vendor
    running = asyncio.create_task(setting.launcher())
    for _ in range(3):
        away.down = True
        for _ in range(50):
            await asyncio.sleep(0)
        away.down = False
        for _ in range(50):
            await asyncio.sleep(0)
    assert not running.done()
    assert setting.vendor.starts == {"j1-1": 1}
    await setting.log.step(setting.log.job(), "cancelled")
    await running
    setting.check_ended()


async def test_an_error_of_our_own_ends_the_job_with_a_dead_letter(setting: Setting) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    scripted(setting, ["running"])
    setting.log.order("j1")
    setting.log.order("j2")
    setting.vendor.observe = broken  # type: ignore[method-assign, assignment]
    await setting.launcher()
    setting.check_ended("j1", "j2")
    assert setting.log.job("j1").state == "dead"
    assert len(setting.log.dead_letters) == 2


async def test_a_record_that_is_no_command_is_a_dead_letter(setting: Setting) -> None:
    setting.log.commands.append(Record("fix.commands", 3, 0, 0, b"p1", b"poison"))
    await setting.launcher()
    assert len(setting.log.dead_letters) == 1
    assert setting.log.committed == 1


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
