"""How often Python looks for cyclic garbage in a process of ours."""

import subprocess
import sys

from soulcaster.processes.garbage import MIDDLE, OBJECTS, YOUNG

_LOOKS = """
import gc
from soulcaster.processes.garbage import collect_rarely
collect_rarely()
frozen = gc.get_freeze_count()
looks = [one["collections"] for one in gc.get_stats()]
kept = [[] for _ in range(100_000)]
after = [one["collections"] for one in gc.get_stats()]
loop = []
loop.append(loop)
del loop
print(frozen > 1_000, after[0] - looks[0], after[2] - looks[2], gc.collect() > 0, gc.get_threshold())
"""


def test_a_process_that_makes_many_objects_looks_through_them_rarely_and_still_finds_cycles() -> None:
    command = [sys.executable, "-c", _LOOKS]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    frozen, young, old, found, *threshold = out.split(maxsplit=4)
    assert (frozen, old, found) == ("True", "0", "True")
    assert int(young) <= 100_000 // OBJECTS
    assert threshold == [f"{(OBJECTS, YOUNG, MIDDLE)}\n"]
