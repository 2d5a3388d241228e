"""Launchers that can be hurt, the jobs they run on this machine, and what is left of these."""

import asyncio
from pathlib import Path
from uuid import uuid4

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.group import LeaveGroupRequest
from cryptography.fernet import Fernet

from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.dev.child import Child
from soulcaster.domain.lifecycle import active
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings
from soulcaster.wire.topics import FIX_COMMANDS
from tests.loss.conftest import publisher
from tests.support.beside import ForkedBeside
from tests.support.job_log import JobHistory, job_history, order_jobs

QUICK, ENDLESS = 0.4, 1_000.0
"""Seconds that each of the four steps of a job takes."""


class Yard:
    """A worker, a web server and launchers on one stack, and the jobs of one project at a time."""

    def __init__(self, settings: Settings, data_dir: Path) -> None:
        self.settings = settings
        self.project_id = ""
        self.group = f"{settings.app_id}-launcher"
        self._launchers: list[Child] = []
        self._job_ids: list[str] = []
        secret = Fernet.generate_key().decode()
        self._beside = ForkedBeside(
            settings, data_dir, env={"SOULCASTER_SESSION_KEY": secret, "SOULCASTER_SECRETS_KEY": secret}
        )

    def begin(self) -> None:
        """Begin with a new project, without jobs."""
        self.project_id = f"p{uuid4().hex[:10]}"
        self._job_ids = []

    def start(self, name: str) -> Child:
        """Start the worker or the web server."""
        return self._beside.soulcaster(name)

    def launcher(self, step_seconds: float = QUICK) -> Child:
        """Start a launcher."""
        quick = ["tests.support.quick_launcher", str(self._beside.data_dir), str(step_seconds)]
        child = self._beside.start("launcher", quick)
        self._launchers.append(child)
        return child

    async def stop_launchers(self) -> None:
        """Stop the launchers that run."""
        for child in self._launchers:
            await child.stop()

    async def close(self) -> None:
        """Stop all that runs."""
        await self._beside.stop()

    # ---- jobs --------------------------------------------------------------------------------------------------------

    async def order(self, count: int) -> list[str]:
        """Order jobs; return their ids."""
        async with publisher(self.settings) as to_kafka:
            ids = await order_jobs(to_kafka, self.project_id, count)
        self._job_ids += ids
        return ids

    async def history(self) -> JobHistory:
        """Return what the log says of the jobs."""
        return await job_history(self.settings, self.project_id)

    async def running(self, count: int, seconds: float = 60) -> None:
        """Return once so many programs run at the same time."""
        async with asyncio.timeout(seconds):
            while len({job_id for job_id, _ in self.processes()}) < count:
                await asyncio.sleep(0.05)

    async def all_ended(self, seconds: float = 120) -> JobHistory:
        """Return what the log says once every job has ended and every command is committed."""
        async with asyncio.timeout(seconds):
            while not await self._committed():
                await asyncio.sleep(0.3)
        history = await self.history()
        assert set(history.jobs) == set(self._job_ids)
        assert not [job for job in history.jobs.values() if active(job)]
        return history

    async def check(self, history: JobHistory) -> None:
        """Assert what holds once all jobs have ended, whatever happened to their launchers."""
        assert {(job.state, job.launch, job.error) for job in history.jobs.values()} == {("succeeded", 1, None)}
        assert history.starts() == {(job.id, job.fence): 1 for job in history.jobs.values()}
        await self.nothing_left()

    async def nothing_left(self, seconds: float = 60) -> float:
        """Return once no process of a job is left, and how many seconds that took."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        while left := self.processes():
            assert loop.time() - begin < seconds, f"left running: {left}"
            await asyncio.sleep(0.02)
        return loop.time() - begin

    def processes(self) -> list[tuple[str, int]]:
        """Return the job and the id of every process of these jobs: what has their variables, or sees their folder."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() == psutil.STATUS_ZOMBIE:
                    continue
                about = [process.environ().get("JOB_ID", ""), *process.cmdline()]
            except psutil.Error:
                continue
            found += [(job_id, process.pid) for job_id in self._job_ids if any(job_id in text for text in about)]
        return found

    # ---- the group ---------------------------------------------------------------------------------------------------

    async def _committed(self) -> bool:
        async with offsets_of(kafka_access(self.settings)) as offsets:
            spans = await offsets.spans([FIX_COMMANDS.name])
            committed = await offsets.committed(self.group)
        return all(committed.get(tp, 0) >= span.end for tp, span in spans.items() if span.end > span.first)

    async def joined(self, count: int, seconds: float = 60) -> None:
        """Return once so many launchers share the partitions: one that joins beside a dead one may end by itself."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka)
        await admin.start()
        try:
            async with asyncio.timeout(seconds):
                while True:
                    [described] = await admin.describe_consumer_groups([self.group])
                    _, _, state, _, _, members, *_ = described.groups[0]
                    if (state, len(members)) == ("Stable", count):
                        return
                    await asyncio.sleep(0.1)
        finally:
            await admin.close()

    async def forget_killed(self) -> None:
        """Have the group forget its members, as Kafka itself does 12 seconds after they were killed."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka)
        await admin.start()
        try:
            [described] = await admin.describe_consumer_groups([self.group])
            for member in described.groups[0][5]:
                coordinator = await admin.find_coordinator(self.group)
                await admin._send_request(LeaveGroupRequest(self.group, member[0]), coordinator)
        finally:
            await admin.close()

    async def replay(self) -> None:
        """Have the group read fix.commands from the beginning; no launcher may run."""
        partitions = [TopicPartition(FIX_COMMANDS.name, number) for number in range(self.settings.partitions)]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka, group_id=self.group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            consumer.assign(partitions)
            await consumer.commit(dict.fromkeys(partitions, 0))
        finally:
            await consumer.stop()
