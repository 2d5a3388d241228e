"""The process `soulcaster launcher`: runs a job for every command on fix.commands."""

import structlog

from soulcaster.adapters.kafka.consumers import GroupConsumer
from soulcaster.adapters.kafka.job_ends import KafkaJobEnds
from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.launcher.backends.dry_run import DryRun
from soulcaster.launcher.jobs import run_jobs
from soulcaster.processes.clock import utc_now
from soulcaster.processes.logs import configure as configure_logs
from soulcaster.processes.settings import LauncherSettings
from soulcaster.processes.signals import run_until_stopped
from soulcaster.wire.topics import FIX_COMMANDS

log = structlog.get_logger(__name__)


def run_launcher(settings: LauncherSettings) -> None:
    """Run the launcher until SIGTERM or SIGINT; blocks. The command of a job it interrupts is not committed."""
    configure_logs(settings.log_level)
    run_until_stopped(_launch(settings))


async def _launch(settings: LauncherSettings) -> None:
    log.info("launcher starts", kafka=settings.kafka)
    consumer = GroupConsumer(settings.kafka, FIX_COMMANDS.name, f"{settings.app_id}-launcher")
    async with KafkaPublisher(settings.kafka) as publisher, consumer:
        await run_jobs(
            consumer.records(),
            backend=DryRun(),
            publisher=publisher,
            ends=KafkaJobEnds(settings.kafka),
            clock=utc_now,
            commit=consumer.commit,
        )
