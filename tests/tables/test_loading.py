"""Large states are loaded, once, and freed beside the event loop; what is loaded is what the rows say at the end."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import ParamSpec, TypeVar

import pytest

from soulcaster.domain.segments import Segments, newest_blob
from soulcaster.services.threads import THREAD_BYTES
from tables.segmented import SegmentedTable

P = ParamSpec("P")
R = TypeVar("R")
WIDTH = 2
BLOBS = {b"large": bytes(2 * THREAD_BYTES)}


class State:
    """A state that notes which thread makes and which frees it."""

    def __init__(self, segments: Segments, freed: list[int]) -> None:
        self.segments = segments
        self.made = threading.get_ident()
        self._freed = freed

    def __del__(self) -> None:
        self._freed.append(threading.get_ident())


class Making:
    """Makes states; those of p1 while `may` is set."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.may.set()
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.failures: list[Exception] = []
        self.freed: list[int] = []
        self._loop = asyncio.get_running_loop()

    def __call__(self, project_id: str, segments: Segments) -> State:
        self._loop.call_soon_threadsafe(self.begun.put_nowait, project_id)
        if project_id == "p1":
            assert self.may.wait(60)
        if self.failures:
            raise self.failures.pop()
        return State(segments, self.freed)


class DoneAtOnce(ThreadPoolExecutor):
    """Threads that have done their work before the caller goes on."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        future = super().submit(fn, *args, **kwargs)
        wait([future])
        return future


async def large(*projects: str) -> tuple[SegmentedTable[State], Making]:
    """Return a table with a large row of each project, none of them loaded, and what makes their states."""
    rows: dict[bytes, bytes] = {}
    making = Making()
    table = SegmentedTable(rows, WIDTH, making)
    for project in projects:
        table.write(0, project, Segments(WIDTH).commit({}, BLOBS))
    return table, making


async def test_a_large_state_is_loaded_in_a_thread_and_a_small_one_at_once() -> None:
    table, _ = await large("p1")
    here = threading.get_ident()
    assert (await table.state(0, "p1")).made != here
    assert (await table.state(0, "p2")).made == here


async def test_who_asks_meanwhile_gets_the_same_state_and_other_projects_go_on() -> None:
    table, making = await large("p1", "p2")
    making.may.clear()
    asking = [asyncio.create_task(table.state(0, "p1")) for _ in range(3)]
    assert await making.begun.get() == "p1"
    await table.state(0, "p2")
    assert await making.begun.get() == "p2"
    assert not any(task.done() for task in asking)
    assert table.loaded(0, "p1") is None
    making.may.set()
    first, *others = await asyncio.gather(*asking)
    assert all(other is first for other in others)
    assert table.loaded(0, "p1") is first
    assert making.begun.empty()


async def test_who_gives_up_does_not_end_the_loading_for_others() -> None:
    table, making = await large("p1")
    making.may.clear()
    asking = [asyncio.create_task(table.state(0, "p1")) for _ in range(2)]
    await making.begun.get()
    asking[0].cancel()
    await asyncio.wait([asking[0]])
    making.may.set()
    assert (await asking[1]).segments.blobs() == BLOBS
    assert making.begun.empty()


@pytest.mark.parametrize("change", ["write", "forget", "reload"])
async def test_what_changes_while_it_is_loaded_is_loaded_again(change: str) -> None:
    table, making = await large("p1")
    making.may.clear()
    asking = asyncio.create_task(table.state(0, "p1"))
    await making.begun.get()
    expected = BLOBS
    if change == "write":
        row = Segments(WIDTH)
        row.commit({}, {b"before": b"x"})
        table.write(0, "p1", row.commit({}, {b"more": b"x"}))
        expected = BLOBS | {b"more": b"x"}
    elif change == "forget":
        table.forget(0, "p1")
    else:
        await table.reload()
    making.may.set()
    assert (await asking).segments.blobs() == expected
    assert await making.begun.get() == "p1", "a second time"
    assert table.loaded(0, "p1") is await asking


async def test_a_state_that_cannot_be_loaded_fails_for_all_and_is_tried_again() -> None:
    table, making = await large("p1")
    making.failures = [ValueError("broken"), ValueError("broken")]
    asked = await asyncio.gather(table.state(0, "p1"), table.state(0, "p1"), return_exceptions=True)
    assert [str(failed) for failed in asked] == ["broken", "broken"]
    assert (await table.state(0, "p1")).segments.blobs() == BLOBS


@pytest.mark.parametrize("how", ["forget", "reload"])
async def test_a_state_that_is_discarded_is_freed_in_a_thread(how: str) -> None:
    table, making = await large("p1")
    await table.state(0, "p1")
    asyncio.get_running_loop().set_default_executor(DoneAtOnce())
    if how == "forget":
        table.forget(0, "p1")
    else:
        await table.reload()
    async with asyncio.timeout(60):
        while not making.freed:
            await asyncio.sleep(0.001)
    assert making.freed != [threading.get_ident()]


async def test_a_blob_is_found_in_the_rows_without_a_state() -> None:
    table, making = await large("p1")
    segments = Segments(WIDTH)
    segments.commit({}, {b"first": b"old", b"gone": b"x"})
    for changed in ({b"first": b"new", b"gone": b""}, {b"other": b"first"}):
        table.write(0, "p2", segments.commit({}, changed))

    def blobs(rows: Mapping[str, bytes]) -> list[bytes | None]:
        return [newest_blob(rows, WIDTH, key) for key in (b"first", b"gone", b"other", b"never")]

    assert await table.read(0, "p2", blobs) == [b"new", None, b"first", None]
    assert await table.read(0, "p1", lambda rows: newest_blob(rows, WIDTH, b"large")) == BLOBS[b"large"]
    assert await table.read(0, "p3", blobs) == [None] * 4
    assert making.begun.empty()
