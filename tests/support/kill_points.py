"""The points of a launcher's way: before and after each call that leaves its process, and what happens there."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeVar

from soulcaster.errors import Unavailable

T = TypeVar("T")

_CALL: ContextVar[str | None] = ContextVar("_CALL", default="")
"""The call that a call is part of; None hides it."""


class Killed(BaseException):
    """The process is gone."""


class KillPoints:
    """The points that one launcher has passed; lets something happen at those that `at` chooses.

    A point has the name of its call, and of the call that this is part of, so that it is the same one in every run:
    "after create in launch 1". A call that comes again passes no new point.
    """

    def __init__(
        self,
        at: Callable[[str], bool] = lambda _: False,
        happens: "Callable[[KillPoints], Awaitable[None]] | None" = None,
    ) -> None:
        """Kill the launcher at a point, unless something else `happens` there."""
        self.passed: dict[str, None] = {}
        self.struck: list[str] = []
        self.is_dead = False
        self.died: Callable[[], None] = lambda: None
        self._at = at
        self._happens = happens or kill

    async def call(self, label: str | None, work: Callable[[], Awaitable[T]]) -> T:
        """Do a piece of work that leaves the process, unless the process is dead before or after it.

        Without a label neither it nor what it calls is a point.
        """
        part_of = _CALL.get()
        name = None if label is None or part_of is None else f"{label} in {part_of}" if part_of else label
        await self.point(name and f"before {name}")
        kept = _CALL.set(name)
        try:
            result = await work()
        finally:
            _CALL.reset(kept)
        await self.point(name and f"after {name}")
        return result

    async def point(self, name: str | None) -> None:
        """Pass a point.

        Raises:
            Killed: the process is dead, from this point on or from an earlier one.
        """
        if not self.is_dead and name is not None and name not in self.passed:
            self.passed[name] = None
            if self._at(name):
                self.struck.append(name)
                await self._happens(self)
        if self.is_dead:
            raise Killed(self.struck)

    def die(self) -> None:
        """End the process: nothing leaves it any more."""
        self.is_dead = True
        self.died()

    def around(self, port: Any) -> Any:
        """Return a port whose calls are points. Its connections belong to the test: closing it does nothing."""
        return _Around(port, self)


async def kill(points: KillPoints) -> None:
    """Kill the launcher."""
    points.die()


async def lose_answer(_: KillPoints) -> None:
    """Lose the answer to what was done, or the request, if nothing was done yet."""
    raise Unavailable("the answer was lost")


class _Around:
    def __init__(self, port: Any, points: KillPoints) -> None:
        self._port = port
        self._points = points

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._port, name)
        return lambda *given, **named: self._points.call(name, lambda: method(*given, **named))

    async def close(self) -> None:
        """Do nothing."""
