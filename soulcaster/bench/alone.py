"""A measurement in its own process, with one thread on one core."""

import os
import subprocess
import sys
from collections.abc import Callable

from soulcaster.errors import SoulcasterError

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
"""Libraries read these when they are loaded, so the process starts with them."""


def run_alone(module: str, *arguments: str, report: Callable[[int], None]) -> None:
    """Run a module of the bench; `report` gets each number that it prints with `print_progress`.

    Raises:
        SoulcasterError: the process failed; its error is on stderr.
    """
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, **ONE_THREAD}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:  # noqa: S603
        try:
            for line in process.stdout or ():
                report(int(line))
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise SoulcasterError(f"the benchmark process ended with {process.returncode}: {' '.join(command[1:])}")


def print_progress(done: int) -> None:
    """Tell the parent process, in `run_alone`, how much is done."""
    print(done, flush=True)  # noqa: T201  the parent reads it


def use_one_core() -> None:
    """Keep this process on one core, and FAISS to one thread."""
    import faiss  # the parent process does not need it

    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    faiss.omp_set_num_threads(1)
