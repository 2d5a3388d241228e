"""What a launcher counts of its jobs."""

from collections.abc import AsyncIterator

import pytest
import stamina

from tests.support.launch_in_memory import MemoryVendor
from tests.support.launcher import Setting
from tests.support.metrics import Growth


@pytest.fixture(autouse=True)
async def no_waiting() -> AsyncIterator[None]:
    with stamina.set_testing(True, attempts=1000):
        yield


async def test_jobs_are_counted_while_they_are_followed_and_when_they_end() -> None:
    setting, growth = Setting(MemoryVendor(), ("running", "exit"), ("running", "failed")), Growth()
    setting.log.order()
    await setting.launcher()
    await setting.check_ended()
    fix = setting.log.job().fix
    assert fix is not None
    backend = fix.options.backend
    assert growth.by("soulcaster_jobs_ended_total", "state", "backend") == {("failed", backend): 1}
    assert growth.by("soulcaster_launches_failed_total", "backend") == {(backend,): 1}
    assert growth.by("soulcaster_jobs", "state") == {}  # none is followed any more


async def test_a_job_that_no_launch_survives_is_counted_as_dead_with_its_letter() -> None:
    setting, growth = Setting(MemoryVendor(), ("running", "exit")), Growth()
    setting.log.order()
    await setting.launcher()
    await setting.check_ended()
    assert set(growth.by("soulcaster_jobs_ended_total", "state")) == {("dead",)}
    assert growth.by("soulcaster_dead_letters_total", "kind") == {("job",): 1}
