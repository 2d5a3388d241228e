"""The process that runs one launch: it starts the program, keeps its limits, and records how it ended.

`python -m soulcaster.launcher.backends.local.supervisor` reads an `Order` from its standard input, puts itself into the
background and lets the launcher go on as soon as the start is recorded or refused. It has its own session, so it goes
on when the launcher ends. It may be killed at any point: the program dies with it.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from soulcaster.isolation.descendants import adopt_orphans, kill_descendants
from soulcaster.launcher.backends.local.folder import DIED, JobFolder, Start
from soulcaster.launcher.backends.local.order import Order

KEPT_DAYS = 30
"""How long the records and the output of a launch are kept; later, the same launch would start again."""


def main() -> None:
    """Take an order, answer the launcher, run the program to its end."""
    try:
        order = Order.from_bytes(sys.stdin.buffer.read())
    except ValueError:
        return  # the launcher died while it wrote
    answered, answer = os.pipe()
    if os.fork():
        # The launcher waits for this process. The supervisor is nobody's child, so it leaves no zombie behind.
        os.close(answer)
        os.read(answered, 1)
        os._exit(0)
    os.close(answered)
    Supervisor(order).run(accepted=lambda: os.close(answer))


class Supervisor:
    """Runs one launch."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._folder = JobFolder(order.folder)

    def run(self, accepted: Callable[[], None]) -> None:
        """Run the program, unless this launch was started or stopped before; call `accepted` when that is certain."""
        claim = self._folder.claim()
        if claim is None:
            return
        with claim:
            if self._folder.asked_to_stop():
                return
            self._folder.write_start(Start(os.getpid()))
            accepted()
            self._folder.write_end(self._supervise())
        _tidy(self._folder)
        tidy(self._order.folder.parent)

    def _supervise(self) -> str:
        """Run the program; return why it ended, when nothing of it is left.

        What this imports is slow to import (psutil), and the launcher waits until the start is recorded.
        """
        from soulcaster.isolation.program import NotStarted
        from soulcaster.launcher.backends.local.program import program_of
        from soulcaster.launcher.backends.local.watch import Watch

        self._folder.prepare()
        program = program_of(self._order, self._folder)
        watch = Watch(self._order, self._folder, program)
        signal.signal(signal.SIGTERM, lambda *_: watch.give_up("its supervisor was told to end (SIGTERM)"))
        adopt_orphans()
        try:
            program.start()
        except (NotStarted, OSError) as error:
            reason = f"it could not be started: {error}"
        else:
            reason = watch.until_end()
        finally:
            program.kill()
            kill_descendants()
            program.wait()
        watch.take_rest()
        return reason


def tidy(jobs: Path) -> None:
    """Remove folders of launches that ended `KEPT_DAYS` ago, and what killed supervisors left behind."""
    for path in jobs.iterdir():
        try:
            _tidy(JobFolder(path))
        except (FileNotFoundError, NotADirectoryError):
            continue  # another supervisor was faster, or it is none of ours


def _tidy(folder: JobFolder) -> None:
    old = time.time() - folder.path.stat().st_mtime > KEPT_DAYS * 86_400
    started = folder.start() is not None
    open_end = started and folder.end() is None
    if not (old or open_end or (started and folder.has_files())):
        return
    with folder.unsupervised() as ours:
        if not ours:
            return
        if open_end and folder.end() is None:
            folder.write_end(DIED)
        folder.remove_files()
        if old:
            shutil.rmtree(folder.path)


if __name__ == "__main__":
    main()
