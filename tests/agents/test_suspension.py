"""A process that wakes up after too long writes nothing: whoever looks at the clock first ends it."""

import asyncio

import pytest

from agents.runtime.suspension import AwakePublisher, Suspension
from soulcaster.ports.messaging import Outgoing
from tests.support.publisher import RecordingPublisher


class Ended(Exception):
    pass


class Machine:
    """A process whose clock a test moves on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.suspension = Suspension(7.0, self.end, clock=lambda: self.now)

    def end(self, why: str) -> None:
        raise Ended(why)


@pytest.fixture
async def machine() -> Machine:
    return Machine()


async def test_nothing_is_published_after_a_suspension(machine: Machine) -> None:
    published = RecordingPublisher()
    publisher = AwakePublisher(published, machine.suspension)
    message = Outgoing("t", b"k", b"v")
    running = asyncio.create_task(machine.suspension.run())
    await asyncio.sleep(0)
    machine.now += 6.9
    await publisher.publish([message])
    machine.now += 6.9
    await publisher.publish([message])
    machine.now += 7.1
    with pytest.raises(Ended, match="did not run for 7 s"):
        await publisher.publish([message])
    assert len(published.sent) == 2
    running.cancel()


async def test_a_suspension_is_noticed_by_a_process_that_writes_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.runtime.suspension.LOOK_SECONDS", 0.0)
    running = asyncio.create_task(machine.suspension.run())
    await asyncio.sleep(0.01)
    assert not running.done()
    machine.now += 7.1
    with pytest.raises(Ended):
        await running


async def test_a_slow_start_is_no_suspension(machine: Machine) -> None:
    machine.now += 60.0
    machine.suspension.check()
