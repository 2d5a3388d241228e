"""Launchers that can be hurt, the jobs they run on this machine, and what is left of these."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.group import LeaveGroupRequest
from cryptography.fernet import Fernet

from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.dev.child import Child
from soulcaster.domain.fixes.fix import Fix, FixOptions
from soulcaster.domain.lifecycle import JobStep, active
from soulcaster.ports.messaging import Outgoing
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import STACK_FILE, Settings
from soulcaster.wire.jobs import FixCommand, JobEvent
from soulcaster.wire.topics import FIX_COMMANDS, JOB_EVENTS
from tests.loss.conftest import publisher
from tests.support.job_log import JobHistory, job_history

QUICK, ENDLESS = 0.4, 1_000.0
"""Seconds that each of the four steps of a job takes."""


class Yard:
    """A worker, a web server and launchers on one stack, and the jobs of one project at a time."""

    def __init__(self, settings: Settings, data_dir: Path) -> None:
        self.settings = settings
        self.project_id = ""
        self.group = f"{settings.app_id}-launcher"
        self._data_dir = data_dir
        self._children: list[Child] = []
        self._launchers: list[Child] = []
        self._job_ids: list[str] = []
        self._secret = Fernet.generate_key().decode()
        data_dir.mkdir()
        addresses = settings.model_dump(mode="json", exclude={"session_key"})
        (data_dir / STACK_FILE).write_text(json.dumps({"pid": os.getpid(), "settings": addresses}))

    def begin(self) -> None:
        """Begin with a new project, without jobs."""
        self.project_id = f"p{uuid4().hex[:10]}"
        self._job_ids = []

    def start(self, name: str) -> Child:
        """Start the worker or the web server."""
        return self._start(name, ["soulcaster", name, "--data-dir", str(self._data_dir)])

    def launcher(self, step_seconds: float = QUICK) -> Child:
        """Start a launcher."""
        child = self._start("launcher", ["tests.loss.quick_launcher", str(self._data_dir), str(step_seconds)])
        self._launchers.append(child)
        return child

    def _start(self, name: str, arguments: Sequence[str]) -> Child:
        log = self._data_dir / f"{len(self._children)}-{name}.log"
        env = {"SOULCASTER_SESSION_KEY": self._secret, "SOULCASTER_SECRETS_KEY": self._secret}
        child = Child(name, [sys.executable, "-m", *arguments], log=log, grace=30, env=env)
        child.start()
        self._children.append(child)
        return child

    async def stop_launchers(self) -> None:
        """Stop the launchers that run."""
        for child in self._launchers:
            await child.stop()

    async def close(self) -> None:
        """Stop all that runs."""
        for child in reversed(self._children):
            await child.stop()

    # ---- jobs --------------------------------------------------------------------------------------------------------

    async def order(self, count: int) -> list[str]:
        """Order jobs, as the clusterer does; return their ids."""
        now = datetime.now(UTC)
        ids = [str(uuid4()) for _ in range(count)]
        messages = []
        for job_id in ids:
            options = FixOptions(backend="local", seconds=120)
            fix = Fix(job_id, f"c-{job_id}", "Late card", "kim", now, options=options)
            step = JobStep(f"first {job_id}", job_id, self.project_id, fix.cluster_id, 0, "approved", now, fix=fix)
            key = self.project_id.encode()
            messages.append(Outgoing(JOB_EVENTS.name, key, JobEvent.of(step).to_bytes()))
            messages.append(Outgoing(FIX_COMMANDS.name, key, FixCommand.of(self.project_id, fix).to_bytes()))
        async with publisher(self.settings) as to_kafka:
            await to_kafka.publish(messages)
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
