"""`soulcaster bench embedders`: how fast the embedders in the package are on this machine, and what they need.

Each is loaded in a process of its own, with one thread on one core. Its speed is in CPU time, so that what else runs
here changes little.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from os import environ

from soulcaster.bench.alone import ONE_THREAD, use_one_core
from soulcaster.bench.datasets import EMBEDDERS
from soulcaster.bench.feeds import texts
from soulcaster.errors import SoulcasterError

LENGTHS = (54, 400)
"""Characters of the texts: a short question, and a message."""

_BATCH = 32
_WARM_UP = 64
"""Texts that are embedded first, unmeasured: models allocate memory with their first texts."""


@dataclass(frozen=True, slots=True)
class EmbedderFigures:
    """An embedder's texts a second of CPU, of each of `LENGTHS`, and the memory of its process, Python included."""

    embedder: str
    dimensions: int
    short_per_s: float
    long_per_s: float
    megabytes: int


def measure(names: Sequence[str], seconds: float, report: Callable[[str], None]) -> tuple[EmbedderFigures, ...]:
    """Return the figures of embedders, each measured for `seconds` of CPU a length; `report` gets each name.

    Raises:
        SoulcasterError: a process failed; its error is on stderr.
    """
    found = []
    for name in names:
        report(name)
        command = [sys.executable, "-m", "soulcaster.bench.embedders", name, str(seconds)]
        done = subprocess.run(command, stdout=subprocess.PIPE, env={**environ, **ONE_THREAD}, check=False)  # noqa: S603
        if done.returncode:
            raise SoulcasterError(f"the process that measures the embedder {name} ended with {done.returncode}")
        found.append(EmbedderFigures(**json.loads(done.stdout)))
    return tuple(found)


def _of(name: str, seconds: float) -> EmbedderFigures:
    model = EMBEDDERS[name]()
    speeds = []
    for length in LENGTHS:
        model.embed_now(list(texts(_WARM_UP, length, seed=0)))
        stream = texts(sys.maxsize, length, seed=1)
        count = 0
        begin = time.process_time()
        while (spent := time.process_time() - begin) < seconds or not count:
            count += len(model.embed_now(list(islice(stream, _BATCH))))
        speeds.append(count / spent)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    dimensions = model.embed_now(["word"]).shape[1]
    return EmbedderFigures(name, dimensions, round(speeds[0], 1), round(speeds[1], 1), peak)


if __name__ == "__main__":
    use_one_core()
    print(json.dumps(asdict(_of(sys.argv[1], float(sys.argv[2])))))  # noqa: T201  the result
