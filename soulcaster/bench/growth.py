"""`soulcaster bench growth`: what an item costs as the state of a worker grows, and how soon a worker is ready again.

A worker takes items through the whole chain, step by step; each step doubles what there is. The cost is CPU time of the
worker and of the process that embeds for it, so other work on the machine hardly changes it. Then the worker is
stopped, and a new one is started on the same tables: it is ready once it has clustered a new item of every project.

The texts are made so that there are as many topics as asked for: each topic has words of its own, drawn at random, and
a text has most of them. How many clusters come of it is counted, not assumed.
"""

import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.bench.feeds import ENVELOPE_ITEMS, PROJECTS, demo_topics, project_ids
from soulcaster.bench.pipeline import PUBLISH_SECONDS, all_clustered
from soulcaster.bench.programs import WORKER, Program, wait_until
from soulcaster.bench.progress import Report
from soulcaster.dev.stack import Stack
from soulcaster.ports.messaging import Outgoing, Publisher
from soulcaster.ports.read_model import ReadModel
from soulcaster.processes.connections import open_read_model
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings
from soulcaster.wire.feedback import RawEnvelope, RawFeedback
from soulcaster.wire.topics import FEEDBACK_RAW

RUN = "growth"
FIRST_STEP = 10_000
"""Items of the first step; the second one brings as many, and each further one doubles what there is."""

AT_ONCE = 2_000
"""Items that are posted together, and waited for."""

TOPIC_WORDS = 12
TEXT_WORDS = 9
OTHER_WORDS = 2
"""Words of a topic, those of them in a text, and the words in a text that are of no topic."""


@dataclass(frozen=True, slots=True)
class GrowthStep:
    """The state after a step, and what each of its items has cost."""

    items: int
    clusters: int
    cpu_us_per_item: float
    wall_us_per_item: float


@dataclass(frozen=True, slots=True)
class GrowthFigures:
    """The steps, how many times as much an item of the last costs as one of the first, and the start of a new worker.

    `ready_seconds` is from the start of its process until it has clustered an item of every project;
    `ready_cpu_seconds` is its CPU time until then.
    """

    cores: int
    steps: tuple[GrowthStep, ...]
    ratio: float
    ready_seconds: float
    ready_cpu_seconds: float


async def measure(items: int, topics: int, report: Report) -> GrowthFigures:
    """Return the figures of a stream of so many items about so many topics."""
    with tempfile.TemporaryDirectory(prefix="soulcaster-bench-") as folder:
        async with (
            Stack(Path(folder)) as stack,
            open_read_model(stack.settings) as read_model,
            KafkaPublisher(kafka_access(stack.settings), timeout=PUBLISH_SECONDS) as publisher,
        ):
            await stack.provision()
            run = _Run(stack.settings, read_model, publisher, topics, report)
            steps = await run.grow(items)
            report("Starting a new worker", items, items)
            ready_seconds, ready_cpu_seconds = await run.start_again()
    return GrowthFigures(
        cores=len(os.sched_getaffinity(0)),
        steps=steps,
        ratio=round(steps[-1].cpu_us_per_item / steps[0].cpu_us_per_item, 2),
        ready_seconds=round(ready_seconds, 1),
        ready_cpu_seconds=round(ready_cpu_seconds, 1),
    )


def step_sizes(items: int) -> list[int]:
    """Return how many items there are after each step."""
    sizes = [min(FIRST_STEP, items)]
    while sizes[-1] < items:
        sizes.append(min(items, 2 * sizes[-1]))
    return sizes


def raw_items(topics: int, seed: int = 0) -> Iterator[RawFeedback]:
    """Yield items without end, of each project in turn; a topic belongs to one project."""
    chance = random.Random(seed)  # noqa: S311  reproducible, not secret
    every = sorted({word for topic in demo_topics() for text in topic for word in text.split()})
    words = [chance.sample(every, TOPIC_WORDS) for _ in range(topics)]
    projects = project_ids(RUN)
    number = 0
    while True:
        topic = chance.randrange(topics)
        text = [*chance.sample(words[topic], TEXT_WORDS), *chance.sample(every, OTHER_WORDS)]
        yield RawFeedback(
            project_id=projects[topic % PROJECTS], source="bench", external_id=str(number), body=" ".join(text)
        )
        number += 1


class _Run:
    """A stream of items through one worker, and then another."""

    def __init__(
        self, settings: Settings, read_model: ReadModel, publisher: Publisher, topics: int, report: Report
    ) -> None:
        self._settings = settings
        self._read_model = read_model
        self._publisher = publisher
        self._report = report
        self._stream = raw_items(topics)
        self._posted = 0

    async def grow(self, items: int) -> tuple[GrowthStep, ...]:
        """Take the items through the chain, and return the steps."""
        steps: list[GrowthStep] = []
        async with Program(WORKER, self._settings) as worker:
            await self._post(self._one_each("warm"))
            await self._wait(worker)
            for size in step_sizes(items):
                steps.append(await self._step(worker, size, items))  # noqa: PERF401  one after the other
        return tuple(steps)

    async def start_again(self) -> tuple[float, float]:
        """Start a worker, and return the seconds until it is ready, and its CPU seconds until then."""
        await self._post(self._one_each("ready"))
        begin = time.perf_counter()
        async with Program(WORKER, self._settings) as worker:
            await self._wait(worker)
            return time.perf_counter() - begin, worker.cpu_seconds()

    async def _step(self, worker: Program, size: int, items: int) -> GrowthStep:
        first, cpu, begin = self._posted, worker.cpu_seconds(), time.perf_counter()
        while (left := size - self._posted + PROJECTS) > 0:
            self._report("Taking items", self._posted, items)
            await self._post(list(islice(self._stream, min(left, AT_ONCE))))
            await self._wait(worker)
        done = self._posted - first
        stats = [await self._read_model.projects.stats(project_id) for project_id in project_ids(RUN)]
        return GrowthStep(
            items=size,
            clusters=sum(of_project.total_clusters for of_project in stats),
            cpu_us_per_item=round(1e6 * (worker.cpu_seconds() - cpu) / done, 1),
            wall_us_per_item=round(1e6 * (time.perf_counter() - begin) / done, 1),
        )

    def _one_each(self, name: str) -> list[RawFeedback]:
        return [RawFeedback(project_id=p, source="bench", external_id=name, body=name) for p in project_ids(RUN)]

    async def _post(self, items: Sequence[RawFeedback]) -> None:
        envelopes = (items[at : at + ENVELOPE_ITEMS] for at in range(0, len(items), ENVELOPE_ITEMS))
        values = [RawEnvelope(items=tuple(some)).to_bytes() for some in envelopes]
        await self._publisher.publish([Outgoing(FEEDBACK_RAW.name, None, value) for value in values])
        self._posted += len(items)

    async def _wait(self, worker: Program) -> None:
        """Wait until the worker has clustered what was posted."""

        async def clustered() -> bool:
            worker.check_runs()
            return await all_clustered(self._read_model, RUN, self._posted)

        await wait_until(clustered)
