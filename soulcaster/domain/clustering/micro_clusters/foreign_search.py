"""The coarse search among micro-clusters of one language that the embedder does not know.

Few projects have many of these, so a product with all of a language is quick enough. A language never sees another.
"""

import numpy as np

from soulcaster.domain.clustering.features.space import COARSE_DIMENSIONS
from soulcaster.domain.clustering.features.vectors import Slots, Vectors, grown


class ForeignSearch:
    """The coarse projections of micro-clusters, by language and slot."""

    def __init__(self) -> None:
        """Start empty."""
        self._languages: dict[int, _Projections] = {}

    def count(self, language: int) -> int:
        """Return how many micro-clusters of a language there are."""
        return len(self._languages[language].slots) if language in self._languages else 0

    def put(self, language: int, slot: int, projection: Vectors) -> None:
        """Add a micro-cluster, or replace its projection, shape (COARSE_DIMENSIONS,)."""
        self._languages.setdefault(language, _Projections()).put(slot, projection)

    def remove(self, language: int, slot: int) -> None:
        """Remove a micro-cluster."""
        self._languages[language].remove(slot)

    def nearest(self, language: int, projections: Vectors, k: int) -> Slots:
        """Return the slots of the `k` nearest micro-clusters of a language, or of all, in any order: shape (n, k)."""
        if language not in self._languages:
            return np.zeros((len(projections), 0), np.int64)
        return self._languages[language].nearest(projections, k)


class _Projections:
    """Those of one language, densely packed."""

    def __init__(self) -> None:
        self.slots: list[int] = []
        self._position: dict[int, int] = {}
        self._rows = np.zeros((0, COARSE_DIMENSIONS), np.float32)

    def put(self, slot: int, projection: Vectors) -> None:
        at = self._position.get(slot)
        if at is None:
            at = self._position[slot] = len(self.slots)
            self.slots.append(slot)
            if at >= len(self._rows):
                self._rows = grown(self._rows, at + 1)
        self._rows[at] = projection

    def remove(self, slot: int) -> None:
        at, last = self._position.pop(slot), self.slots.pop()
        if last != slot:
            self.slots[at] = last
            self._position[last] = at
            self._rows[at] = self._rows[len(self.slots)]

    def nearest(self, projections: Vectors, k: int) -> Slots:
        count = len(self.slots)
        similarity = projections @ self._rows[:count].T
        slots = np.array(self.slots, np.int64)
        if count <= k:
            return np.broadcast_to(slots, (len(projections), count)).copy()
        near: Slots = slots[np.argpartition(-similarity, k - 1, axis=1)[:, :k]]
        return near
