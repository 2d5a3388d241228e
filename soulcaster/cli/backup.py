"""`soulcaster backup` and `restore`: everything on Kafka, copied to a folder or a bucket, and back."""

from typing import TYPE_CHECKING, Annotated

import typer

from soulcaster.cli.options import DataDir, complete, settings_of
from soulcaster.cli.output import say
from soulcaster.processes.data_dir import DEFAULT_DATA_DIR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soulcaster.domain.lost_records import DamagedRecords
    from soulcaster.processes.settings import Settings
    from soulcaster.services.backup_format import Manifest

Place = Annotated[str, typer.Argument(metavar="PLACE", help="A folder, or s3://bucket/prefix.")]


def backup(place: Place, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Copy everything on Kafka, and how far it was processed, to a folder or a bucket that holds no backup yet.

    Everything may keep running. The last file that is written is manifest.json; a place without it holds no backup.
    Settings and keys are not part of it, nor is the archive of logs: keep them too. What is not masked in
    feedback.raw and dead-letters is not masked in the backup either.

    `soulcaster backup /var/backups/soulcaster/2026-11-29`

    `soulcaster backup s3://my-backups/soulcaster/2026-11-29`
    """
    done, damaged = complete(_backup(settings_of(data_dir), place))
    records, size = sum(part.records for part in done.parts), sum(part.bytes for part in done.parts)
    say(f"{records:,} records ({size / 1e6:,.1f} MB) of {len(done.parts)} partitions are in {place}.")
    for one in damaged:
        say(f"Not in it: {one.what}.")


async def _backup(settings: "Settings", place: str) -> "tuple[Manifest, Sequence[DamagedRecords]]":
    """Return what was copied, and what could not be read."""
    from importlib.metadata import version

    from soulcaster.adapters.kafka.topic_copy import open_log_source
    from soulcaster.processes.archives import archive_at
    from soulcaster.processes.clock import utc_now
    from soulcaster.processes.kafka_access import kafka_access
    from soulcaster.services.backup import Installation, back_up
    from soulcaster.terminal import progress_bar

    installation = Installation(settings.app_id, settings.partitions, version("soulcaster"), settings.shown())
    archive = archive_at(place, "The place of the backup")
    try:
        async with open_log_source(kafka_access(settings), settings.app_id) as source:
            with progress_bar("Copying", "records") as bar:
                return await back_up(installation, source, archive, utc_now, bar.update), source.damaged
    finally:
        await archive.close()


def restore(place: Place, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Write a backup into an empty Kafka; then make the read model with `soulcaster rebuild` and start everything.

    Create the topics first, with `soulcaster topics`, with the same SOULCASTER_APP_ID and SOULCASTER_PARTITIONS; no
    worker and no launcher may run. Every file is checked before anything is written. Jobs that were under way are not
    started again: they end as failed. If it is interrupted, delete the topics and begin again.

    `soulcaster topics && soulcaster restore /var/backups/soulcaster/2026-11-29 && soulcaster rebuild`
    """
    done, ended = complete(_restore(settings_of(data_dir), place))
    records = sum(part.records for part in done.parts)
    say(f"{records:,} records of {done.made_at:%Y-%m-%d %H:%M} UTC are restored.")
    say(f"{ended} jobs were under way then, and are not started again.")
    say("Next: `soulcaster rebuild`, then start the workers, the web server, the launcher and the pollers.")


async def _restore(settings: "Settings", place: str) -> "tuple[Manifest, int]":
    from soulcaster.adapters.kafka.topic_copy import open_log_target
    from soulcaster.processes.archives import archive_at
    from soulcaster.processes.clock import utc_now
    from soulcaster.processes.connections import open_publisher
    from soulcaster.processes.kafka_access import kafka_access
    from soulcaster.services.restore import restore as restore_log
    from soulcaster.terminal import progress_bar

    archive = archive_at(place, "The place of the backup")
    try:
        async with (
            open_log_target(kafka_access(settings), settings.app_id) as target,
            open_publisher(settings) as publisher,
        ):
            with progress_bar("Restoring") as bar:
                return await restore_log(
                    settings.app_id, settings.partitions, archive, target, publisher, utc_now, bar.update
                )
    finally:
        await archive.close()
