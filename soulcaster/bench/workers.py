"""`soulcaster bench workers`: what a second worker is worth.

One worker, then two, take the same items through the chain, on the same broker and Redis. Each worker gets a share of a
core by a control group, the same in both runs, so that broker and Redis have cores left: on a machine with two cores
two unlimited workers would only take time away from them, and from each other. The projects are spread evenly over the
partitions, as many projects are by themselves.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from aiokafka.partitioner import DefaultPartitioner

from soulcaster.adapters.kafka.offsets import KafkaOffsets, offsets_of
from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.bench.feeds import PROJECTS, messages, project_ids
from soulcaster.bench.pipeline import PUBLISH_SECONDS, all_clustered, processing_seconds
from soulcaster.bench.programs import WORKER, Program, wait_until
from soulcaster.dev.stack import Stack
from soulcaster.isolation.control_group import ControlGroup, most_cpu
from soulcaster.ports.messaging import Outgoing
from soulcaster.ports.read_model import ReadModel
from soulcaster.processes.connections import open_read_model
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings
from soulcaster.wire.feedback import RawEnvelope, RawFeedback
from soulcaster.wire.topics import FEEDBACK_RAW

LENGTH = 400
CORES = 0.4
"""How much of a core each worker gets, where control groups can be made."""

WORKERS = (1, 2)


@dataclass(frozen=True, slots=True)
class WorkersFigures:
    """Items a second by the number of workers; `cores_each` is None where no limit of the workers could be had."""

    items: int
    cores: int
    cores_each: float | None
    per_s: dict[int, int]
    ratio: float


async def measure(items: int, report: Callable[[str], None]) -> WorkersFigures:
    """Return the figures; `report` gets what is being measured."""
    with tempfile.TemporaryDirectory(prefix="soulcaster-bench-") as folder:
        async with Stack(Path(folder)) as stack, open_read_model(stack.settings) as read_model:
            await stack.provision()
            run = _Run(stack.settings, read_model, items)
            per_s = {}
            for workers in WORKERS:
                report(f"{workers} workers" if workers > 1 else "one worker")
                per_s[workers] = await run.measure(workers)
    one, two = (per_s[workers] for workers in WORKERS)
    return WorkersFigures(
        items=items,
        cores=len(os.sched_getaffinity(0)),
        cores_each=CORES if run.limited else None,
        per_s={workers: round(value) for workers, value in per_s.items()},
        ratio=round(two / one, 2),
    )


def spread_run(prefix: str, partitions: int) -> str:
    """Return a run whose projects are on partitions as different as can be."""
    partition_of, every = DefaultPartitioner(), list(range(partitions))
    most = min(PROJECTS, partitions)
    names = (f"{prefix}-{number}" for number in count())
    return next(n for n in names if len({partition_of(i.encode(), every, every) for i in project_ids(n)}) == most)


class _Run:
    """Measures the chain on one stack; `limited` says whether the workers have a share of a core each."""

    def __init__(self, settings: Settings, read_model: ReadModel, items: int) -> None:
        self._settings = settings
        self._read_model = read_model
        self._items = items
        self.limited = True

    async def measure(self, workers: int) -> float:
        """Return how many items a second so many workers take through the chain."""
        settings = self._settings
        run = spread_run(f"{workers}-workers", settings.partitions)
        values = list(messages("envelopes", run, self._items, LENGTH))
        kafka = kafka_access(settings)
        async with (
            KafkaPublisher(kafka, timeout=PUBLISH_SECONDS) as publisher,
            offsets_of(kafka) as offsets,
            AsyncExitStack() as stack,
        ):
            programs = [await stack.enter_async_context(self._worker()) for _ in range(workers)]
            await self._joined(offsets, workers)
            warm = spread_run(f"warm-{workers}", settings.partitions)
            await publisher.publish([Outgoing(FEEDBACK_RAW.name, None, _one_each(warm))] * settings.partitions)
            await wait_until(lambda: all_clustered(self._read_model, warm, PROJECTS))
            return self._items / await processing_seconds(
                programs,
                publisher,
                FEEDBACK_RAW.name,
                values,
                lambda: all_clustered(self._read_model, run, self._items),
            )

    def _worker(self) -> Program:
        group = ControlGroup.make(most_cpu(CORES))
        self.limited = self.limited and group is not None
        return Program(WORKER, self._settings).within(group)

    async def _joined(self, offsets: KafkaOffsets, workers: int) -> None:
        async def joined() -> bool:
            return await offsets.members(self._settings.app_id) >= workers

        await wait_until(joined)


def _one_each(run: str) -> bytes:
    """Return an envelope with an item of each project of a run."""
    raw = RawFeedback(project_id="any", source="bench", body="warm", external_id="1")
    items = tuple(raw.model_copy(update={"project_id": project_id}) for project_id in project_ids(run))
    return RawEnvelope(items=items).to_bytes()
