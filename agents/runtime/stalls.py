"""Whether a worker lives: it is dead when it has work, nothing is committed for long, and it waits for nobody."""

import time
from collections.abc import Callable, Mapping

from agents.runtime.backlog import Behind
from soulcaster.telemetry.liveness import Liveness

STALL_SECONDS = 180.0
"""How long a worker may stand still. A batch takes less: its calls have time limits, and what is away is waited for."""


class Stalls:
    """Tells whether a worker stands still, from what looks find every few seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is monotonic, in seconds."""
        self._clock = clock
        self._looked_at = clock()
        self._excused_at = clock()
        self._excuse = "it starts"
        self._ages: Mapping[str, float] = {}
        self._lag: Mapping[str, int] = {}

    def excuse(self, why: str) -> None:
        """Note a look that found why nothing can move: a system is away, or partitions are on their way."""
        self._looked_at = self._excused_at = self._clock()
        self._excuse = why

    def note(self, behind: Mapping[str, Behind]) -> None:
        """Note a look that found nothing of that kind."""
        self._looked_at = self._clock()
        self._excuse = ""
        self._ages = {agent: one.commit_age for agent, one in behind.items()}
        self._lag = {agent: sum(one.lag.values()) for agent, one in behind.items()}

    def liveness(self) -> Liveness:
        """Return whether the worker lives."""
        now = self._clock()
        facts: dict[str, object] = {
            "lag": self._lag,
            "commit_age_seconds": {agent: round(age, 1) for agent, age in self._ages.items()},
            "excuse": self._excuse,
            "seconds_since_look": round(now - self._looked_at, 1),
        }
        if now - self._looked_at > STALL_SECONDS:
            return Liveness(False, "nobody has looked at Kafka's offsets for too long", facts)
        still = min(max(self._ages.values(), default=0.0), now - self._excused_at)
        if not self._excuse and still > STALL_SECONDS:
            return Liveness(False, f"there is lag, and nothing was committed for {still:.0f} s", facts)
        return Liveness(True, facts=facts)
