"""What `soulcaster doctor` finds out about a consumer group, with scripted offsets."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, repeat
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from soulcaster.adapters.kafka.offsets import KafkaOffsets
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.cli import checks
from soulcaster.cli.checks import ForeignItems, Report, check_group, foreign_items, reached_limits
from soulcaster.cli.doctor import _print
from soulcaster.dev.supervision import Death
from soulcaster.domain.events import ClusteringStatus
from soulcaster.ports.projects import Project
from soulcaster.ports.topic_copy import Span
from soulcaster.processes.groups import ConsumerGroup
from soulcaster.processes.settings import Settings
from tests.conftest import RedisServer
from tests.support.make import NOW, item, step

ONE, OTHER = TopicPartition("feedback.raw", 0), TopicPartition("feedback.raw", 1)
WORKER = ConsumerGroup("soulcaster", "worker", {"feedback.raw": ("normalize",), "feedback.items": ("embed", "project")})
LAUNCHER = ConsumerGroup("soulcaster-launcher", "launcher", {"feedback.raw": ("launcher",)})


class ScriptedOffsets(KafkaOffsets):
    """Offsets of a group with one member by default; `committed` are what it has committed at each call."""

    def __init__(self, *committed: Mapping[TopicPartition, int], members: int = 1) -> None:
        self._committed: Iterator[Mapping[TopicPartition, int]] = chain(committed, repeat(committed[-1]))
        self._members = members

    async def members(self, group: str) -> int:
        return self._members

    async def spans(self, topics: Collection[str]) -> dict[TopicPartition, Span]:
        return {tp: span for tp, span in {ONE: Span(5, 10), OTHER: Span(0, 3)}.items() if tp.topic in topics}

    async def log_ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: span.end for tp, span in (await self.spans([tp.topic for tp in partitions])).items()}

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        return dict(next(self._committed))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "STALL_SECONDS", 0)


async def test_lag_counts_from_the_first_record_and_what_was_deleted_before_it_is_lost() -> None:
    group, behind, [problem] = await check_group(
        ScriptedOffsets({OTHER: 2}, {OTHER: 2}, {OTHER: 3}), WORKER, {"feedback.raw"}
    )
    assert (group.name, group.members) == ("soulcaster", 1)
    assert [(one.topic, one.agents, one.lag) for one in behind] == [("feedback.raw", ("normalize",), 6)]
    assert problem.what.startswith("worker has lost records of feedback.raw, partition 0: 5 records before offset 5")
    assert "skip-lost" in problem.advice


async def test_a_topic_that_is_missing_is_left_out() -> None:
    _, behind, _ = await check_group(ScriptedOffsets({ONE: 10, OTHER: 3}), WORKER, {"feedback.raw"})
    assert [(one.topic, one.lag) for one in behind] == [("feedback.raw", 0)]


async def test_a_group_without_members_has_a_command_to_start_one() -> None:
    _, _, [problem] = await check_group(ScriptedOffsets({ONE: 5}, members=0), LAUNCHER, {"feedback.raw"})
    assert problem.what == "no launcher runs (nobody is in the group soulcaster-launcher)"
    assert "`soulcaster launcher`" in problem.advice


async def test_a_worker_that_is_behind_and_commits_nothing_stands_still() -> None:
    _, _, [problem] = await check_group(ScriptedOffsets({ONE: 6, OTHER: 3}), WORKER, {"feedback.raw"})
    assert problem.what == "normalize has 4 messages of feedback.raw to read and stands still"


async def test_a_worker_that_commits_just_after_it_was_found_behind_does_not_stand_still() -> None:
    _, [behind], problems = await check_group(
        ScriptedOffsets({ONE: 9, OTHER: 3}, {ONE: 10, OTHER: 3}), WORKER, {"feedback.raw"}
    )
    assert (behind.lag, problems) == (1, [])


async def test_a_launcher_may_be_behind_while_it_works_on_a_job() -> None:
    _, [behind], problems = await check_group(ScriptedOffsets({ONE: 6, OTHER: 3}), LAUNCHER, {"feedback.raw"})
    assert (behind.lag, problems) == (4, [])


def test_doctor_shows_what_died_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "launcher.log"
    death = Death(name="The launcher", deaths=3, at=datetime.now(UTC), how="ended", log=log, running=True)
    _print(Report(versions={}, parts=[], deaths=[death]))
    said = capsys.readouterr().out
    assert "The launcher" in said
    assert "runs again" in said


async def test_the_languages_that_the_embedder_does_not_know_are_found_and_shown(
    read_model: RedisReadModel, redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    status = ClusteringStatus("idle", 7, "", NOW, 0.5, 60, 6, 2, 0.0, 0.62, 4)
    for project, foreign in (("p1", (("de", 9), ("ko", 1))), ("p2", ())):
        await read_model.writer.put_items(project, [item("1", project=project)])
        await read_model.writer.apply(project, [replace(status, foreign=foreign)])
    found = await foreign_items(Settings(redis_url=redis_server.url))
    assert found == [ForeignItems(project_id="p1", items=60, languages=(("de", 9), ("ko", 1)))]
    _print(Report(versions={}, parts=[], foreign=found))
    assert "de 9, ko 1" in capsys.readouterr().out


async def test_what_is_full_is_found_and_shown(
    read_model: RedisReadModel, redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    large = "x" * 250_000
    await read_model.writer.put_items("p1", [item(n, body=large) for n in range(5)])
    await read_model.writer.put_items("p2", [item(n, project="p2", source=f"shop-{n}") for n in range(3)])
    await read_model.writer.put_job_steps([step(0, "running", job=job, project="p3") for job in ("j1", "j2")])
    await read_model.writer.put_project(Project("p3", "Three", NOW))
    limits = Settings(
        redis_url=redis_server.url,
        project_stored_megabytes=1,
        sources_per_project=3,
        project_jobs=2,
        projects_from_feedback=3,
    )
    found = await reached_limits(limits)
    assert [(one.project_id, one.what, one.used, one.setting) for one in found] == [
        (None, "projects", 3, "SOULCASTER_PROJECTS_FROM_FEEDBACK"),
        ("p1", "megabytes stored", 1, "SOULCASTER_PROJECT_STORED_MEGABYTES"),
        ("p2", "sources", 3, "SOULCASTER_SOURCES_PER_PROJECT"),
        ("p3", "jobs under way", 2, "SOULCASTER_PROJECT_JOBS"),
    ]
    assert await reached_limits(Settings(redis_url=redis_server.url)) == []
    _print(Report(versions={}, parts=[], full=found))
    assert "SOULCASTER_SOURCES_PER_PROJECT" in capsys.readouterr().out
