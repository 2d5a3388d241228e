"""Which micro-cluster an equal text leads to."""

from collections.abc import Collection, Iterable

from soulcaster.domain.clustering.micro_clusters.index import MicroClusterIndex


class Fingerprints:
    """A micro-cluster's slot for each text, exact or masked; 0 is no fingerprint.

    An exact text leads to the micro-cluster that joined it last, a masked one to the lowest slot that has it.
    """

    def __init__(self, index: MicroClusterIndex) -> None:
        """Start empty; the index knows the texts of each micro-cluster."""
        self._micro_clusters = index.micro_clusters
        self._index = index
        self.slots: dict[int, int] = {}

    def claim(self, slot: int) -> None:
        """Lead a micro-cluster's texts to it; a masked text that others have as well leads to the lowest slot."""
        masked, *exact = self._micro_clusters[slot].fingerprints
        self.slots.update(dict.fromkeys(exact, slot))
        owner = self.slots.get(masked)
        if masked and (owner is None or (slot < owner and masked not in self._micro_clusters[owner].fingerprints[1:])):
            self.slots[masked] = slot

    def redirect(self, fingerprints: Iterable[int], slot: int) -> None:
        """Lead these texts to a micro-cluster."""
        self.slots.update(dict.fromkeys(fingerprints, slot))

    def release(self, slot: int, fingerprints: tuple[int, ...], kept: tuple[int, ...] = (0,)) -> set[int]:
        """Stop leading these texts, except those kept, to a micro-cluster; return those that another may have."""
        masked, *exact = fingerprints
        owned = {text for text in {masked, *exact} - set(kept) if self.slots.get(text) == slot}
        for text in owned:
            del self.slots[text]
        return owned - set(exact)

    def reassign(self, released: Collection[int]) -> None:
        """Lead released masked texts to another micro-cluster that has them."""
        for slot in self._index.slots().tolist() if released else ():
            if self._micro_clusters[slot].fingerprints[0] in released:
                self.claim(slot)
