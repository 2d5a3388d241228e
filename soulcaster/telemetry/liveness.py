"""Whether a process lives: what `/health/live` answers."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from soulcaster.telemetry.metrics import LOOP_DEADLINE_TIMESTAMP
from soulcaster.telemetry.waits import WAITS, Waits


@dataclass(frozen=True, slots=True)
class Liveness:
    """Whether a process lives, why not, and what is known besides; a supervisor restarts one that does not."""

    live: bool
    why: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)


def answering() -> Liveness:
    """Return the liveness of a process that only has to answer: it does."""
    return Liveness(True)


class Loops:
    """The loops of a process: it is dead when one does not begin its next pass in time."""

    def __init__(self, waits: Waits, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is monotonic, in seconds."""
        self._waits = waits
        self._clock = clock
        self._last: dict[str, tuple[float, float]] = {}

    def begin_pass(self, loop: str, within: float) -> None:
        """Note that a loop begins a pass; the next one begins within so many seconds, unless it waits for a system."""
        self._last[loop] = self._clock(), within
        LOOP_DEADLINE_TIMESTAMP.labels(loop).set(time.time() + within)

    def liveness(self) -> Liveness:
        """Return whether every loop began its pass in time. Who waits for a system is late and lives."""
        now = self._clock()
        waiting = self._waits.systems()
        late = sorted(loop for loop, (at, within) in self._last.items() if now - at > within)
        facts = {
            "waiting_for": waiting,
            "seconds_since_pass": {loop: round(now - at, 1) for loop, (at, _) in self._last.items()},
        }
        if late and not waiting:
            return Liveness(False, f"no pass of {', '.join(late)} in time", facts)
        return Liveness(True, facts=facts)


LOOPS = Loops(WAITS)
"""The loops of this process."""
