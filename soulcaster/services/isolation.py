"""Processing records so that a bad one does not stop the others."""

from collections.abc import Awaitable, Callable, Sequence

import structlog

from soulcaster.ports.messaging import Record

ATTEMPTS = 3
"""How often a single record that raises is tried before it is given up."""

log = structlog.get_logger(__name__)


async def run_isolated(
    records: Sequence[Record],
    work: Callable[[Sequence[Record]], Awaitable[int]],
    give_up: Callable[[Record, Exception], Awaitable[None]],
    *,
    name: str,
) -> int:
    """Do the work on all records; if it raises, on each alone. Return the sum of what `work` returned.

    A record that raises `ATTEMPTS` times alone goes to `give_up`, with its last error, and counts 0. `work` must be
    idempotent, and it waits for unavailable systems itself (`until_available`). `name` is in the log.

    Errors of `give_up` pass through.
    """
    if not records:
        return 0
    if len(records) == 1:
        return await _run_one(records, work, give_up)
    try:
        return await work(records)
    except Exception:
        log.exception("a batch failed; trying its records one by one", agent=name, records=len(records))
    return sum([await _run_one([record], work, give_up) for record in records])


async def _run_one(
    records: Sequence[Record],
    work: Callable[[Sequence[Record]], Awaitable[int]],
    give_up: Callable[[Record, Exception], Awaitable[None]],
) -> int:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await work(records)
        except Exception as error:
            if attempt == ATTEMPTS:
                [record] = records
                await give_up(record, error)
    return 0
