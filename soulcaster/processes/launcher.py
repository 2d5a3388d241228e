"""The process `soulcaster launcher`: runs a job for every command on fix.commands."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

import structlog

from soulcaster.adapters.kafka.consumers import GroupConsumer
from soulcaster.adapters.kafka.job_feed import KafkaJobFeed
from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.adapters.kafka.topic_reader import KafkaTopicReader
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.launcher.job_run import Launching
from soulcaster.launcher.jobs import JobRuns
from soulcaster.processes.backends import launch_backends
from soulcaster.processes.clock import utc_now
from soulcaster.processes.fixes import open_fixes
from soulcaster.processes.job_logs import log_archive
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.logs import configure as configure_logs
from soulcaster.processes.pull_requests import open_poll
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import LauncherSettings
from soulcaster.processes.signals import run_until_stopped
from soulcaster.processes.telemetry import telemetry
from soulcaster.services.dead_letters import set_damaged_aside
from soulcaster.services.fix_policy import FixPolicy
from soulcaster.services.job_tokens import JobTokens
from soulcaster.services.log_archive import LogArchiver
from soulcaster.services.program_reports import ProgramReports
from soulcaster.telemetry.liveness import LOOPS
from soulcaster.wire.topics import FIX_COMMANDS, launcher_group

log = structlog.get_logger(__name__)


def run_launcher(settings: LauncherSettings) -> None:
    """Run the launcher until SIGTERM or SIGINT; blocks. What it has launched goes on; another launcher adopts it."""
    configure_logs(settings.log_level)
    run_until_stopped(_launch(settings))


async def _launch(settings: LauncherSettings) -> None:
    settings.check_secrets_key()
    settings.check_agent()
    kafka = kafka_access(settings)
    log.info("launcher starts", kafka=settings.kafka, backends=settings.backends)
    tokens = JobTokens(settings.secrets_key, utc_now)
    archive = log_archive(settings.log_archive)
    async with (
        telemetry(settings, "launcher", LOOPS.liveness),
        KafkaPublisher(kafka) as publisher,
        AsyncExitStack() as stack,
    ):
        backends = launch_backends(settings, ProgramReports(publisher, tokens, utc_now))
        for backend in backends.values():
            stack.push_async_callback(backend.close)
        if archive is not None:
            stack.push_async_callback(archive.close)
        launching = Launching(
            backends=backends,
            feed=KafkaJobFeed(kafka, utc_now),
            publisher=publisher,
            tokens=tokens,
            clock=utc_now,
            api_url=str(settings.api_url()),
            lease=timedelta(seconds=settings.job_lease_seconds),
            archiver=None if archive is None else LogArchiver(KafkaTopicReader(kafka), archive),
            secrets=settings.secrets(),
        )
        runs = JobRuns(launching, lambda record: consumer.commit(record), at_once=settings.launcher_jobs)
        group = launcher_group(settings.app_id)
        set_aside = partial(set_damaged_aside, publisher, clock=utc_now)
        consumer = GroupConsumer(kafka, FIX_COMMANDS.name, group, set_aside=set_aside, revoked=runs.let_go)
        read_model = RedisReadModel(redis_access(settings))
        stack.push_async_callback(read_model.close)
        fixes = await stack.enter_async_context(open_fixes(settings, publisher, read_model))
        policy = FixPolicy(read_model, fixes, utc_now)
        poll = await stack.enter_async_context(open_poll(settings, publisher, read_model))
        beside = {asyncio.create_task(policy.run()), asyncio.create_task(poll.run())}
        try:
            async with consumer:
                await runs.run(consumer.records())
        finally:
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)
