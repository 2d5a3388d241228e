"""Python's collector of cyclic garbage, in processes whose work makes many objects and hardly a cycle."""

import gc

OBJECTS = 20_000
"""New objects after which the youngest are looked through; Python's default is 700, which each batch exceeds often.
A process with the default spends an eighth of its time on looking."""

YOUNG, MIDDLE = 20, 50
"""After so many looks at a generation the next older one is looked through, too."""


def freeze() -> None:
    """Never look through the objects that there are now: they live as long as the process."""
    gc.collect()
    gc.freeze()


def look_rarely() -> None:
    """Look through new objects rarely. Objects without cycles are freed at once, as always.

    A program begins with this: imports make many objects that stay, and looking is a sixth of their time.
    """
    gc.set_threshold(OBJECTS, YOUNG, MIDDLE)


def collect_rarely() -> None:
    """Freeze, and look through new objects rarely."""
    freeze()
    look_rarely()
