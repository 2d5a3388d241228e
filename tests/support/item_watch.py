"""Watches of items whose clocks show given times."""

from soulcaster.services.item_watch import ItemWatch


def watch_of(*seconds: float, cpu: float = 1.0) -> ItemWatch:
    """A watch made at the first of these times, whose clock on the wall shows them all, one after the other.

    `cpu` is the share of the time that the thread has the processor.
    """
    shown = 0.0
    times = iter((seconds[0], *seconds))

    def wall() -> float:
        nonlocal shown
        shown = next(times)
        return shown

    return ItemWatch(cpu=lambda: cpu * shown, wall=wall)
