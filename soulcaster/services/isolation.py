"""Processing records so that a bad one does not stop the others."""

from collections import defaultdict
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
    """Do the work on all records; if it raises, on parts of them. Return the sum of what `work` returned.

    Records that go well are soon in parts without one that does not: records of other keys first, so that what one
    project sends costs another one little. Records of a key stay in order.

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
        log.exception("a batch failed; trying parts of it", agent=name, records=len(records))
    by_key: dict[bytes | None, list[Record]] = defaultdict(list)
    for record in records:
        by_key[record.key].append(record)
    return await _run_parts([record for of_key in by_key.values() for record in of_key], work, give_up)


async def _run_parts(
    records: Sequence[Record],
    work: Callable[[Sequence[Record]], Awaitable[int]],
    give_up: Callable[[Record, Exception], Awaitable[None]],
) -> int:
    """Do the work on the two parts of records that failed together, and on their parts where they fail too."""
    results = 0
    middle = _middle(records)
    for part in (records[:middle], records[middle:]):
        if len(part) == 1:
            results += await _run_one(part, work, give_up)
            continue
        try:
            results += await work(part)
        except Exception:  # it was logged with the whole batch, and is again with the record that causes it
            results += await _run_parts(part, work, give_up)
    return results


def _middle(records: Sequence[Record]) -> int:
    """Return where to cut two or more records, sorted by key: between two keys if there are several."""
    half = len(records) // 2
    cuts = [at for at in range(1, len(records)) if records[at].key != records[at - 1].key]
    return min(cuts, key=lambda at: abs(at - half), default=half)


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
