"""How far agents are behind, seen by looks at Kafka's offsets every few seconds: pure.

Several agents may read a topic, and Kafka's committed offset is that of the slowest. So lag and backlog of an agent
count from where it has come itself; the age of the commit tells whether anything at all goes on.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from agents.runtime.progress import Partition, Position


@dataclass(frozen=True, slots=True)
class Look:
    """What a look has found, for the partitions that this worker has: where each ends, and what is committed.

    `committed` is the partition's first offset where nothing is committed. `at` is in seconds of Unix time.
    """

    at: float
    ends: Mapping[Partition, int]
    committed: Mapping[Partition, int]


@dataclass(frozen=True, slots=True)
class Behind:
    """How far an agent is behind.

    `lag` counts records by topic. `backlog_seconds` is the age of the oldest record that the agent has not processed;
    `commit_age` is how long the committed offset of a partition with lag has stood still; 0 without lag.
    """

    lag: Mapping[str, int]
    backlog_seconds: float
    commit_age: float


class Backlog:
    """The agents of a worker, from look to look."""

    def __init__(self, topics: Mapping[str, Collection[str]]) -> None:
        """`topics` are those that each agent reads."""
        self._topics = topics
        self._clear: dict[tuple[str, Partition], float] = {}
        """When an agent was last seen with nothing left of a partition."""
        self._moved: dict[Partition, tuple[int, float]] = {}
        """The committed offset of a partition, and since when it stands there with something left to read."""
        self._first_unread: dict[tuple[Partition, int], float] = {}
        """The time of a record in Kafka, where no agent has seen it yet."""

    def unknown(self, look: Look, positions: Mapping[str, Mapping[Partition, Position]]) -> Mapping[Partition, int]:
        """Return the records whose times nobody knows yet, as after a start with a backlog: an offset a partition."""
        return {
            partition: at
            for agent in self._topics
            for partition, at in self._unread(agent, look, positions[agent]).items()
            if not self._known_times(agent, partition, at, positions[agent])
        }

    def learn(self, partition: Partition, offset: int, at: float) -> None:
        """Note the time of a record."""
        self._first_unread[partition, offset] = at

    def take(self, look: Look, positions: Mapping[str, Mapping[Partition, Position]]) -> Mapping[str, Behind]:
        """Return how far each agent is behind."""
        self._forget_others(look.ends)
        for partition, end in look.ends.items():
            committed = look.committed[partition]
            known = self._moved.get(partition)
            if known is None or known[0] != committed or committed >= end:
                self._moved[partition] = committed, look.at
        unread = {agent: self._unread(agent, look, positions[agent]) for agent in self._topics}
        return {agent: self._behind(agent, look, positions[agent], unread) for agent in self._topics}

    def _behind(
        self,
        agent: str,
        look: Look,
        positions: Mapping[Partition, Position],
        unread: Mapping[str, Mapping[Partition, int]],
    ) -> Behind:
        lag = dict.fromkeys(self._topics[agent], 0)
        oldest = look.at
        for partition in self._partitions(agent, look):
            at = unread[agent].get(partition)
            if at is None:
                self._clear[agent, partition] = look.at
                continue
            lag[partition[0]] += look.ends[partition] - at
            oldest = min(oldest, self._time_of(agent, partition, at, positions, look))
        ages = [
            look.at - self._moved[partition][1]
            for partition in self._partitions(agent, look)
            if look.committed[partition] < look.ends[partition] and self._holds_up(agent, partition, unread)
        ]
        return Behind(lag, look.at - oldest, max(ages, default=0.0))

    def _time_of(
        self, agent: str, partition: Partition, offset: int, positions: Mapping[Partition, Position], look: Look
    ) -> float:
        """Return the earliest time that the oldest record which an agent has left can have.

        It comes after the one before it, and after the last look at which nothing was left.
        """
        return min(look.at, max(self._known_times(agent, partition, offset, positions), default=look.at))

    def _known_times(
        self, agent: str, partition: Partition, offset: int, positions: Mapping[Partition, Position]
    ) -> list[float]:
        known = [self._first_unread.get((partition, offset)), self._clear.get((agent, partition))]
        position = positions.get(partition)
        if position is not None and position.next == offset:
            known.append(position.at)
        return [at for at in known if at is not None]

    def _holds_up(self, agent: str, partition: Partition, unread: Mapping[str, Mapping[Partition, int]]) -> bool:
        """Return whether the commit of a partition waits for this agent; for all, where each has done its part."""
        waited_for = [other for other, left in unread.items() if partition in left]
        return not waited_for or agent in waited_for

    def _unread(self, agent: str, look: Look, positions: Mapping[Partition, Position]) -> Mapping[Partition, int]:
        """Return the offset of the first record that an agent has left, by partition; none where nothing is left."""
        found = {}
        for partition in self._partitions(agent, look):
            position = positions.get(partition)
            at = max(look.committed[partition], 0 if position is None else position.next)
            if at < look.ends[partition]:
                found[partition] = at
        return found

    def _partitions(self, agent: str, look: Look) -> list[Partition]:
        return [partition for partition in look.ends if partition[0] in self._topics[agent]]

    def _forget_others(self, ours: Collection[Partition]) -> None:
        """Forget partitions that another worker has now: what was known of them is too old once they come back."""
        self._clear = {key: at for key, at in self._clear.items() if key[1] in ours}
        self._moved = {partition: found for partition, found in self._moved.items() if partition in ours}
        self._first_unread = {key: at for key, at in self._first_unread.items() if key[0] in ours}
