import asyncio
import threading
import time
from threading import get_ident

import pytest

from soulcaster.services.threads import BULK_BYTES, BULK_TURN, CROWDS_OUT, REST, THREAD_BYTES, away, in_thread


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


class Work:
    """Work that runs until it is told to end, and counts what runs at a time."""

    def __init__(self) -> None:
        self.running = self.most = 0
        self.begun = threading.Semaphore(0)
        self.end = threading.Semaphore(0)

    def __call__(self) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        self.begun.release()
        self.end.acquire()
        self.running -= 1


@pytest.mark.parametrize("in_turn", [True, False])
async def test_bulk_is_done_in_one_thread_at_a_time_and_little_beside_it(in_turn: bool) -> None:
    bulk, little = Work(), Work()
    outside = BULK_TURN.set(asyncio.Lock() if in_turn else None)
    try:
        works = [asyncio.create_task(away(BULK_BYTES + 1, bulk)) for _ in range(2)]
        works.append(asyncio.create_task(in_thread(BULK_BYTES, little)))
    finally:
        BULK_TURN.reset(outside)
    await asyncio.to_thread(little.begun.acquire)
    for _ in range(1 if in_turn else 2):
        await asyncio.to_thread(bulk.begun.acquire)
    for work in (bulk, bulk, little):
        work.end.release()
    await asyncio.gather(*works)
    assert bulk.most == (1 if in_turn else 2)
