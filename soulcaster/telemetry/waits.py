"""What this process waits for: systems that do not answer, and whose work is tried again.

Waiting is no fault of the process: it shows as a metric, and liveness does not count it as dead.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from soulcaster.errors import Unavailable
from soulcaster.telemetry.metrics import WAITING


class Wait:
    """One operation, which waits from its first failure until it is over, whatever it ends with."""

    def __init__(self, waits: "Waits") -> None:
        self._waits = waits
        self._system: str | None = None

    @contextmanager
    def failed(self) -> Iterator[None]:
        """Run an attempt; when it raises that a system is unavailable, wait for that system from then on."""
        try:
            yield
        except Unavailable as error:
            self.over()
            self._system = error.system
            self._waits.add(error.system, 1)
            raise

    def over(self) -> None:
        """Wait no more."""
        if self._system is not None:
            self._waits.add(self._system, -1)
            self._system = None


class Waits:
    """The operations that wait, by the system they wait for."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, system: str, change: int) -> None:
        """Count operations more or less."""
        self._counts[system] += change
        WAITING.labels(system).set(self._counts[system])

    @contextmanager
    def one(self) -> Iterator[Wait]:
        """Give the wait of an operation; it is over after the block."""
        wait = Wait(self)
        try:
            yield wait
        finally:
            wait.over()

    def systems(self) -> Sequence[str]:
        """Return what is waited for now."""
        return sorted(system for system, count in self._counts.items() if count)


WAITS = Waits()
"""Those of this process."""
