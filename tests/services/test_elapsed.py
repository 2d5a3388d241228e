"""The clock of what a process may do only as long as it keeps running."""

import time

import pytest

from soulcaster.services.elapsed import elapsed


def test_it_goes_on_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = {time.CLOCK_BOOTTIME: 700.0, time.CLOCK_MONOTONIC: 7.0, time.CLOCK_REALTIME: 1e9}
    monkeypatch.setattr(time, "clock_gettime", clocks.__getitem__)
    assert elapsed() == 700
