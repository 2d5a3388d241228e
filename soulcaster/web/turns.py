"""Fair shares of the server: a project that sends many requests at once makes only itself wait.

A request takes a place of its project once it is known who sends it, and gives it back with its response. A stream
takes a place among the streams instead.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from aiohttp import web

from soulcaster.services.fair_turns import FairTurns, Turn
from soulcaster.services.threads import CROWDS_OUT, REST, THREAD_BYTES, away

T = TypeVar("T")

_SAFE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Turns:
    """The places of one server.

    Reading takes the event loop's time, so the requests of a project read one after the other; together they would not
    be answered sooner, and a neighbour's much later. A project whose requests wait rests in between while another one
    asks. Requests that change something wait for Kafka most of the time, so many may do that at once; but each that is
    ready takes its share of every round of the event loop, so beside another project they are few, and rest. Requests
    that wait for long, for their effect or for another system, do little meanwhile. Streams do little but last long, so
    none waits: one too many is refused.
    """

    reading: FairTurns = field(default_factory=lambda: FairTurns(32, each=1, waiting=500, rest=REST))
    writing: FairTurns = field(default_factory=lambda: FairTurns(256, each=32, beside=8, rest=REST, waiting=500))
    waits: FairTurns = field(default_factory=lambda: FairTurns(256, each=32))
    unproven: FairTurns = field(default_factory=lambda: FairTurns(64, each=8, waiting=100))
    """Bodies that are read, and so kept in memory, before it is known who sends them: by project and address."""
    threads: FairTurns = field(default_factory=lambda: FairTurns(6, each=2))
    """Threads that parse what is large; there are few, and what they do is done by one core."""
    streams: FairTurns = field(default_factory=lambda: FairTurns(5_000, each=100, waiting=0))


TURNS = web.AppKey("turns", Turns)


@dataclass(slots=True)
class _Place:
    """Where a request is: whose place it has, and the turn that gives it back."""

    project_id: str
    turn: Turn


_PLACE = web.RequestKey("place", _Place)


@asynccontextmanager
async def turn_of(request: web.Request, project_id: str) -> AsyncIterator[None]:
    """Wait for a place of the project, and hold it during the block.

    Where the block fails, the request keeps its place until `leave`: it is not over before its refusal is sent.

    Raises:
        LimitReached: too many requests of the project wait.
    """
    turns = request.config_dict[TURNS]
    places = turns.reading if request.method in _SAFE else turns.writing
    place = request[_PLACE] = _Place(project_id, await places.take(project_id))
    outside = CROWDS_OUT.set(lambda: places.crowds_out(project_id))
    try:
        yield
    finally:
        CROWDS_OUT.reset(outside)
    place.turn.end()


async def away_in_turn(request: web.Request, size: int, work: Callable[[], T]) -> T:
    """Do work on so many bytes as `away` does; what goes to a thread waits for the project's turn."""
    if size <= THREAD_BYTES:
        return work()
    async with request.config_dict[TURNS].threads.turn(request[_PLACE].project_id):
        return await away(size, work)


def project_of(request: web.Request) -> str | None:
    """Return whose place a request had or has: a project, or a person; None where nobody knows."""
    return request[_PLACE].project_id if _PLACE in request else None


def leave(request: web.Request) -> None:
    """Give the place of a request back, if it has one: it is over, or waits for a system that has turns of its own."""
    if _PLACE in request:
        request[_PLACE].turn.end()


@asynccontextmanager
async def elsewhere(request: web.Request) -> AsyncIterator[None]:
    """Have no place of the project while a block that changes nothing waits for a system with turns of its own.

    Raises:
        LimitReached: too many requests of the project wait for a place after the block.
    """
    place = request[_PLACE]
    place.turn.end()
    yield
    place.turn = await request.config_dict[TURNS].reading.take(place.project_id)


async def become_stream(request: web.Request) -> None:
    """Change the place of a request for one among the streams.

    Raises:
        LimitReached: the project has too many streams.
    """
    place = request[_PLACE]
    turn = await request.config_dict[TURNS].streams.take(place.project_id)
    place.turn.end()
    place.turn = turn


def begin_waiting(request: web.Request) -> None:
    """Change the place of a request for one among those that wait for long; where none is free, it keeps its own."""
    place = request[_PLACE]
    turn = request.config_dict[TURNS].waits.take_free(place.project_id)
    if turn is not None:
        place.turn.end()
        place.turn = turn
