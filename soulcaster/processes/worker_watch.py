"""Looks at the worker from outside its agents, every few seconds: how far it is behind, and whether it lives."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from aiokafka import TopicPartition

from agents.runtime.backlog import Backlog, Behind, Look
from agents.runtime.progress import Partition, Progress
from agents.runtime.stalls import Stalls
from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.offsets import KafkaOffsets, offsets_of
from soulcaster.adapters.kafka.record_times import record_times
from soulcaster.errors import KafkaUnavailable, Unavailable
from soulcaster.ports.projects import Totals
from soulcaster.telemetry.metrics import (
    AGENT_BACKLOG_SECONDS,
    AGENT_COMMIT_AGE_SECONDS,
    AGENT_LAG_RECORDS,
    CLUSTERS,
    ITEMS,
    JOBS,
    LARGEST_PROJECT_BYTES,
    LOOK_TIMESTAMP,
    STORED_BYTES,
    UNCLUSTERED,
    WORKER_STATE,
)
from soulcaster.telemetry.waits import WAITS
from soulcaster.wire.topics import AGENTS

LOOK_SECONDS = 5.0

COUNT_SECONDS = 15.0
"""How often the worker with partition 0 counts what is in the read model."""

STATES = ("idle", "rebalancing", "recovering", "running")

log = structlog.get_logger(__name__)


class WorkerWatch:
    """Measures lag, backlog and commit age of the agents, by Kafka's offsets."""

    def __init__(
        self,
        app: Any,
        kafka: KafkaAccess,
        progress: Mapping[str, Progress],
        totals: Callable[[], Awaitable[Totals]],
    ) -> None:
        """`app` is the Faust app, `progress` that of its agents, `totals` counts what is in the read model."""
        self._app = app
        self._kafka = kafka
        self._progress = progress
        self._totals = totals
        self._topics = {agent: tuple(topic.name for topic in topics) for agent, topics in AGENTS.items()}
        self._backlog = Backlog(self._topics)
        self._counted_at = 0.0
        self.stalls = Stalls()

    async def run(self) -> None:
        """Look until cancelled; a look that fails is no reason to disturb the agents."""
        while True:
            try:
                async with offsets_of(self._kafka) as offsets:
                    while True:
                        await self._look(offsets)
                        await asyncio.sleep(LOOK_SECONDS)
            except KafkaUnavailable:
                self.stalls.excuse("Kafka does not answer")
            except Exception:
                log.exception("a look at the worker failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, offsets: KafkaOffsets) -> None:
        partitions = self._partitions()
        state = self._state(partitions)
        for name in STATES:
            WORKER_STATE.labels(name).set(name == state)
        behind = await self._behind(offsets, partitions)
        self._show(behind)
        waiting = WAITS.systems()
        if waiting:
            self.stalls.excuse(f"it waits for {', '.join(waiting)}")
        elif state != "running":
            self.stalls.excuse(f"it is {state}")
        else:
            self.stalls.note(behind)
        if time.monotonic() - self._counted_at >= COUNT_SECONDS:
            self._counted_at = time.monotonic()
            await self._count(partitions)

    async def _behind(self, offsets: KafkaOffsets, partitions: set[Partition]) -> Mapping[str, Behind]:
        spans = await offsets.spans_of([TopicPartition(*partition) for partition in partitions])
        committed = await offsets.committed(self._app.conf.id) if partitions else {}
        look = Look(
            time.time(),
            {(tp.topic, tp.partition): span.end for tp, span in spans.items()},
            {(tp.topic, tp.partition): max(committed.get(tp, 0), span.first) for tp, span in spans.items()},
        )
        positions = {
            agent: self._progress[agent].positions() if agent in self._progress else {} for agent in self._topics
        }
        unknown = self._backlog.unknown(look, positions)
        if unknown:
            asked = {TopicPartition(*partition): offset for partition, offset in unknown.items()}
            for tp, at in (await record_times(self._kafka, asked)).items():
                self._backlog.learn((tp.topic, tp.partition), asked[tp], at)
        return self._backlog.take(look, positions)

    def _partitions(self) -> set[Partition]:
        """Return the partitions of the agents' topics that this worker has now and may read.

        One that stands still, because records of it are lost, is no backlog that anybody can work off.
        """
        topics = {name for names in self._topics.values() for name in names}
        ours = {(tp.topic, tp.partition) for tp in self._app.assignor.assigned_actives() if tp.topic in topics}
        return {partition for partition in ours if not self._app.consumer.stands_still(*partition)}

    def _state(self, partitions: set[Partition]) -> str:
        if self._app.in_recovery:
            return "recovering"
        if self._app.rebalancing:
            return "rebalancing"
        return "running" if partitions else "idle"

    def _show(self, behind: Mapping[str, Behind]) -> None:
        for agent, one in behind.items():
            for topic, records in one.lag.items():
                AGENT_LAG_RECORDS.labels(agent, topic).set(records)
            AGENT_BACKLOG_SECONDS.labels(agent).set(one.backlog_seconds)
            AGENT_COMMIT_AGE_SECONDS.labels(agent).set(one.commit_age)
        LOOK_TIMESTAMP.set_to_current_time()

    async def _count(self, partitions: set[Partition]) -> None:
        """Count for all workers, if this one has partition 0; the figures stay as they are while Redis is away."""
        totals = Totals(0, 0, 0, 0, 0, 0)
        if any(number == 0 for _, number in partitions):
            try:
                totals = await self._totals()
            except Unavailable:
                return
        ITEMS.set(totals.items)
        UNCLUSTERED.set(totals.unclustered)
        STORED_BYTES.set(totals.stored_bytes)
        LARGEST_PROJECT_BYTES.set(totals.largest_bytes)
        CLUSTERS.set(totals.clusters)
        JOBS.labels("queued").set(totals.queued_jobs)
