"""Committing records of several partitions whose work ends in any order."""

from collections.abc import Awaitable, Callable

from soulcaster.ports.messaging import Record


class OrderedCommits:
    """Commits the records of a partition up to the first one that is not done: a commit covers all before it."""

    def __init__(self, commit: Callable[[Record], Awaitable[None]]) -> None:
        """`commit` commits a record and all before it in its partition."""
        self._commit = commit
        self._open: dict[int, dict[int, Record]] = {}
        self._done: dict[int, set[int]] = {}

    def begin(self, record: Record) -> None:
        """Note a record whose work begins; records of a partition begin in their order."""
        self._open.setdefault(record.partition, {})[record.offset] = record

    async def done(self, record: Record) -> None:
        """Note that a record's work is done, and commit what can be committed."""
        begun, done = self._open.get(record.partition, {}), self._done.setdefault(record.partition, set())
        if record.offset not in begun:
            return  # the partition was taken away meanwhile
        done.add(record.offset)
        ready: list[Record] = []
        for offset in sorted(begun):
            if offset not in done:
                break
            ready.append(begun[offset])
        if ready:
            await self._commit(ready[-1])
        for committed in ready:  # only now: a commit that fails is tried again
            begun.pop(committed.offset, None)
            done.discard(committed.offset)

    def forget(self) -> None:
        """Forget everything: partitions were taken away, and their uncommitted records come again to somebody."""
        self._open.clear()
        self._done.clear()
