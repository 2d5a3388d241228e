"""One stack with all processes of the program, its load and its watch: what a fault strikes."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.dev.child import Child
from soulcaster.dev.loopback import free_port
from soulcaster.dev.stack import Stack
from soulcaster.ports.messaging import Record
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings
from tests.faults.load import Feed, Ledger, Load
from tests.faults.watch import Watch
from tests.support.beside import Beside
from tests.support.job_log import order_jobs

RESTART_SECONDS = 1.0
"""A supervisor starts a process again so long after it ended."""

JOB_STEP_SECONDS = 0.4
WORKER = ("soulcaster", "worker")


@dataclass(frozen=True)
class Scale:
    """How much a run does; `calm` is the range of seconds before and after the fault."""

    projects: int = 20
    partitions: int = 8
    workers: int = 3
    rate: float = 20.0
    jobs: int = 6
    calm: tuple[float, float] = (6.0, 14.0)


SHORT = Scale(projects=5, partitions=4, workers=2, rate=10.0, jobs=2, calm=(1.0, 3.0))


class Site:
    """A running system that may be hurt."""

    def __init__(self, folder: Path, scale: Scale, seed: int, *, settings: dict[str, Any], env: dict[str, str]) -> None:
        """Start nothing yet. `settings` and `env` are those of the fault."""
        self.folder = folder
        self.scale = scale
        self.chance = random.Random(seed)
        secret = Fernet.generate_key().decode()
        self.env = {"SOULCASTER_SESSION_KEY": secret, "SOULCASTER_SECRETS_KEY": secret, **env}
        base = Settings().model_copy(
            update={
                "port": free_port(),
                "backends": "local",
                "local_jobs_folder": folder / "jobs",
                "local_without_isolation": True,
                "embedder": "static",
                **settings,
            }
        )
        self.stack = Stack(folder / "stack", base=base, partitions=scale.partitions)
        self.settings = self.stack.settings
        self.project_ids = [f"faults-{number}" for number in range(scale.projects)]
        self.jobs_project = "faults-jobs"
        self.job_ids: list[str] = []
        self.ledger = Ledger()
        self.watch = Watch(self.settings, self.ledger)
        self.consumed: list[Record] = []
        """Records of feedback.raw that were deleted after they had been read."""
        self.workers: list[Child] = []
        self.restarts = 0
        self.beside: Beside | None = None
        self._supervised: list[Child] = []

    async def open(self) -> None:
        """Start everything but workers."""
        await self.stack.start()
        await self.stack.provision()
        self.beside = Beside(self.settings, self.folder / "processes", env=self.env)
        self.web = self.supervise(self.beside.soulcaster("web"))
        quick = ["tests.support.quick_launcher", str(self.beside.data_dir), str(JOB_STEP_SECONDS)]
        self.launcher = self.supervise(self.beside.start("launcher", quick))

    async def close(self) -> None:
        """Stop everything."""
        self._supervised.clear()
        for worker in self.workers:
            await worker.kill()
        if self.beside is not None:
            await self.beside.stop()
        await self.stack.stop()

    # ---- processes ---------------------------------------------------------------------------------------------------

    def hire(self, module: Sequence[str] = WORKER, *, beside: Beside | None = None, **env: str) -> Child:
        """Start a worker that a supervisor starts again whenever it ends."""
        beside = beside or self.beside
        assert beside is not None
        ending = ["--data-dir", str(beside.data_dir)] if module is WORKER else [str(beside.data_dir)]
        worker = beside.start("worker", [*module, *ending], **env)
        self.workers.append(worker)
        return self.supervise(worker)

    async def dismiss(self, worker: Child, *, kill: bool = False) -> None:
        """End a worker for good."""
        self.unsupervise(worker)
        self.workers.remove(worker)
        await (worker.kill() if kill else worker.stop())

    async def dismiss_all(self) -> None:
        """End all workers for good, at once."""
        await asyncio.gather(*(self.dismiss(worker) for worker in [*self.workers]))

    def supervise(self, child: Child) -> Child:
        self._supervised.append(child)
        return child

    def unsupervise(self, child: Child) -> None:
        self._supervised.remove(child)

    async def supervisor(self) -> None:
        """Start what has ended again, until cancelled; `restarts` counts what ended by itself or by the fault."""
        while True:
            for child in [child for child in self._supervised if not child.running]:
                await asyncio.sleep(RESTART_SECONDS)
                if child in self._supervised:
                    with suppress(ValueError):
                        child.start()
                        self.restarts += 1
            await asyncio.sleep(0.2)

    # ---- load --------------------------------------------------------------------------------------------------------

    async def order_jobs(self, count: int) -> None:
        """Order jobs of a project of their own."""
        async with KafkaPublisher(kafka_access(self.settings), timeout=30) as publisher:
            self.job_ids += await order_jobs(publisher, self.jobs_project, count)

    async def until_shown(self, count: int, seconds: float = 240) -> None:
        """Return once so many more items show."""
        before = self.watch.shown
        async with asyncio.timeout(seconds):
            while self.watch.shown < before + count:
                await asyncio.sleep(0.1)

    def feed(self, seed: int) -> Feed:
        """Return items of another seed, for faults that post by themselves."""
        return Feed(seed, self.project_ids, prefix=f"{seed}-")

    def load(self, seed: int, **more: Any) -> Load:
        return Load(self.settings, self.ledger, seed, self.project_ids, self.scale.rate, **more)
