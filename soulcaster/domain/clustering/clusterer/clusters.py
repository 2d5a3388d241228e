"""The clusters of a project and embedder, by number and by public id."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from soulcaster.domain.clustering.clusterer.archive import NOTHING, Archived
from soulcaster.domain.lifecycle import Triage


@dataclass(slots=True)
class Cluster:
    """A cluster.

    `slots` are its micro-clusters; `archived` is what it has besides, that of its aliases included. `merged_into` is
    the cluster it was merged into; its id is then an alias. `first` and `last` are the times of its first and last item
    (epoch seconds). `titled_size` is the size it had when title and terms were computed; it is 1 while they are those
    of the item that opened the cluster. After `resolved_at` (epoch seconds) feedback counts as newer.
    """

    id: str
    title: str
    summary: str
    slots: list[int] = field(default_factory=list)
    archived: Archived = NOTHING
    size: int = 0
    sources: tuple[str, ...] = ()
    first: float = float("inf")
    last: float = float("-inf")
    terms: tuple[str, ...] = ()
    coherence: float | None = None
    given_title: str | None = None
    pinned: bool = False
    parent_id: str | None = None
    merged_into: int | None = None
    titled_size: int = 0
    triage: Triage = "open"
    resolved_at: float = 0.0
    theme_id: str | None = None

    @property
    def is_alias(self) -> bool:
        """Return whether it was merged into another cluster."""
        return self.merged_into is not None

    @property
    def is_deleted(self) -> bool:
        """Return whether all its items were deleted."""
        return self.merged_into is None and not self.slots and not self.archived

    @property
    def shown_title(self) -> str:
        """Return the title a person gave, else the automatic one."""
        return self.given_title or self.title

    @property
    def created_at(self) -> datetime:
        """Return the time of its first item."""
        return datetime.fromtimestamp(self.first, UTC)

    @property
    def updated_at(self) -> datetime:
        """Return the time of its last item."""
        return datetime.fromtimestamp(self.last, UTC)


class Clusters:
    """All clusters; one keeps its number for good, as an alias too."""

    def __init__(self) -> None:
        """Start empty."""
        self._clusters: list[Cluster] = []
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        """Return how many there are, aliases included."""
        return len(self._clusters)

    def __iter__(self) -> Iterator[Cluster]:
        """Iterate over all clusters in the order of their numbers, aliases included."""
        return iter(self._clusters)

    def __getitem__(self, number: int) -> Cluster:
        """Return the cluster of a number."""
        return self._clusters[number]

    def add(self, cluster: Cluster) -> int:
        """Add a cluster and return its number."""
        number = len(self._clusters)
        self._clusters.append(cluster)
        self._numbers[cluster.id] = number
        return number

    def find(self, cluster_id: str) -> int | None:
        """Return the number of the cluster that an id resolves to, None for an unknown id."""
        number = self._numbers.get(cluster_id)
        return None if number is None else self.resolve(number)

    def resolve(self, number: int) -> int:
        """Return the cluster that a number resolves to, following aliases."""
        while (into := self._clusters[number].merged_into) is not None:
            number = into
        return number

    def pinned(self) -> dict[int, int]:
        """Return the micro-clusters of pinned clusters, with the number of their cluster."""
        pinned = ((number, c) for number, c in enumerate(self._clusters) if c.pinned and not c.is_alias)
        return {slot: number for number, cluster in pinned for slot in cluster.slots}


_interned: dict[tuple[str, ...], tuple[str, ...]] = {}


def with_source(sources: tuple[str, ...], source: str) -> tuple[str, ...]:
    """Return the sources and this one, sorted; equal tuples are one object, because few different ones exist."""
    if source in sources:
        return sources
    more = tuple(sorted((*sources, source)))
    return _interned.setdefault(more, more)
