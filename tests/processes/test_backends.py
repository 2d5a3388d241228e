"""The launch backends that the settings name."""

import pytest

from soulcaster.errors import BadInput
from soulcaster.processes.backends import NAMES, launch_backends
from soulcaster.processes.clock import utc_now
from soulcaster.processes.settings import LauncherSettings
from soulcaster.services.job_tokens import JobTokens
from soulcaster.services.program_reports import ProgramReports
from tests.support.publisher import RecordingPublisher

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@pytest.fixture
def reports() -> ProgramReports:
    return ProgramReports(RecordingPublisher(), JobTokens(KEY, utc_now), utc_now)


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """All variables that backends need."""
    needed = ("ECS_CLUSTER_NAME", "ECS_TASK_DEFINITION", "ECS_SUBNET_IDS", "ECS_SECURITY_GROUP_IDS", "E2B_API_KEY")
    for name in needed:
        monkeypatch.setenv(name, "something")
    return monkeypatch


@pytest.mark.parametrize("name", NAMES)
def test_every_backend_can_be_set_up(name: str, reports: ProgramReports, complete: pytest.MonkeyPatch) -> None:
    complete.setenv("SOULCASTER_BACKENDS", name)
    [(key, backend)] = launch_backends(LauncherSettings(), reports).items()
    assert key == backend.name == name


def test_the_first_one_is_the_default(reports: ProgramReports, complete: pytest.MonkeyPatch) -> None:
    complete.setenv("CODING_AGENT_RUNNER", "sandbox_kilo, aws_kilo, dry-run")
    assert list(launch_backends(LauncherSettings(), reports)) == ["e2b", "ecs", "dry-run"]


def test_a_name_that_is_no_backend_is_named(reports: ProgramReports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOULCASTER_BACKENDS", "dry-run,kubernetes")
    with pytest.raises(BadInput, match=r"kubernetes.*dry-run, local, ecs, e2b"):
        launch_backends(LauncherSettings(), reports)
