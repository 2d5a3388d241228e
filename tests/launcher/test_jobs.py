"""From fix commands to steps of jobs, and from steps to the job, also when something is delivered twice."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from datetime import datetime, timedelta

import pytest
import stamina

from soulcaster.domain.commands import Fix
from soulcaster.domain.lifecycle import Job, advance, start
from soulcaster.errors import KafkaUnavailable
from soulcaster.launcher.backends.dry_run import DryRun
from soulcaster.launcher.jobs import run_jobs
from soulcaster.ports.launch import LaunchBackend, Progress
from soulcaster.ports.messaging import Record
from soulcaster.wire.jobs import FixCommand, JobEvent
from tests.support.agents import Flaky, headers, record
from tests.support.make import NOW


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=20):
        yield


def command(job_id: str = "j1", project: str = "p1") -> Record:
    asked = FixCommand(
        job_id=job_id,
        project_id=project,
        cluster_id="c1",
        cluster_title="Late “card”",
        requested_by="owner",
        requested_at=NOW,
    )
    return record("fix.commands", asked.to_bytes(), key=project.encode())


class Scripted:
    """A backend that yields `says`, and then raises `then` if it is set."""

    name = "scripted"

    def __init__(self, *says: Progress, then: Exception | None = None) -> None:
        self.says = says
        self.then = then
        self.launched: list[Fix] = []
        self.stopped: list[str] = []
        self.failing: list[Exception] = []

    async def launch(self, fix: Fix) -> AsyncGenerator[Progress, None]:
        self.launched.append(fix)
        for progress in self.says:
            yield progress
        if self.then is not None:
            raise self.then

    async def stop(self, fix: Fix) -> None:
        if self.failing:
            raise self.failing.pop(0)
        self.stopped.append(fix.job_id)


class Endless(Scripted):
    """A backend whose job runs until it is stopped; `closed` counts how often its generator was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.closed = 0

    async def launch(self, fix: Fix) -> AsyncGenerator[Progress, None]:
        self.launched.append(fix)
        try:
            yield Progress("running", "at it")
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            self.closed += 1


class Ends:
    """JobEnds over what the launcher published and what `others` report."""

    def __init__(self, launcher: "Launcher", *failures: Exception) -> None:
        self.launcher = launcher
        self.failures = list(failures)
        self.others: list[JobEvent] = []

    def _ended(self, job_id: str) -> bool:
        if self.failures:
            raise self.failures.pop(0)
        events = (*self.launcher.events, *self.others)
        return any(e.job_id == job_id and e.status in {"success", "failed"} for e in events)

    async def has_ended(self, job_id: str, asked: Record) -> bool:
        return self._ended(job_id)

    async def until_ended(self, job_id: str, asked: Record) -> None:
        while not self._ended(job_id):
            await asyncio.sleep(0)

    def cancel(self, job_id: str = "j1", seq: int = 1) -> None:
        error = "cancelled by somebody"
        self.others.append(
            JobEvent(job_id=job_id, project_id="p1", cluster_id="c1", seq=seq, status="failed", at=NOW, error=error)
        )


class Launcher:
    """Runs `run_jobs` over records; `log` holds commits and published topics in order."""

    def __init__(self, *failures: Exception) -> None:
        self.log: list[str] = []
        self.publisher = Flaky(*failures, log=self.log)
        self.commits: list[Exception] = []
        self.ends = Ends(self)
        self._seconds = 0

    def clock(self) -> datetime:
        self._seconds += 1
        return NOW + timedelta(seconds=self._seconds)

    async def commit(self, of: Record) -> None:
        if self.commits:
            raise self.commits.pop(0)
        self.log.append(f"commit {of.offset}")

    async def run(self, records: Iterable[Record], backend: LaunchBackend | None = None) -> None:
        async def given() -> AsyncIterator[Record]:
            for one in records:
                yield one

        await run_jobs(
            given(),
            backend=backend or DryRun(step_seconds=0),
            publisher=self.publisher,
            ends=self.ends,
            clock=self.clock,
            commit=self.commit,
        )

    @property
    def events(self) -> list[JobEvent]:
        return [JobEvent.model_validate_json(m.value) for m in self.publisher.of("job.events")]


def job(events: Iterable[JobEvent]) -> Job | None:
    """Return the job that the read model makes of the steps."""
    found: Job | None = None
    known: set[str] = set()
    for event in events:
        told = event.step()
        if told.id not in known:
            found = start(told) if found is None else advance(found, told)
        known.add(told.id)
    return found


async def test_a_dry_run_from_command_to_success() -> None:
    launcher = Launcher()
    asked = command()
    await launcher.run([asked])
    events = launcher.events
    assert [e.seq for e in events] == list(range(1, len(events) + 1))  # the clusterer's pending step has 0
    assert [e.status for e in events] == ["running"] * (len(events) - 1) + ["success"]
    assert {(e.job_id, e.project_id, e.cluster_id) for e in events} == {("j1", "p1", "c1")}
    assert "Late “card”" in (events[0].log or "")
    assert [e.at for e in events] == sorted({e.at for e in events})
    assert {m.key for m in launcher.publisher.sent} == {b"p1"}
    assert all(e.pr_url is None for e in events)
    assert launcher.log == ["job.events"] * len(events) + [f"commit {asked.offset}"]


async def test_each_command_is_committed_after_its_own_last_event() -> None:
    launcher = Launcher()
    first, second = command("a"), command("b", "p2")
    backend = Scripted(Progress("success"))
    await launcher.run([first, second], backend)
    assert launcher.log == ["job.events", f"commit {first.offset}", "job.events", f"commit {second.offset}"]
    assert [fix.job_id for fix in backend.launched] == ["a", "b"]
    assert (backend.launched[0].cluster_title, backend.launched[0].requested_by) == ("Late “card”", "owner")


async def test_what_a_backend_tells_is_passed_on() -> None:
    launcher = Launcher()
    url = "https://example.org/pull/1"
    await launcher.run([command()], Scripted(Progress("running", "one"), Progress("success", pr_url=url)))
    found = job(launcher.events)
    assert found is not None
    assert (found.status, found.pr_url) == ("success", url)
    assert [e.log for e in launcher.events] == ["one", None]


@pytest.mark.parametrize("says", [0, 2])
async def test_a_backend_that_raises_is_a_failed_job_and_the_next_one_runs(says: int) -> None:
    launcher = Launcher()
    asked = [command("a"), command("b")]
    await launcher.run(asked, Scripted(*[Progress("running", "x")] * says, then=RuntimeError("no sandbox")))
    for job_id in ("a", "b"):
        found = job(e for e in launcher.events if e.job_id == job_id)
        assert found is not None
        assert (found.status, found.error, found.seq) == ("failed", "no sandbox", says + 1)
    assert "scripted" in (launcher.events[-1].log or "")
    assert [entry for entry in launcher.log if entry.startswith("commit")] == [f"commit {a.offset}" for a in asked]


@pytest.mark.parametrize("says", [0, 1])
async def test_a_backend_that_never_says_how_it_ended_is_a_failed_job(says: int) -> None:
    """Otherwise the job would run forever, and its cluster could not be fixed again."""
    launcher = Launcher()
    await launcher.run([command()], Scripted(*[Progress("running")] * says))
    assert [e.status for e in launcher.events] == ["running"] * says + ["failed"]
    assert "without" in (launcher.events[-1].error or "")


async def test_an_error_without_words_has_a_name() -> None:
    launcher = Launcher()
    await launcher.run([command()], Scripted(then=TimeoutError()))
    assert launcher.events[-1].error == "TimeoutError()"


@pytest.mark.parametrize(
    "value", [b"", None, b"hello", b"{}", b'{"schema_version":2}', (command().value or b"").replace(b"p1", b"p 1")]
)
async def test_poison_is_set_aside_committed_and_the_others_run(value: bytes | None) -> None:
    launcher = Launcher()
    poison = record("fix.commands", value, partition=3)
    await launcher.run([command("a"), poison, command("b")], Scripted(Progress("success")))
    assert {e.job_id for e in launcher.events} == {"a", "b"}
    [letter] = launcher.publisher.letters
    assert letter.value == (value or b"")
    assert (headers(letter)["topic"], headers(letter)["partition"]) == ("fix.commands", "3")
    at = launcher.log.index("dead-letters")
    assert launcher.log[at + 1] == f"commit {poison.offset}"


async def test_a_second_delivery_of_a_job_that_was_cut_off_tells_the_same_steps_and_changes_nothing() -> None:
    launcher = Launcher()
    await launcher.run([command()])
    once = launcher.events
    again = Launcher()
    await again.run([command()])
    twice = again.events
    assert [(e.job_id, e.seq, e.status, e.log) for e in twice] == [(e.job_id, e.seq, e.status, e.log) for e in once]
    assert job(once + twice) == job(once)


async def test_a_command_delivered_again_after_its_end_launches_nothing() -> None:
    launcher = Launcher()
    backend = Scripted(Progress("success"))
    asked = command()
    await launcher.run([asked, asked], backend)
    assert len(backend.launched) == 1
    assert launcher.log[-1] == f"commit {asked.offset}"


@pytest.mark.parametrize("told", range(5))
async def test_a_run_that_was_cut_off_is_taken_up(told: int) -> None:
    launcher = Launcher()
    await launcher.run([command()])
    whole = launcher.events
    found = job(whole[:told] + whole)
    assert found is not None
    assert (found.status, found.seq) == ("success", len(whole))


async def test_it_waits_while_kafka_is_away() -> None:
    launcher = Launcher(KafkaUnavailable(), KafkaUnavailable())
    launcher.commits = [KafkaUnavailable()]
    asked = command()
    await launcher.run([asked], Scripted(Progress("running"), Progress("success")))
    assert [(e.seq, e.status) for e in launcher.events] == [(1, "running"), (2, "success")]
    assert launcher.log[-1] == f"commit {asked.offset}"


async def test_a_letter_that_cannot_be_sent_ends_it_uncommitted() -> None:
    launcher = Launcher(*[KafkaUnavailable() for _ in range(1_000)])
    with pytest.raises(KafkaUnavailable):
        await launcher.run([record("fix.commands", b"poison"), command()])
    assert launcher.log == []


# ---- jobs that somebody else ends ------------------------------------------------------------------------------------


async def test_a_job_that_was_cancelled_before_it_began_is_never_launched() -> None:
    launcher = Launcher()
    launcher.ends.failures = [KafkaUnavailable(), KafkaUnavailable()]
    launcher.ends.cancel("a")
    first, second = command("a"), command("b")
    backend = Scripted(Progress("success"))
    await launcher.run([first, second], backend)
    assert [fix.job_id for fix in backend.launched] == ["b"]
    assert backend.stopped == ["a"]
    assert launcher.log == [f"commit {first.offset}", "job.events", f"commit {second.offset}"]


async def test_a_running_job_that_is_cancelled_is_stopped_and_the_next_one_runs() -> None:
    launcher = Launcher()
    backend = Endless()
    first, second = command("a"), command("b")
    running = asyncio.create_task(launcher.run([first, second], backend))
    await backend.begun.wait()
    assert backend.stopped == []
    backend.begun.clear()
    launcher.ends.cancel("a")
    await backend.begun.wait()
    assert (backend.closed, backend.stopped) == (1, ["a"])
    launcher.ends.cancel("b")
    await running
    assert (backend.closed, backend.stopped) == (2, ["a", "b"])
    assert [(e.job_id, e.status) for e in launcher.events] == [("a", "running"), ("b", "running")]
    assert [entry for entry in launcher.log if "commit" in entry] == [f"commit {r.offset}" for r in (first, second)]


async def test_a_job_cancelled_while_no_launcher_ran_is_stopped_by_the_next_and_not_launched_again() -> None:
    """As after kill -9: what the first launcher knew is gone, and what it launched may still run somewhere."""
    launcher = Launcher()
    backend = Endless()
    asked = command()
    killed = asyncio.create_task(launcher.run([asked], backend))
    await backend.begun.wait()
    killed.cancel()
    await asyncio.wait({killed})
    assert killed.cancelled()
    assert "commit" not in "".join(launcher.log)
    launcher.ends.cancel()
    await launcher.run([asked], backend)
    assert (len(backend.launched), backend.stopped) == (1, ["j1"])
    assert launcher.log[-1] == f"commit {asked.offset}"


async def test_a_job_not_cancelled_is_launched_again_after_a_kill() -> None:
    launcher = Launcher()
    backend = Endless()
    killed = asyncio.create_task(launcher.run([command()], backend))
    await backend.begun.wait()
    killed.cancel()
    await asyncio.wait({killed})
    await launcher.run([command()], done := Scripted(Progress("running", "at it"), Progress("success")))
    assert len(done.launched) == 1
    assert done.stopped == []


async def test_one_that_cannot_be_stopped_now_is_tried_again_and_one_that_never_can_is_told() -> None:
    launcher = Launcher()
    backend = Scripted()
    backend.failing = [KafkaUnavailable(), RuntimeError("no such sandbox")]
    launcher.ends.cancel()
    asked = command()
    await launcher.run([asked], backend)
    [told] = launcher.events
    assert told.status == "failed"
    assert "no such sandbox" in (told.log or "")
    assert launcher.log[-1] == f"commit {asked.offset}"


async def test_a_watch_that_breaks_is_no_end() -> None:
    launcher = Launcher()
    backend = Endless()
    running = asyncio.create_task(launcher.run([command()], backend))
    await backend.begun.wait()
    launcher.ends.failures = [ValueError("broken")]
    with pytest.raises(ValueError, match="broken"):
        await running
    assert backend.stopped == []
    assert "commit" not in "".join(launcher.log)
