"""The demo project of `soulcaster run`: 3,080 real messages to a bank, posted once and clustered."""

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path

from soulcaster.adapters.table_files.files import open_table
from soulcaster.dev.child import Child
from soulcaster.dev.demo_data import FILE, LABEL_COLUMN, TEXT_COLUMN
from soulcaster.dev.private_files import write_private
from soulcaster.errors import StackError
from soulcaster.ports.clusters import ClusterView
from soulcaster.ports.messaging import KeyedPublisher
from soulcaster.ports.projects import Project, Stats
from soulcaster.ports.read_model import ReadModel
from soulcaster.processes.clock import utc_now
from soulcaster.processes.connections import open_publisher, open_read_model
from soulcaster.processes.settings import Settings
from soulcaster.services.file_import import import_rows
from soulcaster.services.import_columns import Columns
from soulcaster.services.import_survey import Survey
from soulcaster.services.projects import find_or_create_project
from soulcaster.terminal import progress_bar

NAME = "Demo: a bank's support inbox"
COLUMNS = Columns(text=TEXT_COLUMN, skip=frozenset({LABEL_COLUMN}))
"""The label is left out: clustering is measured against it."""

SOURCE = "support"
LARGEST_SHOWN = 5
POLL_SECONDS = 0.2
SETTLE_SECONDS = 60.0
STALL_SECONDS = 120.0
"""When nothing more is clustered for this long, something is wrong."""


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo project once all of its messages are clustered: its figures, and its largest clusters."""

    project: Project
    stats: Stats
    largest: tuple[ClusterView, ...]


async def prepare_demo(settings: Settings, mark: Path, worker: Child) -> Demo:
    """Post the demo's messages, unless `mark` says that an earlier run did, and wait until all are clustered for good.

    `worker` is the process whose log says why, if they are not.

    Raises:
        StackError: clustering has stopped.
        Unavailable: Kafka or Redis does not answer.
    """
    async with open_read_model(settings) as read_model:
        async with open_publisher(settings) as publisher:
            project = await find_or_create_project(publisher, read_model.projects, NAME, at=utc_now())
            before = _items_posted(mark)
            expected = before or await _post(project, publisher)
        stats = await _wait_until_clustered(project, read_model, expected, worker)
        if before is None:
            stats = await _wait_until_settled(project, read_model, expected)
        # Only now: a run that is stopped before this posts again, under the same ids.
        write_private(mark, json.dumps({"project_id": project.id, "items": expected}))
        largest = await read_model.clusters.list(project.id, limit=LARGEST_SHOWN, offset=0)
    return Demo(project, stats, largest.items)


def _items_posted(mark: Path) -> int | None:
    """Return how many messages an earlier run posted, None where none did."""
    return int(json.loads(mark.read_text())["items"]) if mark.exists() else None


async def _post(project: Project, publisher: KeyedPublisher) -> int:
    """Post the messages and return how many they are."""
    with progress_bar("Posting the demo's messages to Kafka", "messages") as bar, open_table(FILE) as table:
        imported = await import_rows(
            table.rows,
            Survey(COLUMNS),
            project_id=project.id,
            source=SOURCE,
            publisher=publisher,
            report=lambda posted: bar.update(table.position(), table.size, count=posted),
        )
    return imported.posted


async def _wait_until_clustered(project: Project, read_model: ReadModel, expected: int, worker: Child) -> Stats:
    """Return the project's figures once that many items are in clusters.

    Raises:
        StackError: nothing moved for `STALL_SECONDS`.
    """
    last, moved = -1, time.monotonic()
    with progress_bar("Clustering", "messages") as bar:
        while True:
            stats = await read_model.projects.stats(project.id)
            clustered = stats.total_feedback - stats.unclustered
            bar.update(clustered, expected)
            if clustered >= expected:
                return stats
            if clustered != last:
                last, moved = clustered, time.monotonic()
            if time.monotonic() - moved > STALL_SECONDS:
                raise StackError(
                    f"Only {clustered:,} of the demo's {expected:,} messages were clustered and no more follow; "
                    f"the worker's log is {worker.log}"
                )
            await asyncio.sleep(POLL_SECONDS)


async def _wait_until_settled(project: Project, read_model: ReadModel, expected: int) -> Stats:
    """Return the project's figures once the rounds that follow have changed what they want to change.

    After `SETTLE_SECONDS` it waits no longer: the figures are right in any case, and may change once more.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    with progress_bar("Putting clusters in order", transient=True):
        while time.monotonic() < deadline:
            status = await read_model.clustering.status(project.id)
            if status is not None and status.state == "idle" and status.items >= expected:
                break
            await asyncio.sleep(POLL_SECONDS)
    return await read_model.projects.stats(project.id)
