"""What the memory of a web server does while many read what is longest, all at the same time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp

from soulcaster.domain.events import ClusterChanged, ItemAssigned
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.fixes.job_log import MAX_CHUNK_BYTES, LogChunk
from soulcaster.domain.ids import item_id
from soulcaster.domain.lifecycle import JobStep
from soulcaster.domain.members import LOCAL_OWNER
from soulcaster.errors import SoulcasterError
from soulcaster.ports.job_logs import MAX_LOG_BYTES
from soulcaster.ports.projects import Project
from soulcaster.ports.read_model_writer import ReadModelWriter
from soulcaster.wire.feedback import MAX_ITEM_BYTES

PROJECT = "bench-readers"
CLUSTER = "longest"
JOB = "loudest"
READERS = 20
BOUND_MB = 300
"""The web server takes no more than this while `READERS` read."""

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_OVERHEAD = 2_000
"""What an item has in JSON beside its text, at most."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the process of the web server had in memory before the readers came, at most, and when they were gone."""

    readers: int
    before_mb: int
    most_mb: int
    after_mb: int


async def fill_longest(writer: ReadModelWriter, items: int) -> None:
    """Write a project whose items are as long as items may be, all in one cluster, and a job with the longest log."""
    await writer.put_project(Project(PROJECT, "The readers", _AT, LOCAL_OWNER))
    body = "🙂" + "e" * (MAX_ITEM_BYTES - _OVERHEAD)  # one such character makes Python take four bytes for each
    for number in range(items):
        at = _AT + timedelta(seconds=number)
        name = str(number)
        one = FeedbackItem(item_id(PROJECT, "manual", name), PROJECT, "manual", name, "The title", body, at, at)
        placed = ItemAssigned(one.id, at, CLUSTER, change="joined", score=0.9, threshold=0.6)
        await writer.put_items(PROJECT, [one])
        await writer.apply(PROJECT, [placed])
    await writer.apply(PROJECT, [ClusterChanged(CLUSTER, "Longest", "", items, ("manual",), _AT, _AT)])
    await writer.put_job_steps(
        [JobStep(f"{JOB}-{seq}", JOB, PROJECT, CLUSTER, seq, "failed", _AT, log="e" * 90_000) for seq in range(20)]
    )
    lines = ("🙂" + "e" * 98 + "\n") * (MAX_CHUNK_BYTES // 103)
    chunks = [LogChunk(JOB, None, _AT, lines, n) for n in range(MAX_LOG_BYTES // MAX_CHUNK_BYTES)]
    await writer.put_job_logs(PROJECT, chunks)


def addresses() -> Sequence[str]:
    """Return what is asked for."""
    here, page = f"project_id={PROJECT}&limit=1000", f"/app/projects/{PROJECT}"
    return (
        f"/feedback?{here}",
        f"/feedback?{here}&q=nothing",
        f"/clusters?{here}",
        f"/clusters/{CLUSTER}?{here}",
        f"/clusters/{CLUSTER}/brief?{here}",
        f"/jobs/{JOB}?{here}",
        f"/jobs/{JOB}/logs?{here}",
        f"{page}/clusters/{CLUSTER}",
        f"{page}/jobs/{JOB}",
    )


async def measure_readers(http: aiohttp.ClientSession, process_id: int, rounds: int) -> Memory:
    """Let `READERS` ask for everything at the same time, `rounds` times; return the memory of the web server.

    Raises:
        SoulcasterError: a request is not answered with 200.
    """
    before = _megabytes(process_id, "VmRSS")
    await asyncio.gather(*(_read(http, number, rounds) for number in range(READERS)))
    return Memory(READERS, before, _megabytes(process_id, "VmHWM"), _megabytes(process_id, "VmRSS"))


async def _read(http: aiohttp.ClientSession, number: int, rounds: int) -> None:
    asked = addresses()
    for step in range(rounds * len(asked)):
        address = asked[(step + number) % len(asked)]
        async with http.get(address, allow_redirects=False) as got:
            await got.read()
            if got.status != 200:
                raise SoulcasterError(f"The bench asked for {address} and got status {got.status}.")


def _megabytes(process_id: int, name: str) -> int:
    """Return a figure of a process in /proc, in MB: VmRSS is what it has in memory, VmHWM the most that it had."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        field, _, value = line.partition(":")
        if field == name:
            return int(value.split()[0]) * 1024 // 1_000_000
    raise SoulcasterError(f"The process {process_id} has no {name}.")
