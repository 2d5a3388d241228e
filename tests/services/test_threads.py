import asyncio
import time
from threading import get_ident

import pytest

from soulcaster.services.threads import CROWDS_OUT, REST, THREAD_BYTES, away


async def test_work_on_much_text_leaves_the_event_loop_free() -> None:
    assert await away(THREAD_BYTES, get_ident) == get_ident()
    assert await away(THREAD_BYTES + 1, get_ident) != get_ident()


@pytest.mark.parametrize(("crowds_out", "rests"), [(False, 0), (True, 1)])
async def test_who_crowds_out_others_rests_after_a_thread(
    monkeypatch: pytest.MonkeyPatch, crowds_out: bool, rests: int
) -> None:
    rested: list[float] = []

    async def sleep(seconds: float) -> None:
        rested.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    outside = CROWDS_OUT.set(lambda: crowds_out)
    try:
        await away(THREAD_BYTES, lambda: None)
        assert rested == []
        await away(THREAD_BYTES + 1, lambda: time.sleep(0.01))
    finally:
        CROWDS_OUT.reset(outside)
    assert [seconds >= REST * 0.01 for seconds in rested] == [True] * rests
