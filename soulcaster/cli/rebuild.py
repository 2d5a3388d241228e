"""`soulcaster rebuild`: the read model, made again from Kafka."""

from typing import TYPE_CHECKING

from soulcaster.cli.options import DataDir, complete, settings_of
from soulcaster.cli.output import say
from soulcaster.processes.data_dir import DEFAULT_DATA_DIR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soulcaster.domain.lost_records import DamagedRecords
    from soulcaster.processes.settings import Settings


def rebuild(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Empty the read model in Redis and make it again from Kafka.

    Use it when Redis was lost or shows something wrong. Workers may keep running; until it is done, pages and API
    show a part of the data. Sign-in links and cached vectors stay.
    """
    count, damaged = complete(_rebuild(settings_of(data_dir)))
    say(f"Rebuilt from {count:,} records.")
    for one in damaged:
        say(f"Left out: {one.what}.")


async def _rebuild(settings: "Settings") -> "tuple[int, Sequence[DamagedRecords]]":
    """Return from how many records the read model was made, and what could not be read."""
    from soulcaster.adapters.kafka.replay import open_replay
    from soulcaster.processes.connections import open_read_model
    from soulcaster.processes.kafka_access import kafka_access
    from soulcaster.services.rebuild import REPLAYED_TOPICS, rebuild
    from soulcaster.terminal import progress_bar

    kafka = kafka_access(settings)
    async with open_read_model(settings) as read_model, open_replay(kafka, REPLAYED_TOPICS) as replay:
        with progress_bar("Rebuilding", "records") as bar:
            return await rebuild(replay, read_model.writer, bar.update), replay.damaged
