"""Places that projects share."""

import asyncio

import pytest

from soulcaster.errors import LimitReached
from soulcaster.services.fair_turns import FairTurns, in_turn


class Callers:
    """Callers that hold their places until they are told to go on; `served` is the order in which they came in."""

    def __init__(self, turns: FairTurns) -> None:
        self.turns = turns
        self.served: list[str] = []
        self.inside: list[asyncio.Event] = []

    async def call(self, name: str) -> None:
        async with self.turns.turn(name.rstrip("0123456789")):
            leave = asyncio.Event()
            self.served.append(name)
            self.inside.append(leave)
            await leave.wait()

    def come(self, *names: str) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.call(name)) for name in names]

    async def leave(self) -> None:
        """Let the one go that has been in the longest."""
        self.inside.pop(0).set()
        await settled()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_projects_are_served_in_turn_however_many_callers_one_has() -> None:
    callers = Callers(FairTurns(1, each=1))
    come = callers.come(*(f"a{n}" for n in range(20)))
    await settled()
    come += callers.come("b0", "b1", "c0")
    await settled()
    while callers.inside:
        await callers.leave()
    assert callers.served[:6] == ["a0", "a1", "b0", "c0", "a2", "b1"]
    assert callers.served[6:] == [f"a{n}" for n in range(3, 20)]
    await asyncio.gather(*come)


async def test_a_project_has_fewer_places_while_another_asks() -> None:
    now = 0.0
    callers = Callers(FairTurns(10, each=4, beside=2, clock=lambda: now))
    come = callers.come(*(f"a{n}" for n in range(5)))
    await settled()
    assert callers.served == ["a0", "a1", "a2", "a3"]
    come += callers.come("b0")
    await settled()
    await callers.leave()
    await callers.leave()
    assert callers.served == ["a0", "a1", "a2", "a3", "b0"], "two places are left to a, and as many it may have"
    await callers.leave()
    assert callers.served[5:] == ["a4"]
    come += callers.come("a5", "a6")
    await settled()
    assert callers.served[5:] == ["a4"]
    now = 10.0
    come += callers.come("a7")
    await settled()
    assert callers.served[5:] == ["a4", "a5", "a6"], "b has not asked for long"
    while callers.inside:
        await callers.leave()
    assert callers.served[8:] == ["a7"]
    await asyncio.gather(*come)


async def test_a_project_whose_work_never_ends_does_not_stop_another() -> None:
    turns = FairTurns(3, each=2, waiting=5)
    stuck = Callers(turns)
    come = stuck.come(*(f"a{n}" for n in range(7)))
    await settled()
    assert stuck.served == ["a0", "a1"]
    for _ in range(100):
        async with turns.turn("b"):
            pass
    with pytest.raises(LimitReached):
        await stuck.call("a7")
    assert stuck.served == ["a0", "a1"]
    for task in come:
        task.cancel()
    await asyncio.gather(*come, return_exceptions=True)
    async with turns.turn("a"), turns.turn("a"), turns.turn("b"):
        pass


async def test_no_place_gets_lost_when_callers_give_up() -> None:
    callers = Callers(FairTurns(1, each=1))
    come = callers.come("a0", "a1", "b0", "b1")
    await settled()
    come[1].cancel()  # it waits
    await settled()
    callers.inside.pop(0).set()
    come[2].cancel()  # it is served in the same moment
    await settled()
    assert callers.served == ["a0", "b1"]
    await callers.leave()
    callers.come("c0")
    await settled()
    assert callers.served[-1] == "c0"
    await callers.leave()


async def test_a_turn_ends_once() -> None:
    turns = FairTurns(1, each=1)
    async with turns.turn("a") as turn:
        turn.end()
        turn.end()
        other = await turns.take("b")
        waiting = asyncio.create_task(turns.take("c"))
        await settled()
        assert not waiting.done()
        other.end()
        (await waiting).end()


def test_what_projects_have_is_taken_in_turn() -> None:
    assert list(in_turn([["a1", "a2", "a3"], ["b1"], [], ["c1", "c2"]])) == ["a1", "b1", "c1", "a2", "c2", "a3"]
    assert list(in_turn([])) == []


async def test_who_was_refused_leaves_nothing_behind() -> None:
    turns = FairTurns(1, each=1, waiting=0)
    for _ in range(3):
        held = await turns.take("a")
        for project in ("a", "b"):
            with pytest.raises(LimitReached):
                await turns.take(project)
        held.end()


async def test_a_project_that_crowds_out_others_rests_after_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    turns = FairTurns(2, each=1, rest=2.0, clock=lambda: now)
    rests: list[float] = []
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", lambda rest, *_: rests.append(rest))
    held = await turns.take("greedy")
    waiting = asyncio.create_task(turns.take("greedy"))
    await settled()
    (await turns.take("other")).end()
    now += 0.1
    held.end()
    held.end()
    await settled()
    assert rests == [pytest.approx(0.2)]
    assert not waiting.done()
    turns._give_back("greedy")
    held = await waiting
    now += 5.0  # nobody else came for long, and nobody waits
    held.end()
    assert len(rests) == 1
    (await turns.take("greedy")).end()


async def test_a_project_with_callers_that_wait_crowds_out_who_was_served_a_moment_ago() -> None:
    turns = FairTurns(2, each=1)
    held = await turns.take("greedy")
    assert not turns.crowds_out("greedy")  # nobody waits
    waiting = asyncio.create_task(turns.take("greedy"))
    await settled()
    assert not turns.crowds_out("greedy")  # nobody else came
    (await turns.take("other")).end()
    assert turns.crowds_out("greedy")
    assert not turns.crowds_out("other")
    held.end()
    (await waiting).end()
    assert not turns.crowds_out("greedy")
